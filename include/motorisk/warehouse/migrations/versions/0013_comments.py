"""What each table is for and what each column means, in the database too.

Revision ID: 0013
Revises: 0012
"""

from motorisk.warehouse.migrate import run_script

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Comment on every table and column; no row is touched, and nobody who reads or writes waits."""
    run_script("0013_comments.up.sql")


def downgrade() -> None:
    """Leave those comments that there were before."""
    run_script("0013_comments.down.sql")
