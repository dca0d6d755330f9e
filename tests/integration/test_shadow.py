"""Shadows: quotes of the ledger, priced again by a challenger and compared."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, func, select, text, update

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.rating_plan import RatingPlan
from motorisk.errors import NoTariff, PlanRefused, TransitionRefused, UnknownVersion
from motorisk.pipelines.shadow import following
from motorisk.pipelines.shadow.challenger import start_shadow
from motorisk.pipelines.shadow.comparison import report
from motorisk.pipelines.shadow.following import follow, keep_following, require_followed
from motorisk.pipelines.shadow.wording import to_line, to_markdown
from motorisk.quoting.champion import ServedModel
from motorisk.quoting.database import Database
from motorisk.quoting.ledger import Entry, LedgerSession
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.quote import PricedQuote
from motorisk.quoting.rows import input_line, priced_line
from motorisk.quoting.service import Asked, price
from motorisk.registry import shadows, transitions
from motorisk.registry.events import history
from motorisk.registry.tariffs import tariffs
from motorisk.registry.versions import champion, load_plan
from motorisk.settings import Settings
from motorisk.warehouse.tables import model_version, quote, shadow_quote

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
DAY = NOON.date()

Offer = Callable[..., int]
Write = Callable[..., list[PricedQuote]]


@pytest.fixture
def versions(warehouse: Engine, offer: Offer) -> tuple[int, int]:
    """The champion, and a challenger that thinks more of everybody's risk."""
    served, challenger = offer(warehouse, 1.0), offer(warehouse, 1.3)
    with warehouse.begin() as connection:
        transitions.approve(connection, served, by="uma")
    return served, challenger


@pytest.fixture
def write(warehouse: Engine, settings: Settings) -> Write:
    """Write quotes of the champion into the ledger as the quote service does; answers them."""
    database = Database(settings)
    with database.probe():
        database.came_back()
    generator = np.random.default_rng(1)

    def append(moments: Sequence[datetime]) -> list[PricedQuote]:
        with warehouse.connect() as connection:
            version = champion(connection)
            model = ServedModel(version, Pricer(load_plan(connection, version.version)))
            known = tariffs(connection)
        made = []
        for number, moment in enumerate(moments):
            # Ages beyond 105 are beyond the model's experience: the rules answer.
            values = [generator.uniform(20, 95) for _ in FEATURES]
            features = PolicyFeatures(*values)._replace(
                training=float(generator.random() < 0.5),
                emergency_braking=float(generator.random() < 0.5),
                age=generator.uniform(16, 115),
            )
            priced, _ = price(model, known, Asked(features, date(2024, 2, 1) + timedelta(days=number % 300)))
            made.append(priced._replace(quoted_at=moment))
        # And an input that was recorded for drift monitoring alone: nobody priced it.
        unpriced = input_line(uuid.uuid4(), moments[0], DAY, PolicyFeatures(*[1.0] * 6), None)
        session = LedgerSession(database)
        session.append([*(Entry(priced_line(priced)) for priced in made), Entry(unpriced)])
        session.close()
        return made

    return append


def start(warehouse: Engine, version: int, *, since: datetime | None = NOON - timedelta(days=1)) -> shadows.Shadow:
    with warehouse.begin() as connection:
        return start_shadow(connection, version, by="tess", since=since)


def at(quotes: int, moment: datetime = NOON) -> list[datetime]:
    return [moment + timedelta(milliseconds=number) for number in range(quotes)]


def priced(warehouse: Engine, version: int) -> dict[uuid.UUID, Any]:
    with warehouse.connect() as connection:
        rows = connection.execute(select(shadow_quote).where(shadow_quote.c.version == version)).all()
    found = {row.quote_id: row for row in rows}
    assert len(found) == len(rows)
    return found


def plan_of(warehouse: Engine, version: int) -> RatingPlan:
    with warehouse.connect() as connection:
        return load_plan(connection, version)


