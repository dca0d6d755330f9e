"""Quotes computed again from the ledger."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event, select, text

from motorisk.domain.policy import PolicyFeatures
from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic, RatingPlan, Support
from motorisk.errors import PermissionMissing, ReplayDiffers
from motorisk.pipelines.replay import ReplayRun, replay_days, replay_ids, require_exact
from motorisk.quoting.champion import ServedModel
from motorisk.quoting.database import Database
from motorisk.quoting.ledger import Entry, LedgerSession
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.rows import input_line, priced_line
from motorisk.quoting.service import Asked, price
from motorisk.registry import transitions, versions
from motorisk.registry.tariffs import tariffs
from motorisk.settings import Settings
from motorisk.warehouse.database import pool_of
from motorisk.warehouse.tables import quote

DAY = date(2026, 3, 14)
QUOTES = 300
NO_DATABASE = {"MOTORISK_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}


def plan(intercept: float) -> RatingPlan:
    def straight(at: float, slope: float) -> NumberTerm:
        curve = PiecewiseCubic(
            breakpoints=(at, at + 7.3),
            coefficients=((0.0, slope, 0.0, 0.0), (0.0, slope, 0.003, -1e-4), (0.4, slope, 0.0, 0.0)),
        )
        return NumberTerm(level=curve, trend=curve, average=0.1)

    return RatingPlan(
        candidate="by hand",
        as_of=date(2026, 1, 1),
        snapshot_digest="5" * 64,
        intercept=intercept,
        spread=0.4,
        class_bounds=(1.0, 3.0),
        trend_months=(0.0, 24.0),
        terms={
            "training": FlagTerm(level=(0.0, -3.7), average=-0.8),
            "age": straight(35.0, 0.013),
            "emergency_braking": FlagTerm(level=(0.0, -1.1), average=-0.4),
            "braking_distance": straight(40.0, 0.21),
            "power": straight(100.0, 0.019),
            "miles": straight(50.0, 0.024),
        },
        support={
            "training": Support(0.0, 1.0),
            "age": Support(16.0, 95.0),
            "emergency_braking": Support(0.0, 1.0),
            "braking_distance": Support(22.0, 58.0),
            "power": Support(40.0, 290.0),
            "miles": Support(5.0, 180.0),
        },
    )


@pytest.fixture
def ledger(warehouse: Engine, settings: Settings) -> list[uuid.UUID]:
    """Quotes of two versions, by the model and by the rules, made on one day; and one recorded input."""
    database = Database(settings)
    with database.probe():
        database.came_back()
    session = LedgerSession(database)
    generator = np.random.default_rng(1)
    made: list[uuid.UUID] = []
    for intercept in (1.0, 1.5):
        with warehouse.begin() as connection:
            registered = versions.register(
                connection, plan(intercept), rows=1500, metrics={}, gates=[], parameters={}, provenance={},
                trained_by="tess",
            )  # fmt: skip
            transitions.validate(connection, registered.version, by="tess")
            model = ServedModel(transitions.approve(connection, registered.version, by="uma"), Pricer(plan(intercept)))
            known = tariffs(connection)
        entries = []
        for number in range(QUOTES // 2):
            features = PolicyFeatures(
                float(generator.random() < 0.5),
                generator.uniform(15, 110),
                float(generator.random() < 0.5),
                generator.uniform(20, 60),
                generator.uniform(40, 300),
                generator.uniform(0, 190),
            )
            priced, _ = price(model, known, Asked(features, date(2026, 1, 1) + timedelta(days=number * 5)))
            priced = priced._replace(quoted_at=datetime(2026, 3, 14, 12, tzinfo=UTC))
            entries.append(Entry(priced_line(priced)))
            made.append(priced.quote_id)
        session.append(entries)
    recorded = input_line(uuid.uuid4(), datetime(2026, 3, 14, tzinfo=UTC), DAY, PolicyFeatures(*[1.0] * 6), None)
    session.append([Entry(recorded)])
    return made


def change(warehouse: Engine, quote_id: uuid.UUID, values: str) -> None:
    """As nobody can without taking the ledger's guard away."""
    with warehouse.begin() as connection:
        connection.execute(text("ALTER TABLE motorisk.quote DISABLE TRIGGER append_only"))
        for partition in connection.scalars(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'motorisk.quote'::regclass")
        ).all():
            connection.execute(text(f"ALTER TABLE {partition} DISABLE TRIGGER ALL"))
        connection.execute(text(f"UPDATE motorisk.quote SET {values} WHERE quote_id = :id"), {"id": quote_id})


def test_every_quote_comes_out_as_it_was_answered(warehouse: Engine, ledger: list[uuid.UUID]) -> None:
    with warehouse.connect() as connection:
        predictors = set(connection.scalars(select(quote.c.predictor).where(quote.c.version.is_not(None))))
    assert predictors == {"model", "rules"}
    for run in (replay_ids(warehouse, ledger), replay_days(warehouse, DAY, DAY)):
        assert run == ReplayRun(quotes=QUOTES)
        require_exact(run)


