"""Alarms ask for a training, once each; the training that answers knows why it was started."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, delete, func, select, update

from motorisk.domain.calendar import add_months, first_of_month
from motorisk.modelling.configuration import load_configuration
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.registry.versions import all_versions, find_champion
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import alarm

RunDag = Callable[..., Any]
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
START = add_months(first_of_month(YESTERDAY), -20)
FIRST_TRAINING = add_months(START, 1) - timedelta(days=1)
RETRAINING = "motorisk_retraining"


def _train(warehouse: Engine, settings: Settings) -> None:
    simulate_portfolio(warehouse, Simulation(start=START, months=21, policies_a_month=600, label_delay_months=2))
    assert train(warehouse, settings, FIRST_TRAINING, load_configuration(settings.training_config)).approved


@pytest.fixture
def left_behind(platform: Settings, built_once: Callable[..., Engine]) -> Engine:
    """A champion that was trained on the first of 21 months, outcomes two months late: today it is outdated."""
    return built_once(_train)


@pytest.fixture
def events(airflow: Any) -> Callable[[], list[dict[str, Any]]]:
    """What was asked for since the test began."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        last = session.scalar(select(func.coalesce(func.max(AssetEvent.id), 0)))

    def found() -> list[dict[str, Any]]:
        with create_session() as session:
            rows = session.scalars(
                select(AssetEvent)
                .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
                .where(AssetModel.name == RETRAINING, AssetEvent.id > last)
            )
            return [dict(event.extra) for event in rows]

    return found


def _states(run: Any) -> dict[str, str]:
    return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}