def tamper(warehouse: Engine, version: int) -> None:
    """Change a version's plan behind its digest."""
    with warehouse.begin() as connection:
        known = connection.scalar(select(model_version.c.plan).where(model_version.c.version == version))
        assert known is not None
        plan = known.replace('"spread":0.4', '"spread":0.1')
        connection.execute(update(model_version).where(model_version.c.version == version).values(plan=plan))


def test_every_quote_is_priced_as_the_quote_service_would_with_the_challenger(
    warehouse: Engine, versions: tuple[int, int], write: Write
) -> None:
    quotes = write(at(500))
    start(warehouse, versions[1])
    (done,) = follow(warehouse)
    assert (done.version, done.quotes, done.error) == (versions[1], 500, None)
    pricer, found = Pricer(plan_of(warehouse, versions[1])), priced(warehouse, versions[1])
    with warehouse.connect() as connection:
        (tariff,) = tariffs(connection)
    assert found.keys() == {item.quote_id for item in quotes}
    predictors = set()
    for item in quotes:
        row, expected = found[item.quote_id], pricer.assess(item.features, item.effective_date)
        premium = tariff.premium(expected.price_probabilities)
        predictors.add(expected.predictor)
        assert (row.quoted_at, row.predictor, row.risk_class) == (
            item.quoted_at, expected.predictor, expected.risk_class,
        )  # fmt: skip
        assert (row.p_low, row.p_medium, row.p_high) == expected.price_probabilities
        assert (row.net, row.insurance_tax, row.gross) == premium_fields(premium)
        if expected.estimate is None:
            assert row.expected_risk is None
        else:
            assert row.expected_risk == pytest.approx(expected.estimate.expected_risk, abs=1e-9)
    assert predictors == {"model", "rules"}


def premium_fields(premium: Any) -> tuple[Decimal, Decimal, Decimal]:
    return premium.net, premium.insurance_tax, premium.gross


@pytest.mark.fault("two at once")
def test_a_quote_is_priced_once_however_often_and_by_however_many_it_is_looked_for(
    warehouse: Engine, versions: tuple[int, int], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "QUOTES_AT_ONCE", 7)
    start(warehouse, versions[1])
    write(at(60) + [NOON] * 40)  # more at one moment than are priced at once
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: follow(warehouse), range(3)))
    assert sum(one.quotes for run in runs for one in run) == 100
    assert len(priced(warehouse, versions[1])) == 100
    assert [one.quotes for one in follow(warehouse)] == [0]


