"""Readings of drift alarms: what each means, what to do, and what it costs.

Revision ID: 0009
Revises: 0008
"""

from motorisk.warehouse.migrate import run_script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add their table; nights before have none."""
    run_script("0009_drift_readings.up.sql")


def downgrade() -> None:
    """Drop it."""
    run_script("0009_drift_readings.down.sql")
