"""Training, scoring, drift and performance on a simulated world in a real Postgres."""

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, text, update

from motorisk.domain.policy import PolicyFeatures
from motorisk.domain.risk import ClassProbabilities
from motorisk.errors import NoChampion, NotEnoughData, ScoringIncomplete
from motorisk.modelling.configuration import GateThresholds, TrainingConfiguration, load_configuration
from motorisk.modelling.snapshot import extract_snapshot
from motorisk.pipelines.performance import report_performance
from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.scoring import publishing
from motorisk.pipelines.scoring.versions import Choice
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.quoting.pricing import Pricer
from motorisk.registry import transitions
from motorisk.registry.tariffs import in_force, tariffs
from motorisk.registry.versions import champion, find_champion, load_plan
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import outcome, performance, policy, score, score_run

START = date(2023, 1, 1)
END_OF_MONTH_0 = date(2023, 1, 31)
CONFIGURATION = TrainingConfiguration(candidates=("rules", "gam", "trend_gam"), search_trials=0)


def _simulate(warehouse: Engine, _: Settings) -> None:
    simulate_portfolio(warehouse, Simulation(start=START, months=15, policies_a_month=600))


def _train(warehouse: Engine, settings: Settings) -> None:
    _simulate(warehouse, settings)
    assert train(warehouse, settings, END_OF_MONTH_0, CONFIGURATION).approved


@pytest.fixture
def world(built_once: Callable[..., Engine]) -> Engine:
    """Fifteen months of 600 policies; outcomes take twelve months, but the first month's are known at once."""
    return built_once(_simulate)


@pytest.fixture
def championed(built_once: Callable[..., Engine]) -> Engine:
    """The same with a champion trained on the first month."""
    return built_once(_train)


def test_simulating_again_changes_nothing_and_more_months_only_add(warehouse: Engine) -> None:
    short, long = (Simulation(start=START, months=months, policies_a_month=50) for months in (2, 3))
    assert simulate_portfolio(warehouse, short).inserted == 100
    again = simulate_portfolio(warehouse, short)
    assert (again.inserted, again.unchanged) == (0, 100)
    assert simulate_portfolio(warehouse, long).inserted == 50


def test_a_snapshot_holds_what_was_known_on_the_date_and_nothing_later(world: Engine) -> None:
    with world.connect() as connection:
        first = extract_snapshot(connection, END_OF_MONTH_0, 3)
        later = extract_snapshot(connection, date(2024, 3, 15), 3)
        known = connection.execute(
            select(policy.c.policy_id)
            .join(outcome, outcome.c.policy_id == policy.c.policy_id)
            .where(policy.c.effective_date <= date(2024, 3, 15), outcome.c.observed_on <= date(2024, 3, 15))
        ).scalars()
        assert set(later.policy_ids) <= set(known)
    assert len(first) == 600
    assert {f"{day:%Y-%m}" for day in later.effective_dates.tolist()} == {"2023-01", "2023-02", "2023-03"}
    assert max(later.effective_dates.tolist()) <= date(2023, 3, 15)


def test_changing_the_future_changes_no_snapshot(world: Engine) -> None:
    with world.connect() as connection:
        before = extract_snapshot(connection, date(2024, 2, 29), 3)
    with world.begin() as connection:
        connection.execute(update(outcome).where(outcome.c.observed_on > date(2024, 2, 29)).values(risk=99.0))
        connection.execute(update(policy).where(policy.c.effective_date > date(2024, 2, 29)).values(age=99.0))
    with world.connect() as connection:
        assert extract_snapshot(connection, date(2024, 2, 29), 3).digest == before.digest


def test_training_twice_gives_the_same_digest_and_version(world: Engine, settings: Settings) -> None:
    first = train(world, settings, END_OF_MONTH_0, CONFIGURATION)
    second = train(world, settings, END_OF_MONTH_0, CONFIGURATION)
    assert first.version.digest == second.version.digest
    assert first.version.version == second.version.version


def test_a_version_tells_what_it_was_made_with(championed: Engine) -> None:
    with championed.connect() as connection:
        model = champion(connection)
    assert model.trained_by == "tess"
    assert model.parameters["knots"] == CONFIGURATION.knots
    assert set(model.provenance["libraries"]) >= {"motorisk", "numpy", "scikit-learn"}
    assert 0.8 < model.metrics["accuracy"] < 1
    assert all(gate["passed"] for gate in model.gates)


