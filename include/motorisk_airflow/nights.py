"""Runs of the nightly DAGs and the dates that they worked as of, from Airflow's own database."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

    from motorisk.pipelines.overview.nights import Run

TELLERS: Mapping[str, str] = {"score_portfolio": "publish", "report_drift": "measure", "report_performance": "measure"}
"""The task of each DAG that returns what it worked as of."""

NEWEST = 30
"""Runs that are looked at, of each DAG: enough for two weeks of nights, some of them repeated."""


def last_runs(dag_ids: Iterable[str]) -> "list[Run]":
    """The newest runs of some nightly DAGs."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.orm import joinedload

    found: list[Run] = []
    with create_session() as session:
        for dag_id in dag_ids:
            newest = select(DagRun).where(DagRun.dag_id == dag_id).order_by(DagRun.run_after.desc()).limit(NEWEST)
            runs = session.scalars(newest.options(joinedload(DagRun.dag_run_note))).unique().all()
            told = _told(session, dag_id, [run.run_id for run in runs])
            found.extend(_run(run, told.get(run.run_id, [])) for run in runs)
    return found


def dates_of_run(dag_id: str, run_id: str) -> list[date]:
    """The dates that a run has reported on, oldest first; none before it has."""
    from airflow.utils.session import create_session

    with create_session() as session:
        return _told(session, dag_id, [run_id]).get(run_id, [])


def _told(session: "Session", dag_id: str, run_ids: Sequence[str]) -> dict[str, list[date]]:
    """By run the dates that its task has returned, oldest first."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    rows = session.execute(
        select(XComModel.run_id, XComModel.value).where(
            XComModel.dag_id == dag_id,
            XComModel.task_id == TELLERS[dag_id],
            XComModel.key == "return_value",
            XComModel.run_id.in_(run_ids),
        )
    )
    found: dict[str, set[date]] = {}
    for row in rows:
        value = XComModel.deserialize_value(row)
        for told in value if isinstance(value, list) else [value]:
            if isinstance(told, dict) and "as_of" in told:
                found.setdefault(row.run_id, set()).add(date.fromisoformat(told["as_of"]))
    return {run_id: sorted(dates) for run_id, dates in found.items()}


def _run(run: "DagRun", told: Sequence[date]) -> "Run":
    from motorisk.pipelines.overview.nights import Run

    end = run.end_date or datetime.now(UTC)
    return Run(
        dag_id=run.dag_id,
        run_id=run.run_id,
        state=str(run.state),
        due=run.run_after,
        seconds=None if run.start_date is None else (end - run.start_date).total_seconds(),
        dates=tuple(told) or (_intended(run),),
        note=run.note,
    )


def _intended(run: "DagRun") -> date:
    """What a run that has told nothing is to work as of (as in `motorisk_airflow.dates`)."""
    wanted: Any = (run.conf or {}).get("as_of")
    with suppress(ValueError, TypeError):
        return date.fromisoformat(wanted)
    due = run.data_interval_end or run.run_after
    return due.date() - timedelta(days=1)
