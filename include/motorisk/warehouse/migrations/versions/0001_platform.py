"""The platform's two schemas and all their tables.

Revision ID: 0001
Revises:
"""

from motorisk.warehouse.migrate import run_script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create everything."""
    run_script("0001_platform.up.sql")


def downgrade() -> None:
    """Drop everything, data included."""
    run_script("0001_platform.down.sql")
