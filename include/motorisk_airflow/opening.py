"""The platform's settings and database, opened inside a task."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine


def warehouse() -> "Engine":
    """The platform's database; `SchemaOutdated` where its tables are not this version's."""
    from motorisk.settings import settings
    from motorisk.warehouse.database import open_warehouse
    from motorisk.warehouse.schema import require_current

    engine = open_warehouse(settings())
    require_current(engine)
    return engine