@pytest.mark.fault("Postgres stopped")
def test_a_follower_waits_for_a_database_that_is_away_and_goes_on(
    warehouse: Engine, versions: tuple[int, int], write: Write, unreachable: Any, caplog: pytest.LogCaptureFixture
) -> None:
    start(warehouse, versions[1])
    told: list[following.Followed] = []
    stopped = threading.Event()

    def wait_for(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    follower = threading.Thread(
        target=keep_following, args=(warehouse, stopped), kwargs={"every": 0.02, "told": told.append}
    )
    follower.start()
    try:
        now = datetime.now(UTC)
        write(at(5, now))
        wait_for(lambda: told)
        with unreachable(warehouse):
            wait_for(lambda: "does not answer" in caplog.text)
        wait_for(lambda: "answers again" in caplog.text)
        write(at(5, now + timedelta(seconds=1)))
        wait_for(lambda: sum(one.quotes for one in told) == 10)
    finally:
        stopped.set()
        follower.join()
    assert caplog.text.count("does not answer") == 1
    assert len(priced(warehouse, versions[1])) == 10


def test_quotes_that_come_late_through_a_journal_are_found(
    warehouse: Engine, versions: tuple[int, int], write: Write
) -> None:
    now = datetime.now(UTC)
    start(warehouse, versions[1], since=now - timedelta(days=40))
    write([now - timedelta(seconds=5)])
    assert [one.quotes for one in follow(warehouse)] == [1]
    write([now - timedelta(days=30), now - timedelta(hours=3), now - timedelta(seconds=10)])
    assert [one.quotes for one in follow(warehouse, thoroughly=False)] == [1]
    assert [one.quotes for one in follow(warehouse)] == [2]
    write([now - timedelta(days=39)])
    assert [one.quotes for one in follow(warehouse)] == [0]
    with warehouse.connect() as connection:
        assert report(connection, versions[1]).unpriced == 1  # it does not go unnoticed
    with warehouse.begin() as connection:  # stopped and started again, it looks through everything
        shadows.stop(connection, versions[1], by="tess")
        start_shadow(connection, versions[1], by="tess")
    assert [one.quotes for one in follow(warehouse)] == [1]


def test_quotes_made_before_the_start_are_left_out_unless_asked_for(
    warehouse: Engine, versions: tuple[int, int], write: Write
) -> None:
    write(at(3, datetime.now(UTC) - timedelta(hours=1)))
    start(warehouse, versions[1], since=None)
    write(at(2, datetime.now(UTC)))
    assert [one.quotes for one in follow(warehouse)] == [2]
    start(warehouse, versions[1], since=datetime.now(UTC) - timedelta(hours=2))
    assert [one.quotes for one in follow(warehouse)] == [3]


def test_only_a_validated_version_can_be_a_shadow_and_every_change_is_in_the_audit_trail(
    warehouse: Engine, versions: tuple[int, int]
) -> None:
    served, challenger = versions
    with pytest.raises(TransitionRefused, match="is approved, only a validated one"):
        start(warehouse, served)
    with pytest.raises(UnknownVersion):
        start(warehouse, 99)
    first = start(warehouse, challenger)
    assert start(warehouse, challenger) == first
    with warehouse.begin() as connection:
        assert shadows.running(connection) == [first]
        assert shadows.stop(connection, challenger, by="uma", comment="enough").stopped_at is not None
        shadows.stop(connection, challenger, by="uma")
        with pytest.raises(TransitionRefused, match="was never shadowed"):
            shadows.stop(connection, served, by="uma")
        with pytest.raises(TransitionRefused, match="must be named"):
            shadows.stop(connection, challenger, by=" ")
        told = [(event.event, event.actor, event.comment) for event in history(connection, challenger)]
        assert shadows.running(connection) == []
    assert told[2:] == [("shadow started", "tess", None), ("shadow stopped", "uma", "enough")]


@pytest.mark.parametrize("decision", ["approved", "rejected"])
def test_a_decision_about_a_version_ends_its_shadow(
    warehouse: Engine, versions: tuple[int, int], write: Write, decision: str
) -> None:
    challenger = versions[1]
    start(warehouse, challenger)
    write(at(5))
    follow(warehouse)
    decide = transitions.approve if decision == "approved" else transitions.reject
    with warehouse.begin() as connection:
        assert decide(connection, challenger, by="uma").state == decision
        last = history(connection, challenger)[-1]
        assert (last.event, last.actor, last.details) == ("shadow stopped", "uma", {"because": decision})
    write(at(5, NOON + timedelta(hours=1)))
    assert follow(warehouse) == []
    assert len(priced(warehouse, challenger)) == 5
    with pytest.raises(TransitionRefused, match="no running shadow"):
        follow(warehouse, version=challenger)
    with pytest.raises(TransitionRefused, match=f"is {decision}"):
        start(warehouse, challenger)
    with warehouse.connect() as connection:
        assert report(connection, challenger).quotes == 5


def test_a_version_that_was_retired_past_the_registry_is_no_shadow_any_more(
    warehouse: Engine, versions: tuple[int, int]
) -> None:
    start(warehouse, versions[1])
    with warehouse.begin() as connection:
        connection.execute(
            text(
                "UPDATE motorisk.model_version SET state = 'retired', approved_by = 'x', approved_at = now() "
                "WHERE version = :version"
            ),
            {"version": versions[1]},
        )
    assert follow(warehouse) == []


@pytest.mark.fault("corrupted rating plan")
def test_a_broken_plan_is_refused_and_the_other_shadows_are_priced(
    warehouse: Engine, versions: tuple[int, int], offer: Offer, write: Write
) -> None:
    broken, sound = versions[1], offer(warehouse, 0.5)
    write(at(10))
    start(warehouse, broken)
    start(warehouse, sound)
    tamper(warehouse, broken)
    followed = follow(warehouse)
    assert [(one.version, one.quotes) for one in followed] == [(broken, 0), (sound, 10)]
    with pytest.raises(PlanRefused, match=f"version {broken} cannot be shadowed.*changed after training"):
        require_followed(followed)
    with warehouse.begin() as connection:
        shadows.stop(connection, broken, by="uma")
    with pytest.raises(PlanRefused):
        start(warehouse, broken)
    with warehouse.connect() as connection:
        assert [one.version for one in shadows.running(connection)] == [sound]


@pytest.mark.fault("corrupted rating plan")
def test_a_plan_that_reads_well_and_prices_nonsense_is_refused(
    warehouse: Engine, versions: tuple[int, int], offer: Offer
) -> None:
    with pytest.raises(PlanRefused, match="smoke prediction"):
        start(warehouse, offer(warehouse, 1e6))


def test_a_tariff_that_is_gone_is_named(warehouse: Engine, versions: tuple[int, int], write: Write) -> None:
    write(at(3))
    start(warehouse, versions[1])
    with warehouse.begin() as connection:
        connection.execute(text("UPDATE motorisk.tariff SET name = 'other'"))
    with pytest.raises(NoTariff, match="quotes of the tariff standard"):
        require_followed(follow(warehouse))
    assert priced(warehouse, versions[1]) == {}


def test_quotes_are_priced_in_the_tariffs_that_they_were_quoted_in(
    warehouse: Engine, versions: tuple[int, int], write: Write
) -> None:
    with warehouse.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO motorisk.tariff SELECT 'dear', '2024-06-01', 1200, factor_low, factor_medium, "
                "factor_high, tax_rate, currency FROM motorisk.tariff"
            )
        )
    quotes = write(at(300))
    assert {item.tariff for item in quotes} == {"standard", "dear"}
    start(warehouse, versions[1])
    assert [one.quotes for one in follow(warehouse)] == [300]
    pricer, found = Pricer(plan_of(warehouse, versions[1])), priced(warehouse, versions[1])
    with warehouse.connect() as connection:
        known = {tariff.name: tariff for tariff in tariffs(connection)}
    for item in quotes:
        expected = pricer.assess(item.features, item.effective_date).price_probabilities
        assert found[item.quote_id].net == known[item.tariff].premium(expected).net


