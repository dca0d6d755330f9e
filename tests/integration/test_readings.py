"""Readings of drift alarms on a simulated world in a real Postgres."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, delete, func, insert, select, update

from motorisk.modelling.configuration import GateThresholds, TrainingConfiguration
from motorisk.monitoring.reading import Action
from motorisk.monitoring.realised import Performance
from motorisk.pipelines import reading as readings
from motorisk.pipelines.drift import DriftRun, report_drift
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.registry.versions import champion
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import alarm, drift_reading, outcome, policy, tariff

START = date(2023, 1, 1)
END_OF_MONTH_0 = date(2023, 1, 31)
NIGHT = date(2024, 7, 20)
CONFIGURATION = TrainingConfiguration(
    candidates=("rules", "gam"), search_trials=0, gates=GateThresholds(min_accuracy=0.5)
)


def _train(warehouse: Engine, settings: Settings) -> None:
    simulate_portfolio(warehouse, Simulation(start=START, months=19, policies_a_month=600, label_delay_months=3))
    assert train(warehouse, settings, END_OF_MONTH_0, CONFIGURATION).approved


@pytest.fixture
def left_alone(built_once: Callable[..., Engine]) -> Engine:
    """Nineteen months of 600 policies, outcomes after three; the champion was trained once, on the first."""
    return built_once(_train)


def _stored(engine: Engine) -> dict[str, object]:
    with engine.connect() as connection:
        rows = connection.execute(select(drift_reading)).all()
    assert {(row.as_of, row.version) for row in rows} <= {(NIGHT, 1)}
    return {row.feature: (row.action, row.says, row.reading) for row in rows}


def _as_stored(run: DriftRun) -> dict[str, object]:
    return {
        name: (reading.action, reading.says, json.loads(json.dumps(reading.as_json())))
        for name, reading in run.readings.items()
    }


def test_each_alarm_is_read_kept_and_told(
    left_alone: Engine, settings: Settings, server_environment: dict[str, str], command: Callable[..., Any]
) -> None:
    assert report_drift(left_alone, settings, date(2023, 2, 28)).readings == {}
    run = report_drift(left_alone, settings, NIGHT)
    assert set(run.readings) == set(run.drifted) >= {"miles", "emergency_braking"}
    braking = run.readings["emergency_braking"]
    assert braking.moves_prices
    assert braking.premium_a_year.high < 0, "more emergency brakes, less premium"
    with left_alone.connect() as connection:
        in_force = (policy.c.effective_date <= NIGHT) & (policy.c.expiry_date > NIGHT)
        assert braking.policies == connection.scalar(select(func.count()).where(in_force)) > 7000
    assert braking.realised.performance is Performance.BROKEN, "the world has gone on, the version has not"
    assert braking.action is Action.RETRAIN
    assert braking.realised.actual_to_expected is not None
    assert [found.reason for found in run.alarms if "emergency" in found.cause] == [
        f"emergency_braking drifts, which it did not when version 1 was new ({braking.short})"
    ]
    assert _stored(left_alone) == _as_stored(run)

    assert report_drift(left_alone, settings, NIGHT).readings == run.readings
    assert _stored(left_alone) == _as_stored(run), "replaced, never doubled"

    environment = {**server_environment, "MOTORISK_DRIFT_MIN_ROWS": str(settings.drift_min_rows)}
    said = json.loads(command(environment, "drift", "--as-of", NIGHT.isoformat(), "--json").stdout)
    assert said["readings"]["miles"]["says"] == run.readings["miles"].says
    assert said["readings"]["miles"]["premium_a_year"].keys() == {"value", "low", "high"}
    assert "readings" not in said["features"]["miles"]
    shown = command(environment, "drift", "--as-of", NIGHT.isoformat()).stdout
    assert run.readings["miles"].says in " ".join(shown.split())


def test_a_reading_knows_nothing_later_than_its_night(left_alone: Engine, settings: Settings) -> None:
    before = report_drift(left_alone, settings, NIGHT).readings
    with left_alone.begin() as connection:
        connection.execute(update(policy).where(policy.c.effective_date > NIGHT).values(miles=500.0))
        connection.execute(update(outcome).where(outcome.c.observed_on > NIGHT).values(risk=99.0))
        version = champion(connection).version
        later = {"version": version, "cause": "performance", "since": NIGHT + timedelta(days=5), "reason": "later"}
        connection.execute(insert(alarm), later | {"as_of": NIGHT + timedelta(days=9), "last_seen": date(2024, 12, 1)})
    assert report_drift(left_alone, settings, NIGHT).readings == before


def test_young_drifts_wait_for_their_outcomes_and_samples_say_the_same(
    left_alone: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with left_alone.begin() as connection:
        connection.execute(update(outcome).values(observed_on=outcome.c.observed_on + 600))
    run = report_drift(left_alone, settings, NIGHT)
    for found in run.readings.values():
        assert found.realised.performance is Performance.UNKNOWN
        assert found.action is Action.NOTHING
        assert found.gap_a_year is None
    monkeypatch.setattr(readings, "NEWEST_POLICIES", 150)
    few = report_drift(left_alone, settings, NIGHT).readings
    for name, found in run.readings.items():
        assert few[name].policies == found.policies
        width = few[name].premium_a_year.high - few[name].premium_a_year.low
        assert abs(few[name].premium_a_year.value - found.premium_a_year.value) < 1.5 * width
    values = [[found[name].premium_a_year.value for name in run.readings] for found in (few, run.readings)]
    assert not np.isclose(*values).any(), "a sample was looked at"

    with left_alone.begin() as connection:
        connection.execute(delete(tariff))
    without = report_drift(left_alone, settings, NIGHT)
    assert without.readings == {}, "no prices, no readings"
    assert without.drifted == run.drifted
    assert _stored(left_alone) == {}
