"""Last year's premium and class beside each score, the cap on changes at renewal, scores that left for the archive.

Revision ID: 0005
Revises: 0004
"""

from motorisk.warehouse.migrate import run_script

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; scores published before say nothing of last year. Unfinished runs begin anew."""
    run_script("0005_renewals.up.sql")


def downgrade() -> None:
    """Drop them; published scores and archived files stay. Unfinished runs begin anew."""
    run_script("0005_renewals.down.sql")