@pytest.mark.fault("empty portfolio")
def test_training_before_any_outcome_says_what_is_missing(world: Engine, settings: Settings) -> None:
    with pytest.raises(NotEnoughData, match="no outcome of any policy was known on 2022-12-31"):
        train(world, settings, date(2022, 12, 31), CONFIGURATION)
    with pytest.raises(NotEnoughData, match="at least 200 are needed"):
        train(world, settings, date(2023, 1, 3), CONFIGURATION)


def test_a_missed_gate_leaves_the_champion_in_place(championed: Engine, settings: Settings) -> None:
    strict = CONFIGURATION.model_copy(update={"gates": GateThresholds(min_accuracy=0.99)})
    decision = train(championed, settings, date(2024, 3, 31), strict)
    assert decision.version.state == "rejected"
    with championed.connect() as connection:
        present = find_champion(connection)
    assert present is not None
    assert present.version != decision.version.version


def _portfolio(engine: Engine, as_of: date) -> int:
    with engine.connect() as connection:
        rows = select(func.count()).where(policy.c.effective_date <= as_of, policy.c.expiry_date > as_of)
        return connection.scalar(rows) or 0


def _scores(engine: Engine, as_of: date) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        rows = connection.execute(select(score).where(score.c.as_of == as_of).order_by(score.c.policy_id))
        return [tuple(row) for row in rows]


def test_every_policy_in_force_is_scored_once_as_of_the_date(championed: Engine) -> None:
    as_of = date(2024, 2, 15)
    run = score_portfolio(championed, as_of)
    scores = _scores(championed, as_of)
    assert run.rows == len(scores) == _portfolio(championed, as_of) > 6000
    assert sum(run.by_class.values()) == sum(run.by_predictor.values()) == run.rows
    with championed.connect() as connection:
        total = connection.scalar(select(func.sum(score.c.net)))
        stored = connection.execute(select(score_run)).one()
    assert run.net_total == total == stored.net_total
    assert stored.by_class == run.by_class


def test_a_score_costs_the_same_as_a_quote_to_the_cent(championed: Engine) -> None:
    as_of = date(2024, 2, 15)
    run = score_portfolio(championed, as_of)
    with championed.connect() as connection:
        pricer = Pricer(load_plan(connection, run.version))
        tariff = in_force(tariffs(connection), as_of)
        names = PolicyFeatures._fields
        rows = connection.execute(
            select(score, policy.c.effective_date, *(policy.c[name] for name in names)).join(
                policy, policy.c.policy_id == score.c.policy_id
            )
        ).all()
    assert {row.predictor for row in rows} == {"model", "rules"}
    for row in rows:
        assessment = pricer.assess(PolicyFeatures(*(float(row._mapping[name]) for name in names)), row.effective_date)
        premium = tariff.premium(assessment.price_probabilities)
        assert (row.net, row.insurance_tax, row.gross) == (premium.net, premium.insurance_tax, premium.gross)
        assert (row.predictor, row.risk_class) == (assessment.predictor, assessment.risk_class)
        assert ClassProbabilities(row.p_low, row.p_medium, row.p_high) == assessment.price_probabilities
        if assessment.estimate is None:
            assert row.expected_risk is None
        else:
            assert math.isclose(row.expected_risk, assessment.estimate.expected_risk, abs_tol=1e-12)


def test_scoring_a_date_again_replaces_it_and_touches_no_other(championed: Engine) -> None:
    days = date(2023, 6, 30), date(2024, 1, 31)
    for day in days:
        score_portfolio(championed, day)
    before = {day: _scores(championed, day) for day in days}
    with championed.begin() as connection:
        connection.execute(text("UPDATE motorisk.tariff SET base_premium = 700"))
    score_portfolio(championed, days[1])
    assert _scores(championed, days[0]) == before[days[0]]
    assert [row[1] for row in _scores(championed, days[1])] == [row[1] for row in before[days[1]]]
    assert _scores(championed, days[1]) != before[days[1]]


@pytest.mark.fault("killed while scoring")
def test_a_run_that_fails_leaves_the_earlier_scores(championed: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    day = date(2023, 6, 30)
    score_portfolio(championed, day)
    before = _scores(championed, day)
    monkeypatch.setattr(publishing, "portfolio_size", lambda connection, as_of: 17)
    with pytest.raises(ScoringIncomplete, match="17 policies are in force"):
        score_portfolio(championed, day)
    assert _scores(championed, day) == before


@pytest.mark.fault("two at once")
def test_two_runs_for_one_date_end_with_one_score_a_policy(championed: Engine) -> None:
    day = date(2023, 6, 30)
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: score_portfolio(championed, day), range(2)))
    assert runs[0].rows == runs[1].rows == len(_scores(championed, day))


