"""Group roles with no more rights than each needs; who changes a champion is checked by the database too.

Revision ID: 0010
Revises: 0009
"""

from alembic import op

from motorisk.warehouse.migrate import run_script
from motorisk.warehouse.roles import ensure_groups

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the roles where the cluster has none yet, and grant each what it needs in this database."""
    ensure_groups(op.get_bind())
    run_script("0010_roles.up.sql")


def downgrade() -> None:
    """Take the rights in this database back; the roles stay, since other databases may use them."""
    run_script("0010_roles.down.sql")
