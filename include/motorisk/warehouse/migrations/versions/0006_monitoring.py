"""Monitoring: what a drift figure means, thresholds of a reference, and windows of live quotes.

Revision ID: 0006
Revises: 0005
"""

from motorisk.warehouse.migrate import run_script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the figures and tables; runs measured before keep theirs, and quotes made before are in no window."""
    run_script("0006_monitoring.up.sql")


def downgrade() -> None:
    """Drop them; nightly scores stay."""
    run_script("0006_monitoring.down.sql")
