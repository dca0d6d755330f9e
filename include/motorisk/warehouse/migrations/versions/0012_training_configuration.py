"""Training configurations that were in force, so that a pushed change starts one training.

Revision ID: 0012
Revises: 0011
"""

from motorisk.warehouse.migrate import run_script

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add their table; the one in force is noted at the first look."""
    run_script("0012_training_configuration.up.sql")


def downgrade() -> None:
    """Drop it."""
    run_script("0012_training_configuration.down.sql")
