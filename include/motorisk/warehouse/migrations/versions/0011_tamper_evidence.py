"""The audit trail is a chain of digests, the ledger is sealed behind the quotes, and customers can be erased.

Revision ID: 0011
Revises: 0010
"""

from motorisk.warehouse.migrate import run_script

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Chain the events that are there already; quotes are sealed by the next `motorisk audit seal`."""
    run_script("0011_tamper_evidence.up.sql")


def downgrade() -> None:
    """Drop chain, seals and the trail of erasures; what was erased stays so."""
    run_script("0011_tamper_evidence.down.sql")
