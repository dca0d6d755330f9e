"""The platform's settings and database, opened inside a task, or once for a server that answers many requests."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


def warehouse() -> "Engine":
    """The platform's database; raises as `ready_warehouse` does."""
    from motorisk.settings import settings
    from motorisk.warehouse.opening import ready_warehouse

    return ready_warehouse(settings())


class Pool:
    """One pool of connections for a process that answers requests: what opening costs is paid once.

    Opened at the first request, because a server may still fork before it, and anew when the database has moved, which
    the embedded one does when it is started again.
    """

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def connect(self) -> "Connection":
        """A connection out of the pool; raises as `warehouse` does."""
        from sqlalchemy.exc import InterfaceError, OperationalError

        if self._engine is not None:
            try:
                return self._engine.connect()
            except (OperationalError, InterfaceError):
                self._engine = None
        self._engine = warehouse()
        return self._engine.connect()

    def check_again(self) -> None:
        """Look at the schema again with the next connection: a query found it changed."""
        self._engine = None
