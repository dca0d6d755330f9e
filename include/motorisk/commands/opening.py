"""The database, opened and checked for a command."""

from sqlalchemy import Engine

from motorisk.settings import settings
from motorisk.warehouse.opening import ready_warehouse


def warehouse() -> Engine:
    """The platform's database; raises as `ready_warehouse` does."""
    return ready_warehouse(settings())
