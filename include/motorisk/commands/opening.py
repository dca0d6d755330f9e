"""The database, opened and checked for a command."""

from sqlalchemy import Engine

from motorisk.settings import settings
from motorisk.warehouse.database import open_warehouse
from motorisk.warehouse.schema import require_current


def warehouse() -> Engine:
    """The platform's database; `SchemaOutdated` unless its tables are those that this version needs."""
    engine = open_warehouse(settings())
    require_current(engine)
    return engine
