"""The quote service's way to Postgres: opened when it can be reached, its failures told as `DatabaseUnavailable`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, PoolProxiedConnection, event
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from motorisk.errors import DatabaseUnavailable, PermissionMissing, SettingsError
from motorisk.settings import Settings
from motorisk.warehouse.clock import disagreement
from motorisk.warehouse.database import open_warehouse
from motorisk.warehouse.schema import require_current

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 5

_log = logging.getLogger(__name__)

_AWAY = "the database does not answer; try again in a few seconds"


class Database:
    """A pool of connections that need not be there yet, and a circuit breaker.

    The service starts and stays up without Postgres; whoever needs it gets `DatabaseUnavailable` meanwhile, with a
    message for customers and the driver's own words as its cause. A lost connection opens the breaker: from then
    on nobody waits for a server that is away, until `probe` has reached it again.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine | None = None
        self._autocommit: Engine | None = None
        self.is_away = True
        """Whether the breaker is open; at first because nobody has reached the database yet."""
        self.losses = 0
        """How often the server was lost: a connection that is older is not to be trusted."""

    @contextmanager
    def probe(self) -> Iterator[Connection]:
        """A connection also while the breaker is open, to see whether the server is back; may take seconds.

        `DatabaseUnavailable` where it cannot be reached, `SchemaOutdated` where its tables are older than this code's.
        """
        if self._engine is None:
            with self._translated():
                engine = open_warehouse(self._settings)
                require_current(engine, or_newer=True)
                clocks = disagreement(engine)
                _bound(engine)
            if clocks is not None:  # quotes are answered nevertheless
                _log.warning("%s", clocks)
            self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
            self._engine = engine
        assert self._autocommit is not None  # noqa: S101  set with the engine
        with self._translated(), self._autocommit.connect() as connection:
            yield connection

    def came_back(self) -> None:
        """Close the breaker."""
        self.is_away = False

    def went_away(self) -> None:
        """Open the breaker."""
        self.losses += 1
        self.is_away = True

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction, committed at the end of the block."""
        if self._engine is None or self.is_away:
            raise DatabaseUnavailable(_AWAY)
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def statements(self) -> Iterator[Connection]:
        """A connection on which each statement commits by itself: two round trips fewer than a transaction."""
        if self._autocommit is None or self.is_away:
            raise DatabaseUnavailable(_AWAY)
        with self._translated(), self._autocommit.connect() as connection:
            yield connection

    def connection(self) -> PoolProxiedConnection:
        """A connection for somebody who keeps it, with the driver's own errors."""
        if self._engine is None:
            raise DatabaseUnavailable(_AWAY)
        with self._translated():
            return self._engine.raw_connection()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise DatabaseUnavailable("all database connections are busy; try again in a few seconds") from error
        except (DatabaseUnavailable, PermissionMissing, SettingsError) as error:  # name server or role: not for outside
            if is_connection_lost(error.__cause__):
                self.went_away()
            raise DatabaseUnavailable(_AWAY) from error
        except DBAPIError as error:
            # InternalError: so a server says that it has become a read-only standby.
            if not isinstance(error, OperationalError | InterfaceError | InternalError):
                raise
            if is_connection_lost(error.orig):
                self.went_away()
            raise DatabaseUnavailable(_AWAY) from error.orig


def _bound(engine: Engine) -> None:
    """Bound every wait for the server, also one that has vanished without a word: requests wait with it."""

    @event.listens_for(engine, "do_connect")
    def hurry(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        parameters["connect_timeout"] = CONNECT_SECONDS
        parameters["tcp_user_timeout"] = STATEMENT_SECONDS * 1000
        parameters["options"] = f"{parameters.get('options', '')} -c statement_timeout={STATEMENT_SECONDS}s"

    engine.dispose()  # those that are open already


def is_connection_lost(error: BaseException | None) -> bool:
    """Whether the driver lost the server, or never reached it, rather than being told of a problem by it."""
    state = getattr(error, "pgcode", None)
    return state is None or state.startswith(("08", "57P"))  # connection exceptions, shutdown by the operator
