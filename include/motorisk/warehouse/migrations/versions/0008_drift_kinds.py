"""Nightly drift of the day's quotes and scores beside that of the policies: a kind of each run.

Revision ID: 0008
Revises: 0007
"""

from motorisk.warehouse.migrate import run_script

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tell the kinds of nightly drift apart."""
    run_script("0008_drift_kinds.up.sql")


def downgrade() -> None:
    """Keep the policies' drift alone."""
    run_script("0008_drift_kinds.down.sql")
