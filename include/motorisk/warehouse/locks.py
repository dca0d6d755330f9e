"""Locks across processes, held in Postgres: whoever dies lets go."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text


@contextmanager
def exclusively(engine: Engine, what: str, number: int = 0) -> Iterator[None]:
    """Wait until nobody else works on this part (and number) of the platform, then keep others waiting.

    The lock is taken on a connection of its own, so that the transaction of the work begins after it and
    sees what the one before has written.
    """
    key = {"what": f"motorisk.{what}", "number": number}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtext(:what), :number)"), key)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(hashtext(:what), :number)"), key)
