"""The night's other halves: the day's quotes and scores against what the champion was trained on."""

import uuid
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, func, insert, select, text, update

from motorisk.domain.policy import FEATURES
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.monitoring.columns import Grid
from motorisk.monitoring.drift import FeatureDrift
from motorisk.monitoring.measures import MEASURES, MEASURES_OF, PREDICTIONS, Kind
from motorisk.monitoring.scores import score as distance
from motorisk.pipelines import drift_kinds
from motorisk.pipelines.drift import report_drift
from motorisk.pipelines.drift_cells import exact_columns, reduced_columns
from motorisk.pipelines.drift_kinds import predictions
from motorisk.pipelines.drift_reference import snapshot_of
from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.registry.tariffs import tariffs
from motorisk.registry.versions import champion, load_plan
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation, draw_features
from motorisk.warehouse.tables import drift_metric, drift_run, policy, quote, score

NIGHT = date(2024, 2, 29)
MIDNIGHT = datetime(2024, 2, 29, tzinfo=UTC)
DAY = timedelta(days=1)
CONFIGURATION = TrainingConfiguration(candidates=("rules", "gam"), search_trials=0)


def _train(warehouse: Engine, settings: Settings) -> None:
    simulate_portfolio(warehouse, Simulation(start=date(2023, 1, 1), months=14, policies_a_month=400))
    assert train(warehouse, settings, date(2023, 1, 31), CONFIGURATION).approved


@pytest.fixture
def championed(built_once: Callable[..., Engine]) -> Engine:
    """Fourteen months of 400 policies, and a champion trained on the first."""
    return built_once(_train)


def _quote(engine: Engine, rows: int, *, at: datetime, month: int = 0, seed: int = 1, older: int = 0) -> None:
    """Inputs as `/predict/mock` records them, all at the same time, of drivers `older` years older than drawn."""
    drawn = draw_features(np.random.default_rng([71, seed]), month, rows)
    drawn["age"] = drawn["age"] + older
    flags = {name for name, feature in FEATURES.items() if feature.is_flag}
    rows_of_ledger = [
        {"quoted_at": at, "quote_id": uuid.uuid4(), "channel": "mock", "effective_date": at.date()}
        | {name: bool(values[row]) if name in flags else float(values[row]) for name, values in drawn.items()}
        for row in range(rows)
    ]
    with engine.begin() as connection:
        connection.execute(insert(quote), rows_of_ledger)


def test_the_days_quotes_and_no_others_are_compared(championed: Engine, settings: Settings) -> None:
    _quote(championed, 300, at=MIDNIGHT, seed=1)
    _quote(championed, 301, at=MIDNIGHT + DAY - timedelta(microseconds=1), seed=2)
    _quote(championed, 500, at=MIDNIGHT - timedelta(microseconds=1), month=36, seed=3)
    _quote(championed, 500, at=MIDNIGHT + DAY, month=36, seed=4)
    quotes = report_drift(championed, settings, NIGHT).kinds[Kind.QUOTES]
    assert (quotes.rows, quotes.reference_rows, list(quotes.features)) == (601, 400, list(FEATURES))
    assert quotes.drifted == []

    following = report_drift(championed, settings, NIGHT + DAY).kinds[Kind.QUOTES]
    assert following.rows == 500
    assert following.drifted == ["miles", "emergency_braking"]
    miles = following.features["miles"]
    assert miles.score > miles.threshold
    assert miles.evidence is None
    assert miles.since is None
    assert miles.says.startswith("miles drifts (score ")


def test_scores_are_compared_with_what_was_said_of_the_reference(championed: Engine, settings: Settings) -> None:
    with championed.begin() as connection:
        later = policy.c.effective_date >= date(2023, 2, 1)
        connection.execute(update(policy).where(later).values(miles=policy.c.miles / 2, emergency_braking=True))
    run = score_portfolio(championed, NIGHT)
    found = report_drift(championed, settings, NIGHT).kinds[Kind.SCORES]
    assert (found.rows, found.version, found.reference_rows) == (run.rows, run.version, 400)
    assert list(found.features) == list(PREDICTIONS) == list(MEASURES_OF[Kind.SCORES])
    by_rules = run.by_predictor.get("rules", 0)
    assert found.features["risk_index"].missing == by_rules
    assert found.features["premium"].missing == 0
    # People drive half the miles in cars that brake by themselves: fewer are of the class high.
    assert found.features["high_risk"].drifted
    assert "below that of the reference" in found.features["high_risk"].says
    with championed.connect() as connection:
        high = connection.scalar(select(func.avg(text("(risk_class = 'high')::int"))).where(score.c.as_of == NIGHT))
    assert high is not None

    with championed.connect() as connection:
        model = champion(connection)
        snapshot = snapshot_of(connection, settings, model)
        said = predictions(load_plan(connection, model.version), tariffs(connection)[0], snapshot)
    assert float(high) < said["high_risk"].mean()
    assert sum(said[name].mean() for name in ("low_risk", "medium_risk", "high_risk")) == pytest.approx(1)


