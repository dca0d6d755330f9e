"""The quote service's way to Postgres: opened when it can be reached, its failures told as `DatabaseUnavailable`."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from motorisk.errors import DatabaseUnavailable
from motorisk.settings import Settings
from motorisk.warehouse.database import open_warehouse
from motorisk.warehouse.schema import require_current


class Database:
    """A pool of connections that need not be there yet.

    The service starts and stays up without Postgres; whoever needs it gets `DatabaseUnavailable` meanwhile,
    with a message for customers and the driver's own words as its cause.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine | None = None
        self._autocommit: Engine | None = None

    def open(self) -> None:
        """Connect unless that is done already; takes some seconds where Postgres does not answer.

        `DatabaseUnavailable` where it cannot be reached, `SchemaOutdated` where its tables are not this code's.
        """
        if self._engine is not None:
            return
        with _translated():
            engine = open_warehouse(self._settings)
            require_current(engine)
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._engine = engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction, committed at the end of the block."""
        if self._engine is None:
            raise DatabaseUnavailable("the database has not been reached yet; try again in a few seconds")
        with _translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def statements(self) -> Iterator[Connection]:
        """A connection on which each statement commits by itself: two round trips fewer than a transaction."""
        if self._autocommit is None:
            raise DatabaseUnavailable("the database has not been reached yet; try again in a few seconds")
        with _translated(), self._autocommit.connect() as connection:
            yield connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable("all database connections are busy; try again in a few seconds") from error
    except DatabaseUnavailable as error:  # names the server, which is nobody's business outside
        raise DatabaseUnavailable("the database does not answer; try again in a few seconds") from error
    except DBAPIError as error:
        # InternalError: so a server says that it has become a read-only standby.
        if not isinstance(error, OperationalError | InterfaceError | InternalError):
            raise
        raise DatabaseUnavailable("the database does not answer; try again in a few seconds") from error.orig