def test_readers_never_see_a_date_without_its_scores(championed: Engine) -> None:
    day = date(2023, 6, 30)
    rows = score_portfolio(championed, day).rows
    done = threading.Event()
    seen: set[int] = set()

    def read() -> None:
        while not done.is_set():
            with championed.connect() as connection:
                seen.add(connection.scalar(select(func.count()).where(score.c.as_of == day)) or 0)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        score_portfolio(championed, day)
    done.set()
    reader.join()
    assert seen == {rows}


@pytest.mark.fault("empty portfolio")
def test_scoring_needs_a_champion_and_a_portfolio(world: Engine, settings: Settings) -> None:
    with pytest.raises(NoChampion):
        score_portfolio(world, END_OF_MONTH_0)
    train(world, settings, END_OF_MONTH_0, CONFIGURATION)
    with pytest.raises(NotEnoughData, match="no policy is in force on 2020-01-01"):
        score_portfolio(world, date(2020, 1, 1), choice=Choice.WITH_CHAMPION)


def test_premiums_are_plausible_money(championed: Engine) -> None:
    score_portfolio(championed, END_OF_MONTH_0)
    with championed.connect() as connection:
        rows = connection.execute(
            select(score.c.risk_class, func.avg(score.c.net).label("avg")).group_by(score.c.risk_class)
        ).all()
    average = {row.risk_class: row.avg for row in rows}
    assert Decimal(420) <= average["low"] < average["medium"] < average["high"] <= Decimal(960)


def test_performance_appears_as_outcomes_mature(championed: Engine) -> None:
    assert report_performance(championed, date(2023, 12, 31)).realised == []
    report = report_performance(championed, date(2024, 3, 31))
    found = report.realised
    assert [(figures.month, figures.rows) for figures in found] == [(date(2023, 2, 1), 600), (date(2023, 3, 1), 600)]
    assert all(figures.accuracy is not None and 0.82 < figures.accuracy < 0.96 for figures in found)
    assert report_performance(championed, date(2024, 3, 31)) == report
    with championed.connect() as connection:
        known = select(func.count()).select_from(performance).where(performance.c.rows > 0)
        assert connection.scalar(known) == 2
        assert connection.scalar(select(func.count()).select_from(performance)) == 14


def test_a_month_is_charged_to_the_version_that_served_it(championed: Engine, settings: Settings) -> None:
    second = train(championed, settings, date(2024, 2, 29), CONFIGURATION)
    assert second.approved
    versions = {figures.month: figures.version for figures in report_performance(championed, date(2025, 3, 31)).months}
    first = second.version.version - 1
    assert versions[date(2023, 2, 1)] == first
    assert versions[date(2024, 2, 1)] == first
    assert versions[date(2024, 3, 1)] == second.version.version


@pytest.mark.fault("no champion")
def test_performance_without_any_champion_is_an_error(world: Engine) -> None:
    with pytest.raises(NoChampion):
        report_performance(world, date(2024, 3, 31))


def test_a_rollback_is_what_scoring_uses_next(championed: Engine, settings: Settings) -> None:
    second = train(championed, settings, date(2024, 2, 29), CONFIGURATION).version
    assert score_portfolio(championed, date(2024, 3, 1)).version == second.version
    with championed.begin() as connection:
        first = transitions.rollback(connection, by="uma")
    assert score_portfolio(championed, date(2024, 3, 1)).version == first.version


def test_what_ships_trains_a_version_that_passes_its_gates(warehouse: Engine, settings: Settings) -> None:
    """Every candidate, yardsticks too, and the search of their settings; other tests leave most of that out."""
    simulate_portfolio(warehouse, Simulation(start=START, months=24, policies_a_month=400))
    shipped = load_configuration(Path(__file__).parents[2] / "dags" / "config" / "training.yaml")
    trained = train(warehouse, settings, date(2024, 12, 31), shipped)
    assert not trained.version.failed_gates
    assert trained.approved
    assert {"classifier", "boosting", "neural_net"} <= {row["candidate"] for row in trained.version.backtest}
