"""The ledger: its tables, kept in order by several processes at once, and a connection that outlives an outage."""

from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from tests.integration.quoting.entries import make_entry

from motorisk.quoting.database import Database
from motorisk.quoting.ledger import Ledger, LedgerSession
from motorisk.warehouse.tables import quote

PARTITIONS = text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'motorisk.quote'::regclass")
THIS_MONTH = text("SELECT to_char(current_date, 'YYYY_MM')")


def test_a_process_does_not_wait_for_the_one_that_makes_the_partitions(warehouse: Engine, database: Database) -> None:
    with warehouse.begin() as connection:
        connection.execute(text("SELECT motorisk.ensure_quote_partitions(current_date)"))
        whole = connection.scalar(PARTITIONS)
        connection.execute(text(f"DROP TABLE motorisk.quote_{connection.scalar(THIS_MONTH)}"))
    ledger = Ledger(database)
    with warehouse.begin() as busy:
        busy.execute(select(func.pg_advisory_xact_lock(func.hashtext("motorisk.ensure_quote_partitions"))))
        ledger.ensure_partitions()  # neither waits nor fails: the other one is at it
        assert busy.scalar(PARTITIONS) == whole - 1
    ledger.ensure_partitions()
    with warehouse.connect() as connection:
        assert connection.scalar(PARTITIONS) == whole


@pytest.mark.fault("Postgres restarted")
def test_a_server_that_others_saw_go_and_come_back_takes_rows_at_once(
    warehouse: Engine, database: Database, session: LedgerSession, unreachable: Any
) -> None:
    session.append([make_entry()])
    with unreachable(warehouse):  # this session does not notice
        database.went_away()
    database.came_back()
    session.append([make_entry()])
    with warehouse.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(quote)) == 2
