"""An alarm is raised once by version and cause, and asks for a training once."""

from datetime import date, timedelta

import pytest
from sqlalchemy import Engine, func, insert, select, update

from motorisk.pipelines.alarms import Alarm, Finding, TrainingRequest, mark_asked, raise_alarms, training_request
from motorisk.warehouse.tables import alarm, model_version

NIGHT = date(2025, 3, 31)
DATASET = "drift of the dataset"


def _approved(warehouse: Engine, as_of: date) -> int:
    """A new champion, as the registry keeps it; nobody asks it for a price here."""
    row = {
        "state": "approved",
        "candidate": "gam",
        "as_of": as_of,
        "digest": "a" * 64,
        "plan": "{}",
        "snapshot_digest": "b" * 64,
        "rows": 1500,
        "metrics": {},
        "gates": [],
        "parameters": {},
        "provenance": {},
        "trained_by": "tess",
        "approved_by": "uma",
        "approved_at": func.now(),
    }
    with warehouse.begin() as connection:
        connection.execute(update(model_version).values(state="retired"))
        return int(
            connection.execute(insert(model_version).values(row).returning(model_version.c.version)).scalar_one()
        )


@pytest.fixture
def version(warehouse: Engine) -> int:
    """The champion, trained long ago."""
    return _approved(warehouse, date(2024, 1, 31))


def _drift(version: int, night: date, cause: str = DATASET) -> Finding:
    return Finding(version, cause, night, f"{cause}, version {version}", outlives_version=True)


def _night(warehouse: Engine, night: date, *findings: Finding, kind: str = "drift") -> list[Alarm]:
    with warehouse.begin() as connection:
        return raise_alarms(connection, night, kind, findings)


def _ask(warehouse: Engine, night: date, alarms: list[Alarm]) -> TrainingRequest | None:
    """As the DAGs do the morning after, both steps."""
    with warehouse.begin() as connection:
        request = training_request(connection, night, [found.key for found in alarms], today=night + timedelta(days=1))
        if request is not None:
            mark_asked(connection, request.alarms)
        return request


def _keys(warehouse: Engine) -> list[tuple[int, str]]:
    with warehouse.connect() as connection:
        return [
            tuple(row) for row in connection.execute(select(alarm.c.version, alarm.c.cause).order_by(alarm.c.cause))
        ]


def test_a_cause_that_lasts_asks_once(warehouse: Engine, version: int) -> None:
    asked = []
    for day in range(5):
        night = NIGHT + timedelta(days=day)
        asked.append(_ask(warehouse, night, _night(warehouse, night, _drift(version, night))))
    assert [request is not None for request in asked] == [True, False, False, False, False]
    (found,) = _night(warehouse, NIGHT, _drift(version, NIGHT))
    assert (found.as_of, found.since, found.last_seen) == (NIGHT, NIGHT, NIGHT + timedelta(days=4))


def test_another_cause_asks_again_and_both_are_told_together(warehouse: Engine, version: int) -> None:
    findings = [_drift(version, NIGHT), _drift(version, NIGHT, "drift of age")]
    request = _ask(warehouse, NIGHT, _night(warehouse, NIGHT, *findings))
    assert request is not None
    assert request.reason == "drift of age, version 1; drift of the dataset, version 1"
    third = NIGHT + timedelta(days=1)
    assert _ask(warehouse, third, _night(warehouse, third, _drift(version, third, "drift of power"))) is not None


@pytest.mark.fault("killed while reporting")
def test_a_request_that_was_not_noted_is_made_again(warehouse: Engine, version: int) -> None:
    """As after a crash between sending the event and noting it."""
    alarms = _night(warehouse, NIGHT, _drift(version, NIGHT))
    with warehouse.connect() as connection:
        for _ in range(2):
            request = training_request(connection, NIGHT, [found.key for found in alarms], today=NIGHT)
            assert request is not None
    assert _ask(warehouse, NIGHT, alarms) is not None
    assert _ask(warehouse, NIGHT, alarms) is None


def test_a_drift_that_lasts_is_not_a_successors_fault(warehouse: Engine, version: int) -> None:
    assert _ask(warehouse, NIGHT, _night(warehouse, NIGHT, _drift(version, NIGHT))) is not None
    successor = _approved(warehouse, NIGHT)
    # The new champion's scores start the same night's report again; then come months of nights.
    for day in range(0, 90, 15):
        night = NIGHT + timedelta(days=day)
        found = _night(warehouse, night, _drift(successor, night))
        assert [one.version for one in found] == [version]
        assert _ask(warehouse, night, found) is None
    assert _keys(warehouse) == [(version, DATASET)]


def test_a_drift_that_comes_back_after_months_asks_for_the_version_it_meets(warehouse: Engine, version: int) -> None:
    _ask(warehouse, NIGHT, _night(warehouse, NIGHT, _drift(version, NIGHT)))
    successor = _approved(warehouse, NIGHT)
    night = NIGHT + timedelta(days=60)
    found = _night(warehouse, night, _drift(successor, night))
    assert [one.version for one in found] == [successor]
    assert _ask(warehouse, night, found) is not None


def test_broken_promises_are_each_versions_own(warehouse: Engine, version: int) -> None:
    successor = _approved(warehouse, date(2024, 6, 30))
    findings = [Finding(one, "performance", NIGHT, "worse", 4200.0, 1000.0) for one in (version, successor)]
    _night(warehouse, NIGHT, *findings, kind="performance")
    assert _keys(warehouse) == [(version, "performance"), (successor, "performance")]


def test_a_rerun_withdraws_what_it_does_not_find_any_more_and_leaves_other_kinds_alone(
    warehouse: Engine, version: int
) -> None:
    _night(warehouse, NIGHT, Finding(version, "performance", NIGHT, "worse", 4200.0, 1000.0), kind="performance")
    _night(warehouse, NIGHT, _drift(version, NIGHT))
    _night(warehouse, NIGHT)
    assert _keys(warehouse) == [(version, "performance")]


def test_a_rerun_keeps_what_a_training_was_asked_for(warehouse: Engine, version: int) -> None:
    _ask(warehouse, NIGHT, _night(warehouse, NIGHT, _drift(version, NIGHT)))
    assert _night(warehouse, NIGHT) == []
    assert _keys(warehouse) == [(version, DATASET)]


def test_a_night_for_a_past_or_a_coming_date_asks_for_nothing_and_the_present_one_does(
    warehouse: Engine, version: int
) -> None:
    alarms = _night(warehouse, NIGHT, _drift(version, NIGHT))
    keys = [found.key for found in alarms]
    with warehouse.connect() as connection:
        assert training_request(connection, NIGHT, keys, today=NIGHT + timedelta(days=3)) is None
        assert training_request(connection, NIGHT, keys, today=NIGHT - timedelta(days=1)) is None
        assert training_request(connection, NIGHT, keys, today=NIGHT + timedelta(days=2)) is not None
    night = NIGHT + timedelta(days=20)
    assert _ask(warehouse, night, _night(warehouse, night, _drift(version, night))) is not None


def test_a_champion_trained_on_the_alarms_night_has_answered_it(warehouse: Engine) -> None:
    version = _approved(warehouse, NIGHT)
    assert _ask(warehouse, NIGHT, _night(warehouse, NIGHT, _drift(version, NIGHT))) is None
