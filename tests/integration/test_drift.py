"""The nightly drift report on a simulated world in a real Postgres."""

from collections.abc import Callable
from dataclasses import fields
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, delete, func, select, update

from motorisk.domain.policy import FEATURES
from motorisk.errors import InvalidData, NotEnoughData
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.monitoring.columns import Grid
from motorisk.monitoring.drift import FeatureDrift
from motorisk.monitoring.measures import Kind
from motorisk.monitoring.scores import score
from motorisk.pipelines.drift import DriftRun, report_drift
from motorisk.pipelines.drift_months import columns_of_months, comparable_months, months_since
from motorisk.pipelines.drift_reference import prepared, snapshot_of
from motorisk.pipelines.folders import snapshots
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.registry.versions import champion
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import drift_metric, drift_run, drift_threshold, policy

START = date(2023, 1, 1)
END_OF_MONTH_0 = date(2023, 1, 31)
CONFIGURATION = TrainingConfiguration(candidates=("rules", "gam", "trend_gam"), search_trials=0)


def _train(warehouse: Engine, settings: Settings) -> None:
    simulate_portfolio(warehouse, Simulation(start=START, months=15, policies_a_month=600))
    assert train(warehouse, settings, END_OF_MONTH_0, CONFIGURATION).approved


@pytest.fixture
def championed(built_once: Callable[..., Engine]) -> Engine:
    """Fifteen months of 600 policies, and a champion trained on the first."""
    return built_once(_train)


def _causes(run: DriftRun) -> set[str]:
    return {alarm.cause for alarm in run.alarms}


def test_drift_is_measured_kept_and_replaced(championed: Engine, settings: Settings) -> None:
    as_of = date(2024, 2, 29)
    run = report_drift(championed, settings, as_of)
    assert (run.month, run.rows, run.reference_rows, run.windows) == (date(2024, 2, 1), 600, 600, 13)
    assert {"miles", "emergency_braking"} <= set(run.drifted) <= {"miles", "emergency_braking", "age"}
    assert 1_000 < Path(run.report).stat().st_size < 60_000
    assert run.skipped == {
        Kind.QUOTES: "0 quotes on 2024-02-29 (UTC), at least 100 are compared",
        Kind.SCORES: "there are no scores as of 2024-02-29",
    }
    again = report_drift(championed, settings, as_of)
    assert again == run
    with championed.connect() as connection:
        assert connection.scalar(select(drift_run.c.windows)) == 13
        rows = connection.execute(select(drift_metric)).all()
    stored = {
        row.feature: FeatureDrift(**{one.name: getattr(row, one.name) for one in fields(FeatureDrift)}) for row in rows
    }
    assert stored == run.features


def test_a_night_follows_from_its_policies_and_not_from_other_nights(championed: Engine, settings: Settings) -> None:
    """What is drifting since when is the same, whether the nights before have run or not."""
    alone = report_drift(championed, settings, date(2024, 2, 29))
    with championed.begin() as connection:
        connection.execute(delete(drift_run))
    for as_of in (date(2023, 6, 30), date(2024, 3, 31), date(2023, 12, 31)):
        report_drift(championed, settings, as_of)
    assert report_drift(championed, settings, date(2024, 2, 29)).features == alone.features


def test_changing_the_future_changes_no_measurement(championed: Engine, settings: Settings) -> None:
    before = report_drift(championed, settings, date(2023, 11, 15))
    with championed.begin() as connection:
        connection.execute(update(policy).where(policy.c.effective_date > date(2023, 11, 15)).values(miles=500.0))
    assert report_drift(championed, settings, date(2023, 11, 15)).features == before.features


def test_a_drifting_feature_says_since_when(championed: Engine, settings: Settings) -> None:
    miles = report_drift(championed, settings, date(2024, 3, 31)).features["miles"]
    assert miles.since is not None
    assert miles.since_earliest is not None
    assert miles.since_latest is not None
    assert date(2023, 2, 1) <= miles.since_earliest <= miles.since <= miles.since_latest < date(2024, 3, 1)
    assert miles.per_month == pytest.approx(-0.5, abs=0.25)
    assert miles.evidence is not None
    assert miles.evidence_threshold is not None
    assert miles.evidence > miles.evidence_threshold
    assert "miles drifts since about 2023-" in miles.says


@pytest.mark.bad_input("policy")
def test_an_absurd_policy_is_an_outlier_and_no_drift(championed: Engine, settings: Settings) -> None:
    before = report_drift(championed, settings, date(2023, 2, 28)).features["power"]
    with championed.begin() as connection:
        first = select(func.min(policy.c.policy_id)).where(policy.c.effective_date >= date(2023, 2, 1))
        connection.execute(update(policy).where(policy.c.policy_id == first.scalar_subquery()).values(power=1e9))
    after = report_drift(championed, settings, date(2023, 2, 28)).features["power"]
    assert (before.outliers, after.outliers) == (0, 1)
    assert not after.drifted
    assert after.score == pytest.approx(before.score, abs=0.02)


