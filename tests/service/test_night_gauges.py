"""What /metrics/ tells about the nights."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert
from tests.scrapes import samples

from motorisk.warehouse.tables import alarm, drift_run, performance, score_run
from motorisk_web import latest

Samples = dict[str, float]


def scrape(client: Any) -> Samples:
    answer = client.get("/metrics/")
    assert answer.status_code == 200
    return samples(answer.text)


def add_scores(connection: Connection, version: int, as_of: str, published_at: str, **figures: Any) -> None:
    run = {"as_of": as_of, "version": version, "tariff": "standard", "rows": 1000, "published_at": published_at}
    run |= {"by_predictor": {"model": 990, "rules": 10}, "by_class": {}, "net_total": 1, "seconds": 2.5, "run_id": 1}
    run |= {"quarantined": 0, "partitions": 1, "renewals": 0, "capped": 0, "class_changed": 0}
    connection.execute(insert(score_run), run | figures)


def add_drift(connection: Connection, version: int, as_of: str) -> None:
    run = {"as_of": as_of, "version": version, "month": as_of[:8] + "01", "rows": 1400, "reference_rows": 1500}
    run |= {"dataset_drift": False, "drifted_share": 0.0, "report": "r.html", "measured_at": f"{as_of}T23:59Z"}
    connection.execute(insert(drift_run), run)


def add_performance(connection: Connection, version: int, month: str, rows: int, accuracy: float | None) -> None:
    figures = {"month": month, "version": version, "as_of": "2026-10-31", "policies": 500, "rows": rows}
    figures |= {"estimated_accuracy": 0.9, "accuracy": accuracy, "log_loss": accuracy, "by_model": 0}
    connection.execute(insert(performance), figures)


def add_alarm(connection: Connection, version: int, cause: str, last_seen: str) -> None:
    found = {"version": version, "cause": cause, "as_of": "2026-09-30", "since": "2026-09-15", "last_seen": last_seen}
    connection.execute(insert(alarm), found | {"reason": "so it is"})


def at(*moment: int) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


def test_nights_are_absent_until_there_was_one(start_app: Any) -> None:
    found = scrape(start_app())
    assert found["motorisk_nights_read_timestamp_seconds"] > 0
    assert not [name for name in found if name.startswith("motorisk_night_")]
    assert found["motorisk_alarms_open,kind=drift"] == 0
    assert found["motorisk_monitor_waiting_quotes"] == 0


def test_the_newest_night_of_each_step_is_told(warehouse: Engine, approve: Any, start_app: Any) -> None:
    version = approve(warehouse)
    with warehouse.begin() as connection:
        add_scores(connection, version, "2026-10-31", "2026-11-01T02:05Z", rows=1000, quarantined=3)
        # Done later for an earlier day; and a day that has not come yet.
        add_scores(connection, version, "2026-09-30", "2026-11-02T12:00Z", rows=7)
        add_scores(connection, version, "2199-12-31", "2026-11-02T13:00Z", rows=8)
        add_drift(connection, version, "2026-10-30")
        add_performance(connection, version, "2025-03-01", 300, 0.5)
    found = scrape(start_app())
    told = {name: value for name, value in found.items() if name.startswith("motorisk_night_")}
    assert told.pop("motorisk_night_last_success_timestamp_seconds,step=performance") > at(2026, 1, 1)
    assert told.pop("motorisk_night_last_success_timestamp_seconds,step=train") > at(2026, 1, 1)
    assert told == {
        "motorisk_night_as_of_timestamp_seconds,step=score": at(2026, 10, 31),
        "motorisk_night_as_of_timestamp_seconds,step=drift": at(2026, 10, 30),
        "motorisk_night_as_of_timestamp_seconds,step=performance": at(2026, 10, 31),
        "motorisk_night_as_of_timestamp_seconds,step=train": at(2026, 1, 1),
        "motorisk_night_last_success_timestamp_seconds,step=score": at(2026, 11, 1, 2, 5),
        "motorisk_night_last_success_timestamp_seconds,step=drift": at(2026, 10, 30, 23, 59),
        "motorisk_night_rows,step=score": 1000,
        "motorisk_night_rows,step=drift": 1400,
        "motorisk_night_rows,step=performance": 300,
        "motorisk_night_rows,step=train": 1500,
        "motorisk_night_duration_seconds,step=score": 2.5,
        "motorisk_night_quarantined_rows": 3,
        "motorisk_night_scored_policies,predictor=model": 990,
        "motorisk_night_scored_policies,predictor=rules": 10,
    }


def test_realised_accuracy_is_told_by_the_age_of_what_the_version_knew(
    warehouse: Engine, approve: Any, start_app: Any
) -> None:
    version = approve(warehouse)  # as of 2026-01-01
    with warehouse.begin() as connection:
        add_performance(connection, version, "2026-02-01", 100, 0.9)
        add_performance(connection, version, "2026-04-01", 300, 0.8)
        add_performance(connection, version, "2026-08-01", 100, 0.6)
        add_performance(connection, version, "2027-01-01", 100, 0.7)
        add_performance(connection, version, "2027-06-01", 100, 0.5)
        add_performance(connection, version, "2027-09-01", 0, None)  # no outcomes yet
        add_performance(connection, version, "2025-12-01", 100, 0.1)  # too long ago
    found = scrape(start_app())
    assert {name: value for name, value in found.items() if "performance_accuracy" in name} == {
        "motorisk_performance_accuracy,horizon=7-12": pytest.approx(0.65),
        "motorisk_performance_accuracy,horizon=13+": 0.5,
    }
    assert found["motorisk_performance_policies,horizon=7-12"] == 200
    assert found["motorisk_performance_estimated_accuracy,horizon=13+"] == 0.9


def test_an_alarm_is_open_while_the_newest_night_sees_it(warehouse: Engine, approve: Any, start_app: Any) -> None:
    first = approve(warehouse, 1.0)
    champion = approve(warehouse, 1.1)
    with warehouse.begin() as connection:
        add_drift(connection, champion, "2026-10-31")
        add_performance(connection, champion, "2026-02-01", 300, 0.5)
        add_alarm(connection, first, "drift of age", "2026-10-31")  # outlives its version
        add_alarm(connection, first, "drift of miles", "2026-10-30")  # over
        add_alarm(connection, first, "performance", "2026-10-31")  # retired: no longer anybody's concern
        add_alarm(connection, champion, "performance", "2026-10-31")
    app = start_app()
    found = scrape(app)
    assert found["motorisk_alarms_open,kind=drift"] == 1
    assert found["motorisk_alarms_open,kind=performance"] == 1
    assert {name: value for name, value in found.items() if "alarm_since" in name} == {
        f"motorisk_alarm_since_timestamp_seconds,cause=drift of age,version={first}": at(2026, 9, 15),
        f"motorisk_alarm_since_timestamp_seconds,cause=performance,version={champion}": at(2026, 9, 15),
    }


def test_quotes_that_wait_for_a_window_are_told(
    warehouse: Engine, approve: Any, start_app: Any, body: dict[str, Any]
) -> None:
    approve(warehouse)
    app = start_app()
    for _ in range(3):
        assert app.post("/v1/quotes", json=body).status_code == 201
    found = scrape(app)
    assert found["motorisk_monitor_waiting_quotes"] == 3
    assert abs(found["motorisk_monitor_oldest_waiting_timestamp_seconds"] - datetime.now(UTC).timestamp()) < 600


@pytest.mark.fault("Postgres stopped")
def test_without_the_database_the_figures_read_last_stay(
    warehouse: Engine, approve: Any, start_app: Any, unreachable: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest, "CACHE_SECONDS", 0.0)
    version = approve(warehouse)
    with warehouse.begin() as connection:
        add_scores(connection, version, "2026-10-31", "2026-11-01T02:05Z")
    app = start_app()
    before = scrape(app)
    with unreachable(warehouse):
        during = scrape(app)
        again = scrape(app)
    for found in (during, again):
        assert found["motorisk_night_rows,step=score"] == 1000
        read = "motorisk_nights_read_timestamp_seconds"
        assert found[read] == before[read]