def test_what_is_said_of_the_reference_is_what_its_policies_were_scored(championed: Engine, settings: Settings) -> None:
    """The same numbers as in the table of scores, policy by policy: the reference is priced as the portfolio is."""
    day = date(2023, 1, 31)
    score_portfolio(championed, day)
    with championed.connect() as connection:
        model = champion(connection)
        snapshot = snapshot_of(connection, settings, model)
        said = predictions(load_plan(connection, model.version), tariffs(connection)[0], snapshot)
        rows = connection.execute(select(score).where(score.c.as_of == day)).all()
    scored = {row.policy_id: row for row in rows}
    assert len(scored) == len(snapshot) == 400
    for number, policy_id in enumerate(snapshot.policy_ids):
        row = scored[policy_id]
        assert said["premium"][number] == float(row.net)
        assert said[f"{row.risk_class}_risk"][number] == 1.0
        if row.expected_risk is not None:
            assert said["risk_index"][number] == pytest.approx(row.expected_risk)
    # So nothing of them drifts.
    found = report_drift(championed, settings, day).kinds[Kind.SCORES]
    assert found.drifted == []
    assert max(drift.score for drift in found.features.values()) < 1e-6


def test_kinds_are_stored_beside_each_other_and_replaced(championed: Engine, settings: Settings) -> None:
    score_portfolio(championed, NIGHT)
    _quote(championed, 400, at=MIDNIGHT)
    run = report_drift(championed, settings, NIGHT)
    assert report_drift(championed, settings, NIGHT) == run
    with championed.connect() as connection:
        runs = {row.kind: row for row in connection.execute(select(drift_run))}
        metrics = connection.execute(select(drift_metric)).all()
    assert {kind: (row.rows, row.report) for kind, row in runs.items()} == {
        "policies": (run.rows, run.report),
        **{kind.value: (found.rows, found.report) for kind, found in run.kinds.items()},
    }
    names = [one.name for one in fields(FeatureDrift)]
    for kind, features in {"policies": run.features, **{k.value: v.features for k, v in run.kinds.items()}}.items():
        stored = {
            row.feature: FeatureDrift(*(getattr(row, name) for name in names)) for row in metrics if row.kind == kind
        }
        assert stored == features
    assert all(Path(row.report).exists() for row in runs.values())

    larger = settings.model_copy(update={"drift_min_rows": 401, "drift_thresholds": "fixed"})
    with championed.begin() as connection:  # a month of policies that is large enough
        connection.execute(
            update(policy)
            .where(policy.c.effective_date.between(date(2024, 1, 1), date(2024, 1, 31)))
            .values(effective_date=date(2024, 2, 1))
        )
    again = report_drift(championed, larger, NIGHT)
    assert again.skipped == {Kind.QUOTES: "400 quotes on 2024-02-29 (UTC), at least 401 are compared"}
    assert not Path(run.kinds[Kind.QUOTES].report).exists()
    with championed.connect() as connection:
        assert set(connection.scalars(select(drift_run.c.kind))) == {"policies", "scores"}


def test_drift_of_quotes_and_scores_asks_for_no_training(championed: Engine, settings: Settings) -> None:
    _quote(championed, 500, at=datetime(2023, 2, 28, 12, tzinfo=UTC), month=36, older=10)
    run = report_drift(championed, settings, date(2023, 2, 28))
    assert run.kinds[Kind.QUOTES].dataset_drift
    assert run.alarms == []
    assert report_drift(championed, settings, date(2023, 3, 31)).kinds == {}


def test_what_the_database_adds_up_of_scores_is_what_the_rows_say(championed: Engine, settings: Settings) -> None:
    score_portfolio(championed, NIGHT)
    with championed.begin() as connection:
        connection.execute(
            update(score)
            .where(score.c.as_of == NIGHT, score.c.policy_id.like("%7"))
            .values(predictor="rules", expected_risk=None)
        )
    with championed.connect() as connection:
        model = champion(connection)
        snapshot = snapshot_of(connection, settings, model)
    compared, skipped = drift_kinds.compare_kinds(championed, settings, NIGHT, model, snapshot)
    assert list(skipped) == [Kind.QUOTES]
    (scores,) = compared
    source = drift_kinds.source_of_scores(NIGHT)
    with championed.connect() as connection:
        exact = exact_columns(connection, scores.reference, source)
        (reduced,) = reduced_columns(connection, scores.reference, source, periods=1)
    assert exact["risk_index"].missing > 0.05 * scores.rows
    for name in PREDICTIONS:
        assert (exact[name].rows, exact[name].missing, exact[name].outliers) == (
            reduced[name].rows,
            reduced[name].missing,
            reduced[name].outliers,
        )
        reference = scores.reference.columns[name]
        bound = 0.0 if MEASURES[name].is_flag else Grid(scores.reference.ranges[name]).error_bound(reference.spread)
        differ = abs(distance(name, reference, exact[name]) - distance(name, reference, reduced[name]))
        assert differ <= bound + 1e-12, name
