"""Quotes on their way into the ledger, with a real Postgres that comes and goes."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine, func, select, text, update
from tests.integration.quoting.entries import make_entry

from motorisk.errors import QuoteNotRecorded
from motorisk.quoting.backlog import Backlog
from motorisk.quoting.database import Database
from motorisk.quoting.journal import journal_files
from motorisk.quoting.ledger import Entry, Ledger, LedgerSession
from motorisk.quoting.recorder import Recorder
from motorisk.quoting.recording import Outcome
from motorisk.warehouse.tables import drift_inbox, quote, quote_key


def name(row: Entry) -> str:
    return row.line.split("\t")[0]


@pytest.fixture
def recorder(database: Database, backlog: Backlog) -> Recorder:
    return Recorder(database, backlog)


def stored(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [str(found) for found in connection.scalars(select(quote.c.quote_id).order_by(quote.c.quoted_at))]


def record_at_once(recorder: Recorder, rows: list[Entry]) -> list[Outcome]:
    """Record each row from a thread of its own."""
    found: dict[str, Outcome] = {}
    start = threading.Barrier(len(rows))

    def record(row: Entry) -> None:
        start.wait()
        (found[name(row)],) = recorder.record([row])

    threads = [threading.Thread(target=record, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [found[name(row)] for row in rows]


def test_rows_of_many_threads_are_in_the_ledger_when_they_are_answered(recorder: Recorder, warehouse: Engine) -> None:
    rows = [make_entry() for _ in range(40)]
    assert set(record_at_once(recorder, rows)) == {Outcome("ledger")}
    assert sorted(stored(warehouse)) == sorted(map(name, rows))


def test_many_threads_share_commits(recorder: Recorder, warehouse: Engine) -> None:
    rows = [make_entry() for _ in range(40)]
    recorder.record([make_entry()])
    record_at_once(recorder, rows)
    with warehouse.connect() as connection:
        transactions = connection.scalar(text("SELECT count(DISTINCT xmin::text) FROM motorisk.quote"))
    assert transactions < 30


@pytest.mark.bad_input("quote")
def test_a_row_that_postgres_refuses_fails_alone(recorder: Recorder, warehouse: Engine) -> None:
    good = [make_entry() for _ in range(10)]
    bad = Entry(make_entry().line.replace("\tmock\t", "\tnonsense\t"))
    refused: list[Exception] = []

    def record_bad() -> None:
        try:
            recorder.record([bad])
        except Exception as error:
            refused.append(error)

    thread = threading.Thread(target=record_bad)
    thread.start()
    outcomes = record_at_once(recorder, good)
    thread.join(30)
    assert set(outcomes) == {Outcome("ledger")}
    assert [type(error) for error in refused] == [psycopg2.errors.CheckViolation]
    assert sorted(stored(warehouse)) == sorted(map(name, good))


@pytest.mark.fault("two at once")
def test_of_requests_with_the_same_key_one_is_written(
    recorder: Recorder, database: Database, warehouse: Engine, tmp_path: Path
) -> None:
    other = Recorder(database, Backlog(tmp_path / "backlog"))
    rows = [make_entry("k") for _ in range(16)]
    halves = [rows[:8], rows[8:]]
    found: list[Outcome] = []
    threads = [
        threading.Thread(target=lambda each=each, half=half: found.extend(record_at_once(each, half)))
        for each, half in zip((recorder, other), halves, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (winner,) = stored(warehouse)
    assert len(found) == 16
    assert sum(outcome.holder is None for outcome in found) == 1
    assert {str(outcome.holder.quote_id) for outcome in found if outcome.holder} == {winner}


@pytest.mark.fault("two at once")
def test_keys_in_any_order_do_not_block_one_another(recorder: Recorder, database: Database, warehouse: Engine) -> None:
    sessions = [LedgerSession(database), LedgerSession(database)]
    keys = [str(number) for number in range(50)]
    failures: list[Exception] = []

    def write(session: LedgerSession, order: list[str]) -> None:
        try:
            for _ in range(10):
                session.append([make_entry(key) for key in order])
        except Exception as error:
            failures.append(error)

    threads = [
        threading.Thread(target=write, args=(session, order))
        for session, order in zip(sessions, (keys, keys[::-1]), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(stored(warehouse)) == 50


@pytest.mark.fault("Postgres stopped")
def test_while_postgres_is_away_rows_go_into_the_journal_and_later_once_into_the_ledger(
    recorder: Recorder,
    backlog: Backlog,
    session: LedgerSession,
    database: Database,
    warehouse: Engine,
    unreachable: Any,
) -> None:
    before, after = make_entry(), make_entry()
    recorder.record([before])
    session.append([])
    with unreachable(warehouse):
        away = [make_entry() for _ in range(20)]
        assert set(record_at_once(recorder, away)) == {Outcome("journal")}
        assert database.is_away
        assert backlog.pending() == 20
        start = time.monotonic()
        late = make_entry()
        recorder.record([late])
        assert time.monotonic() - start < 5  # no connection is tried any more
    session.close()
    assert backlog.carry(session) == 21
    database.came_back()
    recorder.record([after])
    assert sorted(stored(warehouse)) == sorted(map(name, [before, *away, late, after]))
    assert backlog.pending() == 0
    assert backlog.is_empty


def test_rows_journalled_before_clients_had_names_are_carried_over_too(
    recorder: Recorder, backlog: Backlog, session: LedgerSession, warehouse: Engine, unreachable: Any
) -> None:
    old = make_entry()
    recorder.record([make_entry()])
    with unreachable(warehouse):
        recorder.record([old._replace(line=old.line.rpartition("\t")[0])])
    assert backlog.carry(session) == 1
    assert name(old) in stored(warehouse)


def test_the_order_of_the_journal_is_the_order_of_the_ledger(
    backlog: Backlog, session: LedgerSession, warehouse: Engine
) -> None:
    rows = [make_entry(moment=datetime(2026, 1, 1, tzinfo=UTC)) for _ in range(50)]
    for row in rows:
        backlog.append([row])
    backlog.carry(session)
    with warehouse.connect() as connection:
        found = connection.scalars(text("SELECT quote_id::text FROM motorisk.quote ORDER BY ctid")).all()
    assert list(found) == [name(row) for row in rows]


@pytest.mark.fault("killed while quoting")
def test_a_crash_while_carrying_over_loses_and_doubles_nothing(
    backlog: Backlog, session: LedgerSession, warehouse: Engine, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [make_entry(str(number) if number % 2 else None) for number in range(25)]
    backlog.append(rows)
    monkeypatch.setattr("motorisk.quoting.backlog.CARRIED_AT_ONCE", 10)
    merge, calls = session.merge, 0

    def crashing(entries: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise psycopg2.OperationalError("the process was killed here")
        return merge(entries)

    with monkeypatch.context() as patch:
        patch.setattr(session, "merge", crashing)
        with pytest.raises(psycopg2.OperationalError):
            backlog.carry(session)
    assert len(stored(warehouse)) == 20
    assert Backlog(journal).carry(session) == 25
    assert sorted(stored(warehouse)) == sorted(map(name, rows))
    with warehouse.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(quote_key)) == 12
    assert journal_files(journal) == []


@pytest.mark.fault("corrupted journal")
def test_a_torn_end_is_kept_aside_and_the_rest_is_carried_over(
    backlog: Backlog, session: LedgerSession, warehouse: Engine, journal: Path, caplog: Any
) -> None:
    rows = [make_entry(), make_entry()]
    backlog.append(rows)
    (path,) = journal_files(journal)
    with path.open("ab") as file:
        file.write(b"\x40\0\0\0half a rec")
    assert backlog.carry(session) == 2
    assert stored(warehouse) == [name(row) for row in rows]
    assert path.with_suffix(".torn").read_bytes() == b"\x40\0\0\0half a rec"
    assert "no crash-free write left" in caplog.text
    assert journal_files(journal) == []


@pytest.mark.fault("corrupted journal")
def test_a_journalled_row_that_postgres_refuses_does_not_hold_up_the_others(
    backlog: Backlog, session: LedgerSession, warehouse: Engine, journal: Path
) -> None:
    good = [make_entry(), make_entry()]
    bad = Entry(make_entry().line.replace("\tmock\t", "\tnonsense\t"))
    backlog.append([good[0], bad, good[1]])
    (path,) = journal_files(journal)
    backlog.carry(session)
    assert stored(warehouse) == [name(row) for row in good]
    assert b"nonsense" in path.with_suffix(".refused").read_bytes()


@pytest.mark.fault("killed while quoting")
def test_what_another_process_left_is_carried_over_by_whoever_is_there(
    journal: Path, session: LedgerSession, warehouse: Engine
) -> None:
    dead, alive = Backlog(journal), Backlog(journal)
    left = make_entry()
    dead.append([left])
    assert alive.carry(session) == 0  # it is still being written
    dead._writer.close()  # as the kernel does for a dead process
    assert alive.pending() == 1
    assert alive.carry(session) == 1
    assert stored(warehouse) == [name(left)]


def test_keys_in_the_journal_are_known_to_all_processes_of_the_machine(journal: Path) -> None:
    one, other = Backlog(journal), Backlog(journal)
    first = make_entry("k")
    assert one.append([first, make_entry(), make_entry("k")])[0] is None
    (holder,) = other.append([make_entry("k")])
    assert holder is not None
    assert (str(holder.quote_id), holder.line) == (name(first), first.line)
    later = make_entry("k", question="b")
    assert later.claim is not None
    assert Backlog(journal).holder(later.claim) == holder
    assert other.pending() == 2


def test_a_journalled_quote_whose_key_the_ledger_has_is_kept_without_it(
    recorder: Recorder, backlog: Backlog, session: LedgerSession, warehouse: Engine, caplog: Any
) -> None:
    known, journalled = make_entry("k"), make_entry("k")
    recorder.record([known])
    backlog.append([journalled])
    backlog.carry(session)
    assert sorted(stored(warehouse)) == sorted([name(known), name(journalled)])
    with warehouse.connect() as connection:
        assert str(connection.scalar(select(quote_key.c.quote_id))) == name(known)
    assert "under a key that the ledger has for another quote" in caplog.text


@pytest.mark.fault("Postgres stopped")
def test_a_database_that_does_not_answer_holds_a_row_up_once(
    recorder: Recorder, backlog: Backlog, session: LedgerSession, database: Database, warehouse: Engine
) -> None:
    recorder.record([make_entry()])
    with warehouse.connect() as connection:
        connection.execute(text("LOCK TABLE motorisk.quote IN ACCESS EXCLUSIVE MODE"))
        first, second = make_entry(), make_entry()
        assert recorder.record([first]) == [Outcome("journal")]
        assert recorder.is_stuck
        start = time.monotonic()
        assert recorder.record([second]) == [Outcome("journal")]
        assert time.monotonic() - start < 0.9  # much less than the second that the first one waited
    deadline = time.monotonic() + 20
    while recorder.is_stuck:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    backlog.carry(session)
    assert len(stored(warehouse)) == len(set(stored(warehouse))) == 3


def test_who_does_not_wait_is_called_once_when_the_rows_are_durable(recorder: Recorder, warehouse: Engine) -> None:
    called: SimpleQueue[str] = SimpleQueue()
    rows = [make_entry() for _ in range(50)]
    for row in rows:
        recording = recorder.begin([row])
        recording.when_settled(lambda row=row, recording=recording: called.put(name(row)))
        assert recording.outcomes() == [Outcome("ledger")]
    late = recorder.begin([make_entry()])
    late.outcomes()
    late.when_settled(lambda: called.put("late"))
    assert sorted(called.get(timeout=5) for _ in range(51)) == sorted([*map(name, rows), "late"])
    time.sleep(0.1)
    assert called.empty()
    assert len(stored(warehouse)) == 51


@pytest.mark.fault("Postgres stopped")
def test_a_database_that_does_not_answer_holds_nobody_up_who_does_not_wait(
    recorder: Recorder, backlog: Backlog, session: LedgerSession, warehouse: Engine
) -> None:
    recorder.record([make_entry()])
    with warehouse.connect() as connection:
        connection.execute(text("LOCK TABLE motorisk.quote IN ACCESS EXCLUSIVE MODE"))
        began = [recorder.begin([make_entry()]) for _ in range(10)]
        assert [recording.outcomes() for recording in began] == [[Outcome("journal")]] * 10
        assert recorder.begin([make_entry()]).outcomes() == [Outcome("journal")]
    deadline = time.monotonic() + 20
    while recorder.is_stuck:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    backlog.carry(session)
    assert len(stored(warehouse)) == len(set(stored(warehouse))) == 12


def test_a_row_of_nobody_who_waits_that_postgres_refuses_fails_alone(recorder: Recorder, warehouse: Engine) -> None:
    good, bad = make_entry(), make_entry()
    bad = bad._replace(line=bad.line.replace("\tmock\t", "\tnonsense\t"))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda row: recorder.begin([row]), [good, bad]))
    assert found[0].outcomes() == [Outcome("ledger")]
    with pytest.raises(psycopg2.errors.CheckViolation):
        found[1].outcomes()
    assert stored(warehouse) == [name(good)]


@pytest.mark.fault("disk full")
def test_where_neither_postgres_nor_the_disk_takes_a_row_it_is_not_answered(
    database: Database,
    tmp_path: Path,
    warehouse: Engine,
    unreachable: Any,
) -> None:
    (tmp_path / "journal").write_text("a file where the journal should be")
    recorder = Recorder(database, Backlog(tmp_path / "journal"))
    with unreachable(warehouse):
        with pytest.raises(QuoteNotRecorded):
            recorder.record([make_entry()])
        assert recorder.is_refusing
        with pytest.raises(QuoteNotRecorded):
            recorder.begin([make_entry()]).outcomes()


def test_rows_that_nobody_waits_for_are_durable_after_a_flush(recorder: Recorder, warehouse: Engine) -> None:
    for _ in range(300):
        recorder.record_soon([make_entry()])
    with ThreadPoolExecutor(4) as pool:  # others wait between them
        outcomes = list(pool.map(lambda number: recorder.record([make_entry()]), range(40)))
    recorder.flush()
    assert outcomes == [[Outcome("ledger")]] * 40
    assert len(stored(warehouse)) == 340


@pytest.mark.fault("Postgres stopped")
def test_where_postgres_is_away_inputs_are_waited_for(
    recorder: Recorder, database: Database, backlog: Backlog, warehouse: Engine, unreachable: Any
) -> None:
    recorder.record([make_entry()])
    with unreachable(warehouse):
        for _ in range(20):
            recorder.record_soon([make_entry()])
        recorder.flush()
        assert database.is_away
        assert backlog.pending() == 20


def test_a_long_queue_makes_inputs_wait(recorder: Recorder, warehouse: Engine, monkeypatch: Any) -> None:
    monkeypatch.setattr("motorisk.quoting.recorder.MAX_UNAWAITED", 0)
    for number in range(1, 60):
        recorder.record_soon([make_entry()])
        assert recorder._for_ledger.qsize() <= 1, number
    recorder.flush()
    assert len(stored(warehouse)) == 59


def test_old_keys_are_forgotten_and_young_ones_are_not(
    recorder: Recorder, database: Database, warehouse: Engine
) -> None:
    recorder.record([make_entry("old", moment=datetime(2026, 1, 1, tzinfo=UTC))])
    recorder.record([make_entry("young")])
    Ledger(database).forget_old_keys()
    with warehouse.connect() as connection:
        assert connection.scalars(select(quote_key.c.key)).all() == ["young"]


def test_quotes_that_nobody_measures_leave_the_monitor_s_inbox_after_a_while(
    recorder: Recorder, database: Database, warehouse: Engine
) -> None:
    recorder.record([make_entry("old"), make_entry("young")])
    with warehouse.begin() as connection:
        first = select(func.min(drift_inbox.c.arrival)).scalar_subquery()
        long_ago = func.now() - text("interval '63 days'")
        connection.execute(update(drift_inbox).where(drift_inbox.c.arrival == first).values(arrived_at=long_ago))
    Ledger(database).forget_unmeasured()
    with warehouse.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(drift_inbox)) == 1


def test_a_row_is_found_in_any_process_s_journal_until_it_is_carried_over(
    journal: Path, session: LedgerSession
) -> None:
    mine, other = Backlog(journal), Backlog(journal)
    rows = [make_entry(), make_entry("a key")]
    mine.append(rows[:1])
    other.append(rows[1:])
    for backlog in (mine, other):
        assert [backlog.line(uuid.UUID(name(row))) for row in rows] == [row.line for row in rows]
        assert backlog.line(uuid.uuid4()) is None
    mine.carry(session)
    assert [other.line(uuid.UUID(name(row))) for row in rows] == [None, rows[1].line]
    other.carry(session)
    assert [mine.line(uuid.UUID(name(row))) for row in rows] == [None, None]