def test_the_report_is_what_the_rows_say(warehouse: Engine, versions: tuple[int, int], write: Write) -> None:
    """Recomputed from the rows in plain Python."""
    start(warehouse, versions[1])
    quotes = write(at(400, NOON - timedelta(hours=12, seconds=0.2)))  # two days of the ledger
    follow(warehouse)
    write(at(3, NOON))
    with warehouse.connect() as connection:
        found = report(connection, versions[1])
    rows = priced(warehouse, versions[1])
    assert (found.quotes, found.unpriced, found.answered_by) == (400, 3, {versions[0]: 400})
    for answered in ("low", "medium", "high"):
        for shadow in ("low", "medium", "high"):
            count = sum((q.risk_class, rows[q.quote_id].risk_class) == (answered, shadow) for q in quotes)
            assert found.classes[answered][shadow] == count
    assert found.class_changes == sum(q.risk_class != rows[q.quote_id].risk_class for q in quotes) > 0
    for predictor in ("model", "rules"):
        assert found.predictors[predictor][predictor] == sum(q.predictor == predictor for q in quotes) > 0
    changes = {q.quote_id: float(rows[q.quote_id].net / q.premium.net - 1) for q in quotes}
    money = found.premiums
    assert money is not None
    ordered = sorted(changes.values())
    assert money.median == pytest.approx((ordered[199] + ordered[200]) / 2)
    assert ordered[18] <= money.low <= ordered[21]
    assert ordered[378] <= money.high <= ordered[381]
    assert (money.largest_rise, money.largest_fall) == pytest.approx((max(ordered[-1], 0), min(ordered[0], 0)))
    assert money.share_above_5_percent == sum(abs(change) > 0.05 for change in ordered) / 400
    assert money.answered_total == sum(q.premium.net for q in quotes)
    assert money.shadow_total == sum(row.net for row in rows.values())
    assert sum(part.quotes for part in found.segments) == 400
    young = next(part for part in found.segments if (part.age, part.emergency_braking) == ("below 25", True))
    own = [q for q in quotes if q.features.age < 25 and q.features.emergency_braking]
    assert young.quotes == len(own)
    assert young.premiums.shadow_total == sum(rows[q.quote_id].net for q in own)
    assert [example.quote_id for example in found.examples] == sorted(changes, key=lambda one: -abs(changes[one]))[:5]
    example = found.examples[0]
    assert example.change == pytest.approx(changes[example.quote_id])
    assert example.average is not None
    assert example.expected_risk is not None
    assert example.shadow_expected_risk is not None
    assert example.average == pytest.approx(0.3)  # the intercepts differ by that, and nothing else does
    assert all(reason.shadow == pytest.approx(reason.answered) for reason in example.reasons)
    with warehouse.connect() as connection:
        assert report(connection, versions[1], last=DAY - timedelta(days=1)).quotes == 200
        assert report(connection, versions[1], first=DAY, last=DAY).quotes == 200
        assert report(connection, versions[1], first=DAY + timedelta(days=1)).premiums is None
    told = to_markdown(found)
    assert "400 compared" in told
    assert str(example.quote_id) in told
    assert "average of the portfolio +0.30" in told


