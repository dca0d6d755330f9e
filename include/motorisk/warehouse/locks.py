"""Locks across processes, held in Postgres: whoever dies lets go."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg2.errors import LockNotAvailable
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from motorisk.errors import DatabaseUnavailable

LOCK_SECONDS = 2.0
PAUSE_SECONDS = 3.0
PATIENCE_SECONDS = 600.0


@contextmanager
def exclusively(engine: Engine, what: str, number: int = 0) -> Iterator[None]:
    """Wait until nobody else works on this part (and number) of the platform, then keep others waiting.

    The lock is taken on a connection of its own, so that the transaction of the work begins after it and
    sees what the one before has written. Raises `OperationalError` where that connection was lost meanwhile.
    """
    key = {"what": f"motorisk.{what}", "number": number}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtext(:what), :number)"), key)
        unlock = text("SELECT pg_advisory_unlock(hashtext(:what), :number)")
        try:
            yield
        except BaseException:
            with suppress(DBAPIError):  # a lost connection has let go by itself; why the work failed says more
                connection.execute(unlock, key)
            raise
        connection.execute(unlock, key)


def lock_tables(connection: Connection, *names: str) -> None:
    """Keep everybody else from tables of the schema `motorisk` until the transaction ends, names in this order.

    Whoever waits for such a lock makes everybody wait who comes after, readers too. So it is asked for only
    `LOCK_SECONDS` at a time, with `PAUSE_SECONDS` in between in which others go first, and given up after
    `PATIENCE_SECONDS` with `DatabaseUnavailable`: trying again later helps. Partitions of a table are not locked with
    it: name them after it, in the order in which readers lock.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    before = connection.scalar(text("SELECT current_setting('lock_timeout')"))
    tables = ", ".join(f"ONLY motorisk.{name}" for name in names)
    while True:
        try:
            with connection.begin_nested():
                connection.execute(text("SELECT set_config('lock_timeout', :limit, true)"), {"limit": _limit()})
                connection.execute(text(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"))
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"somebody has used {', '.join(names)} for {PATIENCE_SECONDS:.0f} seconds (see pg_stat_activity): "
                    "nothing was changed"
                ) from error
            time.sleep(PAUSE_SECONDS)
        else:
            connection.execute(text("SELECT set_config('lock_timeout', :before, true)"), {"before": before})
            return


def _limit() -> str:
    return f"{LOCK_SECONDS * 1000:.0f}ms"
