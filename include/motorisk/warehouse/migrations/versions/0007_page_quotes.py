"""Quotes that people ask for on the quote service's own page: a channel of the ledger.

Revision ID: 0007
Revises: 0006
"""

from motorisk.warehouse.migrate import run_script

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the ledger take the channel `page`."""
    run_script("0007_page_quotes.up.sql")


def downgrade() -> None:
    """Refuse it again; quotes of the page stay in the ledger."""
    run_script("0007_page_quotes.down.sql")
