"""Performance and its alarm, on simulated worlds in a real Postgres."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest
from sqlalchemy import Engine, func, select, update

from motorisk.domain.policy import FEATURES
from motorisk.domain.risk import CLASS_BOUNDS, RiskClass
from motorisk.modelling.configuration import GateThresholds, TrainingConfiguration
from motorisk.pipelines.alarms import training_request
from motorisk.pipelines.performance import PerformanceReport, describe, report_performance
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.registry.versions import champion, load_plan
from motorisk.scoring.pricing import estimate, predictive_spread
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import alarm, outcome, performance, policy

START = date(2023, 1, 1)
CONFIGURATION = TrainingConfiguration(
    candidates=("rules", "gam", "trend_gam"), search_trials=0, gates=GateThresholds(min_accuracy=0.5)
)
LAST = date(2024, 7, 31)


def _world(
    warehouse: Engine, settings: Settings, *, months: int, drift_until: int | None, label_delay: int = 2
) -> None:
    """A version trained on the first month's 600 policies, and what came after it."""
    simulation = Simulation(
        start=START, months=months, policies_a_month=600, label_delay_months=label_delay, drift_until=drift_until
    )
    simulate_portfolio(warehouse, simulation)
    assert train(warehouse, settings, date(2023, 1, 31), CONFIGURATION).approved


def _drifting(warehouse: Engine, settings: Settings) -> None:
    _world(warehouse, settings, months=16, drift_until=None)


def _short(warehouse: Engine, settings: Settings) -> None:
    _world(warehouse, settings, months=4, drift_until=None)


@pytest.fixture
def drifting(built_once: Callable[..., Engine]) -> Engine:
    """Sixteen months of drift; outcomes take two months."""
    return built_once(_drifting)


@pytest.fixture
def short(built_once: Callable[..., Engine]) -> Engine:
    """Four months; outcomes take two months."""
    return built_once(_short)


def _stored(engine: Engine) -> list[tuple[object, ...]]:
    names = [column for column in performance.columns if column.name != "measured_at"]
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*names).order_by(performance.c.month))]


def test_the_figures_of_a_month_are_those_of_its_policies(short: Engine) -> None:
    """February 2023 once more, from the tables and the definitions."""
    (figures,) = (f for f in report_performance(short, LAST).months if f.month == date(2023, 2, 1))
    with short.connect() as connection:
        rows = connection.execute(
            select(policy.c.effective_date, outcome.c.risk, *(policy.c[name] for name in FEATURES))
            .join(outcome, outcome.c.policy_id == policy.c.policy_id)
            .where(policy.c.effective_date.between(date(2023, 2, 1), date(2023, 2, 28)))
        ).all()
        plan = load_plan(connection, figures.version)
    dates = np.array([row.effective_date for row in rows], dtype="datetime64[D]")
    risk = np.array([row.risk for row in rows])
    features = {name: np.array([row[2 + i] for row in rows], dtype=float) for i, name in enumerate(FEATURES)}
    inside = np.ones(len(rows), dtype=bool)
    for name in FEATURES:
        low, high = plan.support[name].widened()
        inside &= (low <= features[name]) & (features[name] <= high)
    assert 0 < inside.sum() < 600
    assert (figures.policies, figures.rows, figures.by_model) == (600, 600, inside.sum())

    answers = estimate(plan, {name: values[inside] for name, values in features.items()}, dates[inside])
    stated = answers.probabilities / 1e8
    residuals = risk[inside] - answers.expected_risk
    spread = predictive_spread(plan, dates[inside])
    assert figures.rmse == pytest.approx(np.sqrt(np.mean(residuals**2)))
    assert figures.bias == pytest.approx(residuals.sum() / np.sqrt((spread**2).sum()))
    assert figures.estimated_accuracy == pytest.approx(stated.max(axis=1).mean())
    high = int((risk[inside] > CLASS_BOUNDS[1]).sum())
    assert figures.actual is not None
    assert figures.expected is not None
    assert figures.actual["high"] == high
    assert sum(figures.actual.values()) == inside.sum()
    assert figures.expected["high"] == pytest.approx(stated[:, 2].sum())
    assert figures.actual_to_expected(RiskClass.HIGH) == pytest.approx(high / stated[:, 2].sum())
    gap = 0.0
    classes = np.select([risk[inside] < CLASS_BOUNDS[0], risk[inside] > CLASS_BOUNDS[1]], [0, 2], default=1)
    came_true = classes[:, None] == np.arange(3)
    for low in range(10):
        in_bin = (np.floor(stated * 10) == low) | ((stated == 1) & (low == 9))
        gap += abs((came_true - stated)[in_bin].sum())
    assert figures.calibration_error == pytest.approx(gap / (3 * inside.sum()))


def test_a_month_without_outcomes_has_the_versions_own_estimate_and_nothing_else(short: Engine) -> None:
    report = report_performance(short, date(2023, 3, 31))
    assert [(f.month.month, f.policies, f.rows) for f in report.months] == [(2, 600, 0), (3, 600, 0)]
    for figures in report.months:
        assert figures.estimated_accuracy == pytest.approx(0.9, abs=0.03)
        assert figures.accuracy is figures.log_loss is figures.rmse is figures.bias is figures.actual is None
    assert report.realised == report.promises == report.alarms == []
    assert [row[5] for row in _stored(short)] == [0, 0]


