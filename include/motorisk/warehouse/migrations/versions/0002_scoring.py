"""Scoring in parts: plans, their parts, quarantine, and what a run tells of itself.

Revision ID: 0002
Revises: 0001
"""

from motorisk.warehouse.migrate import run_script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of scoring runs; runs published before keep their figures, with one part each."""
    run_script("0002_scoring.up.sql")


def downgrade() -> None:
    """Drop them; published scores stay."""
    run_script("0002_scoring.down.sql")
