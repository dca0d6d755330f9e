"""The database, opened and checked for a command."""

from sqlalchemy import Engine

from motorisk.settings import settings
from motorisk.warehouse.clock import require_same_time
from motorisk.warehouse.database import open_warehouse
from motorisk.warehouse.schema import require_current


def warehouse() -> Engine:
    """The platform's database; `SchemaOutdated`, `ClockSkew` unless its tables and its clock are those that we need."""
    engine = open_warehouse(settings())
    require_current(engine)
    require_same_time(engine)
    return engine
