"""Access: clients' API keys, and whose quote it is.

Revision ID: 0003
Revises: 0002
"""

from motorisk.warehouse.migrate import run_script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of keys; quotes made before are nobody's."""
    run_script("0003_access.up.sql")


def downgrade() -> None:
    """Drop it; clients lose their keys, and quotes their clients."""
    run_script("0003_access.down.sql")