def test_a_broken_promise_asks_for_one_training_and_a_past_night_for_none(
    run_dag: RunDag, left_behind: Engine, events: Callable[[], list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    past = (YESTERDAY - timedelta(days=30)).isoformat()
    with caplog.at_level(logging.WARNING, logger="motorisk"):
        backfilled = run_dag("report_performance", as_of=past)
    assert _states(backfilled) == {"measure": "success", "ask": "skipped", "remember": "skipped"}
    assert events() == []
    with left_behind.connect() as connection:
        raised = connection.execute(select(alarm)).one()
    assert (raised.cause, raised.as_of.isoformat(), raised.asked_at) == ("performance", past, None)
    assert f"Alarm: {raised.reason}" in caplog.text

    nights = [_states(run_dag("report_performance", as_of=YESTERDAY.isoformat())) for _ in range(3)]
    assert nights[0] == {"measure": "success", "ask": "success", "remember": "success"}
    assert nights[1] == nights[2] == {"measure": "success", "ask": "skipped", "remember": "skipped"}
    assert events() == [{"reason": raised.reason, "as_of": YESTERDAY.isoformat()}]


def test_a_drift_asks_for_one_training_and_the_next_champion_inherits_it(
    run_dag: RunDag, left_behind: Engine, events: Callable[[], list[dict[str, Any]]]
) -> None:
    night = YESTERDAY.isoformat()
    assert _states(run_dag("report_drift", as_of=night))["ask"] == "success"
    (event,) = events()
    assert event["as_of"] == night
    assert "the dataset drifts from what version" in event["reason"]
    assert _states(run_dag("report_drift", as_of=night))["ask"] == "skipped"

    run_dag("train_model", as_of=night)
    with left_behind.connect() as connection:
        successor = find_champion(connection)
    assert successor is not None
    assert successor.as_of == YESTERDAY
    assert _states(run_dag("report_drift", as_of=night))["ask"] == "skipped"
    assert events() == [event]


@pytest.fixture
def schedule(airflow: Any, dag_bag: Any, platform: Settings) -> Iterator[Callable[[], list[Any]]]:
    """A round of Airflow's scheduler that looks for events alone; returns the runs of `train_model` that it makes."""
    from airflow.dag_processing.dagbag import sync_bag_to_db
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.asset import AssetDagRunQueue
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    def pause(paused: bool) -> None:
        with create_session() as session:
            session.execute(delete(AssetDagRunQueue))
            session.execute(update(DagModel).where(DagModel.dag_id == "train_model").values(is_paused=paused))

    def round_of_scheduling() -> list[Any]:
        with create_session() as session:
            of_training = select(DagRun).where(DagRun.dag_id == "train_model")
            before = {run.run_id for run in session.scalars(of_training)}
            due, triggered = DagModel.dags_needing_dagruns(session)
            wanted = [model for model in due if model.dag_id in triggered]
            SchedulerJobRunner(Job())._create_dag_runs_asset_triggered(dag_models=wanted, session=session)
            session.flush()
            made = [run for run in session.scalars(of_training) if run.run_id not in before]
            return [(run.run_type, [event.extra["reason"] for event in run.consumed_asset_events]) for run in made]

    sync_bag_to_db(dag_bag, "dags-folder", None)
    pause(False)
    yield round_of_scheduling
    pause(True)


def test_alarms_of_two_reports_make_one_training(
    run_dag: RunDag,
    left_behind: Engine,
    events: Callable[[], list[dict[str, Any]]],
    schedule: Callable[[], list[Any]],
) -> None:
    """What Airflow's own scheduler makes of the events."""
    assert schedule() == []
    run_dag("report_performance", as_of=YESTERDAY.isoformat())
    run_dag("report_drift", as_of=YESTERDAY.isoformat())
    (made,) = schedule()
    kind, reasons = made
    assert kind == "asset_triggered"
    broken, drift = (event["reason"] for event in events())
    assert "does worse than it promised" in broken
    assert "the dataset drifts" in drift
    assert reasons[-1] == broken, "Airflow hands events that come after the queued one to the next run"
    assert schedule() == []


def test_training_is_scheduled_by_the_month_and_for_cause_one_at_a_time(dag_bag: Any) -> None:
    from airflow.sdk import AssetOrTimeSchedule, CronDataIntervalTimetable

    from motorisk_airflow.assets import RETRAINING as ASSET

    dag = dag_bag.dags["train_model"]
    assert isinstance(dag.timetable, AssetOrTimeSchedule)
    assert isinstance(dag.timetable.timetable, CronDataIntervalTimetable)
    assert dag.timetable.timetable.expression == "0 1 1 * *"
    assert dag.timetable.asset_condition.objects == (ASSET,)
    assert ASSET.name == RETRAINING
    assert dag.max_active_runs == 1
    asking = {task.dag_id for one in dag_bag.dags.values() for task in one.tasks if ASSET in task.outlets}
    assert asking == {"report_drift", "report_performance", "watch_configuration"}


def test_a_version_knows_that_somebody_trained_it_by_hand(run_dag: RunDag, left_behind: Engine) -> None:
    assert run_dag("train_model", as_of=add_months(FIRST_TRAINING, 1).isoformat()).state == "success"
    with left_behind.connect() as connection:
        newest, _ = all_versions(connection)
    assert newest.provenance["reason"] == "by hand"


def _context(run_type: str, *events: dict[str, str], **parts: Any) -> dict[str, Any]:
    from motorisk_airflow.assets import RETRAINING as ASSET

    found = {ASSET: [SimpleNamespace(extra=extra) for extra in events]} if events else {}
    run = SimpleNamespace(run_type=run_type, run_after=datetime(2026, 11, 23, 5, 0, tzinfo=UTC))
    return {"params": {}, "dag_run": run, "triggering_asset_events": found, **parts}


def test_a_training_for_cause_works_as_of_the_newest_alarm_and_keeps_all_reasons(airflow: Any) -> None:
    from motorisk_airflow.assets import RETRAINING as ASSET
    from motorisk_airflow.dates import newest_date
    from motorisk_airflow.runs import reason

    context = _context(
        "asset_triggered",
        {"as_of": "2026-11-20", "reason": "age drifts"},
        {"as_of": "2026-11-21", "reason": "version 3 does worse"},
        {"as_of": "2026-11-20", "reason": "age drifts"},
    )
    assert newest_date(context, ASSET) == date(2026, 11, 21)
    assert reason(context, ASSET) == "age drifts (as of 2026-11-20); version 3 does worse (as of 2026-11-21)"


def test_a_training_by_the_clock_works_as_of_the_end_of_its_month(airflow: Any) -> None:
    from motorisk_airflow.assets import RETRAINING as ASSET
    from motorisk_airflow.dates import newest_date
    from motorisk_airflow.runs import reason

    context = _context("scheduled", data_interval_end=datetime(2026, 11, 1, 1, 0, tzinfo=UTC))
    assert newest_date(context, ASSET) == date(2026, 10, 31)
    assert reason(context, ASSET) == "monthly clock"
    assert reason(_context("manual"), ASSET) == "by hand"