def test_a_shadow_without_quotes_has_an_empty_report(warehouse: Engine, versions: tuple[int, int]) -> None:
    start(warehouse, versions[1], since=None)
    with warehouse.connect() as connection:
        found = report(connection, versions[1])
        with pytest.raises(TransitionRefused, match="was never shadowed"):
            report(connection, versions[0])
    assert (found.quotes, found.premiums, found.examples) == (0, None, ())
    assert "nothing compared yet" in to_line(found)
    assert to_line(found) in to_markdown(found)


def test_the_commands(warehouse: Engine, versions: tuple[int, int], write: Write, motorisk: Callable[..., Any]) -> None:
    challenger = versions[1]
    write(at(50))
    started = motorisk("shadow", "start", str(challenger), "--by", "tess", "--since", "2026-03-14", "--json")
    assert started.returncode == 0, started.stderr
    assert json.loads(started.stdout)["running"] is True
    done = motorisk("shadow", "run", "--once", "--json")
    assert json.loads(done.stdout)["quotes"] == 50
    listed = json.loads(motorisk("shadow", "list", "--json").stdout)
    assert [(one["version"], one["started_by"], one["running"]) for one in listed] == [(challenger, "tess", True)]
    compared = json.loads(motorisk("shadow", "report", str(challenger), "--json").stdout)
    assert (compared["quotes"], compared["unpriced"], len(compared["examples"])) == (50, 0, 5)
    told = motorisk("shadow", "report", str(challenger), "--from", "2026-03-14", "--to", "2026-03-14")
    assert "50 compared" in " ".join(told.stdout.split())
    card = motorisk("models", "show", str(challenger))
    assert "50 compared" in " ".join(card.stdout.split())
    assert "shadow started" in card.stdout
    assert json.loads(motorisk("models", "show", str(versions[0]), "--json").stdout)["shadow"] is None
    tamper(warehouse, challenger)
    refused = motorisk("shadow", "run", "--once")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert f"version {challenger} cannot be shadowed" in refused.stderr
    stopped = motorisk("shadow", "stop", str(challenger), "--by", "uma", "--json")
    assert json.loads(stopped.stdout)["running"] is False
    with warehouse.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(quote)) == 51
