"""Locks across processes: they hide no failure of the work, and leave the transaction as it was."""

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from motorisk.errors import InvalidData
from motorisk.warehouse.locks import exclusively, lock_tables

_END_HOLDERS = text(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks "
    "WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def _lose_the_lock(warehouse: Engine) -> None:
    with warehouse.connect() as other:
        assert other.scalars(_END_HOLDERS).all() == [True]


@pytest.mark.fault("Postgres restarted")
def test_work_that_fails_says_why_though_its_lock_was_lost(warehouse: Engine) -> None:
    def work() -> None:
        with exclusively(warehouse, "work"):
            _lose_the_lock(warehouse)
            raise InvalidData("the reason")

    with pytest.raises(InvalidData, match="the reason"):
        work()


def test_work_whose_lock_was_lost_is_not_taken_for_done(warehouse: Engine) -> None:
    with pytest.raises(OperationalError), exclusively(warehouse, "work"):
        _lose_the_lock(warehouse)


def test_locking_tables_leaves_the_limit_of_waiting_as_it_was(warehouse: Engine) -> None:
    with warehouse.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {warehouse.url.database} SET lock_timeout = '7s'"))
        connection.commit()
    engine = create_engine(warehouse.url)
    with engine.begin() as connection:
        lock_tables(connection, "score")
        assert connection.scalar(text("SHOW lock_timeout")) == "7s"
    engine.dispose()
