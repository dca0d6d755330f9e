"""The database, opened and looked at before anything is read or written."""

from sqlalchemy import Engine

from motorisk.settings import Settings
from motorisk.warehouse.clock import require_same_time
from motorisk.warehouse.database import open_warehouse
from motorisk.warehouse.schema import require_current


def ready_warehouse(settings: Settings) -> Engine:
    """The platform's database; `SchemaOutdated`, `ClockSkew` unless its tables and its clock are those that we need."""
    engine = open_warehouse(settings)
    require_current(engine)
    require_same_time(engine)
    return engine