def test_a_month_half_known_is_judged_by_the_known_half(short: Engine) -> None:
    (february, _) = report_performance(short, date(2023, 4, 15)).months[:2]
    assert 200 < february.rows < 400
    assert february.policies == 600


def test_what_the_rules_answered_is_no_figure_of_the_version(short: Engine) -> None:
    with short.begin() as connection:
        connection.execute(
            update(policy)
            .where(policy.c.effective_date.between(date(2023, 2, 1), date(2023, 2, 28)))
            .values(power=3000)
        )
    report = report_performance(short, date(2023, 4, 30))
    february = report.months[0]
    assert (february.rows, february.by_model) == (600, 0)
    assert february.accuracy is not None
    assert february.estimated_accuracy is february.rmse is february.calibration_error is february.expected is None
    assert report.promises[0].e_value == 1.0


def test_performance_again_changes_nothing(drifting: Engine) -> None:
    first = report_performance(drifting, LAST)
    stored = _stored(drifting)
    assert report_performance(drifting, LAST) == first
    assert _stored(drifting) == stored


def test_a_night_for_a_past_date_leaves_later_figures_alone(short: Engine) -> None:
    report_performance(short, LAST)
    stored = _stored(short)
    assert len(report_performance(short, date(2023, 4, 15)).months) == 3
    assert _stored(short) == stored


def test_a_look_into_the_future_does_not_stay(short: Engine) -> None:
    report_performance(short, LAST)
    stored = _stored(short)
    report_performance(short, date(2199, 1, 1))
    assert _stored(short) != stored
    report_performance(short, LAST)
    assert _stored(short) == stored


def _alarms(engine: Engine) -> list[tuple[int, str, date, date, float]]:
    columns = (alarm.c.version, alarm.c.cause, alarm.c.as_of, alarm.c.since, alarm.c.e_value)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*columns))]


def _nights(engine: Engine, *days: date) -> list[PerformanceReport]:
    return [report_performance(engine, day) for day in days]


def test_a_version_that_a_drifting_world_leaves_behind_raises_an_alarm_once(drifting: Engine) -> None:
    quiet, loud, later = _nights(drifting, date(2023, 5, 31), date(2024, 5, 31), LAST)
    assert quiet.alarms == []
    (raised,) = loud.alarms
    (promise,) = loud.promises
    assert promise.e_value >= promise.threshold == 1000
    assert date(2023, 6, 1) < raised.since < date(2024, 5, 31)
    assert raised.reason == describe(promise)
    assert f"version {promise.version} does worse than it promised since {raised.since} (evidence" in raised.reason
    assert [(found.as_of, found.since) for found in later.alarms] == [(raised.as_of, raised.since)]
    assert _alarms(drifting) == [(promise.version, "performance", date(2024, 5, 31), raised.since, promise.e_value)]
    accuracy = [figures.accuracy for figures in later.realised if figures.accuracy is not None]
    assert accuracy[-1] < accuracy[0] - 0.05
    estimates = [figures.estimated_accuracy for figures in later.months if figures.estimated_accuracy is not None]
    assert estimates[-1] > estimates[0] - 0.03, "the version's own certainty does not see it"


def test_the_alarm_is_raised_on_the_day_that_its_since_names(drifting: Engine) -> None:
    (raised,) = report_performance(drifting, LAST).alarms
    before, on = _nights(drifting, date.fromordinal(raised.since.toordinal() - 1), raised.since)
    assert before.alarms == []
    (first,) = on.alarms
    assert (first.as_of, first.since, first.last_seen) == (raised.since, raised.since, LAST)
    assert first.e_value is not None
    assert raised.e_value is not None
    assert 1000 <= first.e_value == on.promises[0].e_value < raised.e_value
    assert f"(evidence 1 : {first.e_value:,.0f})" in first.reason
    assert report_performance(drifting, LAST).alarms == [first]


def test_changing_the_future_changes_no_evidence(drifting: Engine) -> None:
    before = report_performance(drifting, date(2023, 10, 31))
    with drifting.begin() as connection:
        connection.execute(update(outcome).where(outcome.c.observed_on > date(2023, 10, 31)).values(risk=99.0))
    assert report_performance(drifting, date(2023, 10, 31)) == before


def test_a_world_that_stands_still_raises_none(warehouse: Engine, settings: Settings) -> None:
    _world(warehouse, settings, months=16, drift_until=0)
    report = report_performance(warehouse, LAST)
    assert len(report.realised) == 15
    assert report.alarms == []
    assert report.promises[0].e_value < 1


def test_a_backfill_stores_the_alarm_and_asks_for_nothing(drifting: Engine) -> None:
    (raised,) = report_performance(drifting, LAST).alarms
    with drifting.connect() as connection:
        assert training_request(connection, LAST, [raised.key], today=date(2026, 1, 1)) is None
        request = training_request(connection, LAST, [raised.key], today=date(2024, 8, 1))
        assert request is not None
        assert (request.as_of, request.reason) == (LAST, raised.reason)


def test_a_champion_that_was_trained_since_answers_the_alarm(drifting: Engine, settings: Settings) -> None:
    (raised,) = report_performance(drifting, LAST).alarms
    assert train(drifting, settings, LAST, CONFIGURATION).approved
    with drifting.connect() as connection:
        assert champion(connection).as_of > raised.since
        assert training_request(connection, LAST, [raised.key], today=date(2024, 8, 1)) is None
        assert connection.scalar(select(func.count()).select_from(alarm).where(alarm.c.asked_at.is_not(None))) == 0