def test_only_the_days_that_are_asked_for_are_replayed(warehouse: Engine, ledger: list[uuid.UUID]) -> None:
    assert replay_days(warehouse, DAY - timedelta(days=9), DAY - timedelta(days=1)).quotes == 0
    assert replay_days(warehouse, DAY + timedelta(days=1), DAY + timedelta(days=9)).quotes == 0
    assert replay_days(warehouse, DAY, DAY, sample=17).quotes == 17


@pytest.mark.fault("tampered records")
@pytest.mark.parametrize(
    ("values", "what"),
    [
        ("gross = gross + 0.01, net = net + 0.01", {"net", "gross"}),
        ("expected_risk = expected_risk + 2e-9", {"expected_risk"}),
        ("p_low = p_low + 1, p_high = p_high - 1", {"p_low", "p_high"}),
        ("risk_class = CASE risk_class WHEN 'low' THEN 'high' ELSE 'low' END", {"risk_class"}),
        ("power = power + 1e-6", {"expected_risk"}),
    ],
)
def test_the_least_difference_is_found(warehouse: Engine, ledger: list[uuid.UUID], values: str, what: set[str]) -> None:
    with warehouse.connect() as connection:
        by_model = connection.scalar(
            select(quote.c.quote_id).where(quote.c.p_high.between(1000, 10**8 - 1000)).limit(1)
        )
    change(warehouse, by_model, values)
    run = replay_days(warehouse, DAY, DAY)
    assert (run.quotes, run.differing) == (QUOTES, 1)
    assert {found.quote_id for found in run.differences} == {by_model}
    assert {found.way for found in run.differences} == {"quoting", "scoring"}
    assert what <= {found.what for found in run.differences}
    with pytest.raises(ReplayDiffers, match=str(by_model)):
        require_exact(run)


def test_a_difference_below_the_tolerance_is_none(warehouse: Engine, ledger: list[uuid.UUID]) -> None:
    change(warehouse, ledger[0], "expected_risk = expected_risk + 1e-10")
    assert replay_ids(warehouse, ledger[:1]).is_exact


@pytest.mark.fault("tampered records")
def test_a_changed_tariff_is_found(warehouse: Engine, ledger: list[uuid.UUID]) -> None:
    with warehouse.begin() as connection:
        connection.execute(text("UPDATE motorisk.tariff SET base_premium = base_premium + 10"))
    assert replay_days(warehouse, DAY, DAY).differing == QUOTES


@pytest.mark.fault("tampered records")
def test_a_changed_plan_is_found_and_named(warehouse: Engine, ledger: list[uuid.UUID]) -> None:
    with warehouse.begin() as connection:
        connection.execute(text("UPDATE motorisk.model_version SET plan = '{}' WHERE state = 'approved'"))
    run = replay_days(warehouse, DAY, DAY)
    assert run.differing == QUOTES // 2
    assert {found.what for found in run.differences} == {"model"}


@pytest.mark.fault("missing permission")
def test_a_plan_that_may_not_be_read_is_no_difference(database_url: str, ledger: list[uuid.UUID]) -> None:
    """Whoever replays has to be told what he lacks, not that each quote was wrong."""
    engine = pool_of(database_url)

    def lose_rights(connection: Any, record: Any) -> None:
        connection.cursor().execute("SET ROLE pg_monitor")
        connection.commit()

    with engine.begin() as connection:
        for granted in ("USAGE ON SCHEMA motorisk", "SELECT ON motorisk.quote", "SELECT ON motorisk.tariff"):
            connection.execute(text(f"GRANT {granted} TO pg_monitor"))
    engine.dispose()
    event.listen(engine, "connect", lose_rights)
    with pytest.raises(PermissionMissing, match="model_version"):
        replay_ids(engine, ledger)
    engine.dispose()


def test_the_command_says_what_differs_and_exits_with_1(
    warehouse: Engine, ledger: list[uuid.UUID], motorisk: Callable[..., Any]
) -> None:
    exact = motorisk("quote", "replay", "--from", "2026-03-14", "--to", "2026-03-14", "--json")
    assert exact.returncode == 0, exact.stderr
    assert json.loads(exact.stdout) == {"quotes": QUOTES, "differing": 0, "missing": [], "differences": []}
    change(warehouse, ledger[0], "gross = gross + 0.01, net = net + 0.01")
    unknown = str(uuid.uuid4())
    differing = motorisk("quote", "replay", str(ledger[0]), str(ledger[1]), unknown, "--json")
    assert differing.returncode == 1
    found: dict[str, Any] = json.loads(differing.stdout)
    assert (found["quotes"], found["differing"], found["missing"]) == (2, 1, [unknown])
    first = found["differences"][0]
    assert first["quote_id"] == str(ledger[0])
    assert Decimal(first["answered"]) - Decimal(first["computed"]) == Decimal("0.01")
    told = motorisk("quote", "replay", str(ledger[0]))
    assert told.returncode == 1
    assert "1 quote computed again, 1 differs." in told.stdout


@pytest.mark.bad_input("command line")
@pytest.mark.parametrize("arguments", [(), ("--to", "2026-01-01"), ("not-an-id",), ("--from", "yesterday")])
def test_wrong_usage_exits_with_2(in_process: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    assert in_process(NO_DATABASE, "quote", "replay", *arguments).returncode == 2
