"""Whatever is changed, removed or inserted in the audit trail or the ledger is found and named."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, create_engine, insert, select, text, update
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.pool import NullPool

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import MAX_PLAN_BYTES
from motorisk.errors import PlanRefused
from motorisk.pipelines.audit.chain import BEFORE_THE_FIRST, event_digest, events
from motorisk.pipelines.audit.sealing import seal_quotes
from motorisk.pipelines.audit.verifying import require_intact, verify, verify_audit
from motorisk.registry import shadows, transitions
from motorisk.registry.events import record
from motorisk.registry.versions import load_plan
from motorisk.warehouse.migrate import downgrade, upgrade
from motorisk.warehouse.tables import model_event, quote

YESTERDAY = datetime.now(UTC).replace(minute=10, second=0, microsecond=0) - timedelta(days=1)


def _quote(at: datetime, reference: str | None = None, **changed: Any) -> dict[str, Any]:
    features = {name: feature.is_flag or 40.1 for name, feature in FEATURES.items()}
    row = {"quoted_at": at, "quote_id": uuid4(), "channel": "mock", "reference": reference, "effective_date": at.date()}
    return row | features | changed


def _record(engine: Engine, *rows: dict[str, Any]) -> list[UUID]:
    with engine.begin() as connection:
        connection.execute(insert(quote), rows)
    return [row["quote_id"] for row in rows]


def _filled(engine: Engine, offer: Callable[..., int]) -> list[UUID]:
    """Two versions, one of them the champion, and five sealed quotes of two hours."""
    version, _ = offer(engine, 1.0), offer(engine, 2.0)
    with engine.begin() as connection:
        shadows.start(connection, version, by="uma")
        transitions.approve(connection, version, by="uma", comment="näher dran")
    times = [YESTERDAY + timedelta(seconds=seconds) for seconds in (0, 1, 1, 3600, 3601)]
    ids = _record(engine, *(_quote(at, reference=f"tab\t{number}\\") for number, at in enumerate(times)))
    assert seal_quotes(engine).quotes == 5
    return ids


@pytest.fixture(scope="module")
def sealed(postgres: str, offer: Callable[..., int]) -> Iterator[tuple[Engine, list[UUID]]]:
    """A sealed database that all tests share: what they do to it they roll back."""
    maintenance = create_engine(postgres.format(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with maintenance.connect() as connection:
        connection.execute(text("CREATE DATABASE sealed TEMPLATE motorisk_template"))
    engine = create_engine(postgres.format(database="sealed"))
    yield engine, _filled(engine, offer)
    engine.dispose()


@contextmanager
def tampering(engine: Engine) -> Iterator[Connection]:
    """As somebody who owns the server: no trigger and no constraint holds him up. In the end all is as it was."""
    with engine.connect() as connection, connection.begin() as transaction:
        for name in ("quote DROP CONSTRAINT quote_check", "model_version DROP CONSTRAINT model_version_check1"):
            connection.execute(text(f"ALTER TABLE motorisk.{name}"))
        connection.execute(text("DROP INDEX motorisk.one_champion"))
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        yield connection
        transaction.rollback()


def found(connection: Connection, *anchors: str) -> list[tuple[str, str]]:
    return [(finding.what, finding.where) for finding in verify(connection, anchors).findings]


def test_what_nobody_touched_is_intact(sealed: tuple[Engine, list[UUID]]) -> None:
    engine, _ = sealed
    run = verify_audit(engine)
    assert run.is_intact, run.findings
    assert (run.events, run.versions, run.seals, run.quotes, run.unsealed, run.late) == (7, 2, 2, 5, 0, 0)
    require_intact(run)


@pytest.mark.parametrize(
    "change",
    [
        "gross = 1",
        "age = age + 1e-9",
        "reference = 'another'",
        "reference = NULL",
        "client = 'broker'",
        "effective_date = effective_date + 1",
        "channel = 'quote'",
    ],
)
def test_a_changed_quote_is_named(sealed: tuple[Engine, list[UUID]], change: str) -> None:
    engine, ids = sealed
    with tampering(engine) as connection:
        connection.execute(text(f"UPDATE motorisk.quote SET {change} WHERE quote_id = :id"), {"id": ids[1]})
        ((what, where),) = found(connection)
    assert what == "changed"
    assert f"quote {ids[1]}" in where
    assert "seal 1" in where


@pytest.mark.parametrize(
    ("change", "what", "where"),
    [
        ("UPDATE motorisk.quote_seal SET late = 1 WHERE seal_id = 1", "changed", "seal 1"),
        (
            "UPDATE motorisk.quote_seal SET sealed_at = sealed_at - interval '1 s' WHERE seal_id = 2",
            "changed",
            "seal 2",
        ),
        ("UPDATE motorisk.model_event SET actor = 'eve' WHERE position = 3", "changed", "event 3"),
        (
            "UPDATE motorisk.model_event SET details = '{}' WHERE event = 'approved'",
            "changed",
            "'approved' of version 1",
        ),
        (
            "UPDATE motorisk.model_event SET happened_at = happened_at - interval '1 us' WHERE position = 1",
            "changed",
            "event 1",
        ),
        (
            "UPDATE motorisk.model_event SET comment = NULL WHERE event = 'approved'",
            "changed",
            "'approved' of version 1",
        ),
        ("DELETE FROM motorisk.model_event WHERE position = 5", "removed", "event 5"),
        ("DELETE FROM motorisk.model_event WHERE position BETWEEN 2 AND 4", "removed", "events 2 to 4"),
        (
            "INSERT INTO motorisk.model_event (version, event, actor, position, digest) VALUES (1, 'a', 'b', 8, :d)",
            "changed",
            "event 8",
        ),
        ("UPDATE motorisk.model_version SET state = 'approved' WHERE version = 2", "changed", "version 2 is approved"),
        (
            "UPDATE motorisk.model_version SET plan = plan || ' ' WHERE version = 1",
            "changed",
            "rating plan of version 1",
        ),
    ],
)
def test_a_changed_seal_event_or_version_is_named(
    sealed: tuple[Engine, list[UUID]], change: str, what: str, where: str
) -> None:
    engine, _ = sealed
    with tampering(engine) as connection:
        connection.execute(text(change), {"d": "a" * 64} if ":d" in change else {})
        findings = found(connection)
    assert any(kind == what and where in name for kind, name in findings), findings


def test_a_removed_quote_and_one_in_its_place_are_named(sealed: tuple[Engine, list[UUID]]) -> None:
    engine, ids = sealed
    forged = _quote(YESTERDAY + timedelta(hours=1))
    with tampering(engine) as connection:
        connection.execute(text("DELETE FROM motorisk.quote WHERE quote_id = :id"), {"id": ids[3]})
        ((what, where),) = found(connection)
        assert what == "removed"
        assert f"quote {ids[3]}" in where
        connection.execute(insert(quote), forged)
        inserted, removed = sorted(found(connection))
    assert (inserted[0], removed[0]) == ("inserted", "removed")
    assert f"quote {forged['quote_id']}" in inserted[1]
    assert removed[1] == where


def test_a_trail_written_anew_does_not_fit_the_seals(sealed: tuple[Engine, list[UUID]]) -> None:
    engine, _ = sealed
    with tampering(engine) as connection:
        connection.execute(update(model_event).where(model_event.c.position == 2).values(actor="eve"))
        before = BEFORE_THE_FIRST
        for row in list(events(connection)):
            before = event_digest(before, row.content)
            connection.execute(update(model_event).where(model_event.c.position == row.position).values(digest=before))
        ((what, where), *_) = found(connection)
    assert what == "changed"
    assert "event 7 of the audit trail is not what it was when seal 1 was made" in where


def test_the_end_cut_off_is_told_by_what_was_told_earlier(sealed: tuple[Engine, list[UUID]]) -> None:
    engine, ids = sealed
    told = seal_quotes(engine)
    with tampering(engine) as connection:
        assert found(connection, told.seal.digest, told.trail.digest) == []
        connection.execute(text("DELETE FROM motorisk.quote_seal WHERE seal_id = 2"))
        connection.execute(text("DELETE FROM motorisk.quote WHERE quote_id IN (:a, :b)"), {"a": ids[3], "b": ids[4]})
        assert found(connection) == []
        ((what, where),) = found(connection, told.seal.digest, told.trail.digest)
    assert what == "removed"
    assert told.seal.digest in where


def test_seals_accept_no_change_but_a_salt_that_goes(sealed: tuple[Engine, list[UUID]]) -> None:
    engine, _ = sealed
    other = "overlay(salts PLACING '\\x01' FROM 1 FOR 1)"
    for change in (
        "UPDATE motorisk.quote_seal SET late = 1",
        "DELETE FROM motorisk.quote_seal",
        "TRUNCATE motorisk.quote_seal",
        f"UPDATE motorisk.quote_seal SET salts = {other}",
        "UPDATE motorisk.quote_seal SET salts = NULL",
    ):
        with pytest.raises(ProgrammingError, match="append-only"), engine.begin() as connection:
            connection.execute(text(change))


def test_a_plan_of_more_bytes_than_any_has_does_not_get_in_and_is_not_read(sealed: tuple[Engine, list[UUID]]) -> None:
    engine, _ = sealed
    larger = text("UPDATE motorisk.model_version SET plan = repeat('x', :size) WHERE version = 1")
    with pytest.raises(IntegrityError, match="plan_size"), engine.begin() as connection:
        connection.execute(larger, {"size": MAX_PLAN_BYTES + 1})
    with tampering(engine) as connection:
        connection.execute(text("ALTER TABLE motorisk.model_version DROP CONSTRAINT plan_size"))
        connection.execute(larger, {"size": 2 * MAX_PLAN_BYTES})
        with pytest.raises(PlanRefused, match="larger than 4194304 bytes"):
            load_plan(connection, 1)


def test_quoting_pays_nothing_for_seals(sealed: tuple[Engine, list[UUID]]) -> None:
    engine, _ = sealed
    on_insert = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'motorisk.quote'::regclass AND tgtype & 4 > 0"
    with engine.connect() as connection:
        assert connection.scalars(text(on_insert)).all() == ["remember_for_drift"]


def test_what_comes_late_is_sealed_and_told(warehouse: Engine, offer: Callable[..., int]) -> None:
    _filled(warehouse, offer)
    (late,) = _record(warehouse, _quote(YESTERDAY + timedelta(seconds=2)))
    ((finding),) = verify_audit(warehouse).findings
    assert finding.what == "inserted"
    assert f"quote {late}" in finding.where
    again = seal_quotes(warehouse)
    assert (again.quotes, again.late, again.late_quotes) == (1, 1, [late])
    with warehouse.connect() as slow, slow.begin():
        slow.execute(insert(quote), _quote(datetime.now(UTC)))
        _record(warehouse, _quote(datetime.now(UTC)))
        assert seal_quotes(warehouse).quotes == 1
        slow.get_transaction().commit()
    assert verify_audit(warehouse).unsealed == 1
    _record(warehouse, *(_quote(YESTERDAY + timedelta(minutes=minute)) for minute in range(180)))
    with ThreadPoolExecutor(3) as pool:
        runs = [done.result() for done in [pool.submit(seal_quotes, warehouse) for _ in range(3)]]
    assert sum(run.quotes for run in runs) == 181, "each once"
    run = verify_audit(warehouse)
    assert run.is_intact, run.findings
    assert (run.quotes, run.late) == (188, 181)


def test_writers_of_events_at_once_make_one_chain_and_earlier_events_are_chained(
    warehouse: Engine, offer: Callable[..., int]
) -> None:
    version = offer(warehouse, 1.0)

    def write(number: int) -> None:
        with warehouse.begin() as connection:
            record(connection, version, "noted", f"clerk {number}", details={"number": number / 3})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    run = verify_audit(warehouse)
    assert run.is_intact, run.findings
    assert run.events == 42
    in_order = select(model_event).order_by(model_event.c.model_event_id)
    downgrade(warehouse, "0010")
    upgrade(warehouse)
    again = verify_audit(warehouse)
    assert again.is_intact, again.findings
    assert again.events == 42
    with warehouse.connect() as connection:
        assert [row.position for row in connection.execute(in_order)] == list(range(1, 43))


def test_the_command_names_what_it_found_and_ends_with_1(
    warehouse: Engine, offer: Callable[..., int], server_environment: dict[str, str], command: Callable[..., Any]
) -> None:
    ids = _filled(warehouse, offer)

    def audit(*arguments: str) -> Any:
        return command(server_environment, "audit", *arguments)

    assert json.loads(audit("seal", "--json").stdout)["seal"]["number"] == 2
    with warehouse.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE motorisk.quote SET age = 20 WHERE quote_id = :id"), {"id": ids[4]})
    done = audit("verify", "--json")
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert said["intact"] is False
    assert said["found"] == len(said["findings"]) == 1
    assert f"quote {ids[4]}" in said["findings"][0]["where"]
    assert done.stderr.startswith("Evidence broken: 1 findings: changed: quote")
    later = audit("verify", "--since", (YESTERDAY + timedelta(days=2)).date().isoformat())
    assert later.returncode == 0, later.stderr