def test_thresholds_are_computed_once_a_version(championed: Engine, settings: Settings) -> None:
    first = report_drift(championed, settings, date(2023, 2, 28))
    with championed.begin() as connection:
        assert connection.scalar(select(func.count()).select_from(drift_threshold)) == len(FEATURES)
        connection.execute(update(drift_threshold).values(threshold=drift_threshold.c.threshold * 2))
    second = report_drift(championed, settings, date(2023, 2, 28))
    for name, drift in second.features.items():
        assert drift.threshold == pytest.approx(2 * first.features[name].threshold)
    other = settings.model_copy(update={"drift_false_alarm_windows": 2400})
    assert (
        report_drift(championed, other, date(2023, 2, 28)).features["age"].threshold > first.features["age"].threshold
    )


def test_fixed_thresholds_stay_an_option(championed: Engine, settings: Settings) -> None:
    fixed = settings.model_copy(update={"drift_thresholds": "fixed"})
    run = report_drift(championed, fixed, date(2024, 3, 31))
    assert {drift.threshold for drift in run.features.values()} == {0.1}
    assert {name for name, drift in run.features.items() if drift.score >= 0.1} == set(run.drifted)
    assert run.features["miles"].evidence is None


def test_a_month_that_has_just_begun_is_not_compared(championed: Engine) -> None:
    with championed.connect() as connection:
        assert comparable_months(connection, date(2024, 2, 2), 300)[-1].first == date(2024, 1, 1)
        months = comparable_months(connection, date(2024, 2, 25), 300)
        assert months[-1].first == date(2024, 2, 1)
        assert months[-1].rows < 600
        with pytest.raises(NotEnoughData, match="at least 300"):
            comparable_months(connection, date(2022, 12, 31), 300)
    assert [month.first for month in months_since(months, date(2023, 12, 1))] == [date(2024, 1, 1), date(2024, 2, 1)]
    assert [month.first for month in months_since(months, date(2024, 2, 1))] == [date(2024, 2, 1)]


def test_what_the_database_adds_up_is_what_the_rows_say_within_the_bound(
    championed: Engine, settings: Settings
) -> None:
    as_of = date(2024, 3, 20)
    with championed.begin() as connection:
        connection.execute(update(policy).where(policy.c.policy_id.endswith("000007")).values(miles=1e9))
    with championed.connect() as connection:
        model = champion(connection)
        reference = prepared(connection, settings, model, snapshot_of(connection, settings, model))
        months = comparable_months(connection, as_of, 100)[1:]
        exact = columns_of_months(connection, reference, months, as_of)
        reduced = columns_of_months(connection, reference, months, as_of, exact_rows=0)
    assert len(exact) == len(reduced) == 14
    for one, other in zip(exact, reduced, strict=True):
        for name in FEATURES:
            assert (one[name].rows, one[name].outliers) == (other[name].rows, other[name].outliers)
            first, second = (score(name, reference.columns[name], columns[name]) for columns in (one, other))
            bound = (
                0.0
                if FEATURES[name].is_flag
                else Grid(reference.ranges[name]).error_bound(reference.columns[name].spread)
            )
            assert abs(first - second) <= bound + 1e-12
            contrasts = [reference.measure(name, columns[name]).contrasts for columns in (one, other)]
            assert np.abs(np.subtract(*contrasts)).max() < 0.005, name
    assert sum(columns["miles"].outliers for columns in exact) > 0


@pytest.mark.fault("corrupted snapshot")
def test_a_lost_reference_is_taken_again_unless_its_policies_changed(championed: Engine, settings: Settings) -> None:
    (file,) = snapshots(settings).iterdir()
    file.unlink()
    report_drift(championed, settings, date(2024, 2, 29))
    assert file.exists()
    file.unlink()
    with championed.begin() as connection:
        connection.execute(update(policy).where(policy.c.effective_date <= END_OF_MONTH_0).values(power=100.0))
    with pytest.raises(InvalidData, match="have changed since"):
        report_drift(championed, settings, date(2024, 2, 29))


@pytest.mark.fault("corrupted snapshot")
def test_an_altered_reference_is_noticed(championed: Engine, settings: Settings) -> None:
    (file,) = snapshots(settings).iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InvalidData, match="cannot be read"):
        report_drift(championed, settings, date(2024, 2, 29))


def test_a_feature_that_begins_to_drift_raises_an_alarm(championed: Engine, settings: Settings) -> None:
    first = report_drift(championed, settings, date(2023, 2, 28))
    assert first.drifted == []
    assert first.alarms == []
    later = report_drift(championed, settings, date(2024, 3, 31))
    assert not later.dataset_drift
    assert "miles" in later.drifted
    assert _causes(later) == {f"drift of {name}" for name in later.drifted}
    assert {(alarm.version, alarm.since) for alarm in later.alarms} == {(later.version, date(2024, 3, 31))}
    again = report_drift(championed, settings, date(2024, 3, 31))
    assert [alarm.key for alarm in again.alarms] == [alarm.key for alarm in later.alarms]


def test_what_drifted_when_a_version_was_new_is_no_change(championed: Engine, settings: Settings) -> None:
    first = report_drift(championed, settings, date(2024, 3, 31))
    assert "miles" in first.drifted
    assert "drift of miles" not in _causes(first)
    assert "drift of miles" not in _causes(report_drift(championed, settings, date(2024, 4, 30)))
