"""Shadows: challengers that price every quote again, off the answer's path.

Revision ID: 0004
Revises: 0003
"""

from motorisk.warehouse.migrate import run_script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of shadows and of their prices."""
    run_script("0004_shadow.up.sql")


def downgrade() -> None:
    """Drop them; what they held can be computed again from the ledger, the audit trail stays."""
    run_script("0004_shadow.down.sql")
