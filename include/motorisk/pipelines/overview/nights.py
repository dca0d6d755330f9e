"""The last nights: runs of the nightly DAGs beside what they left in the warehouse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, select

from motorisk.monitoring.measures import Kind
from motorisk.warehouse.tables import drift_metric, drift_run, score_run

NIGHTS = 14
SECONDS_A_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a DAG, and the dates that it works as of; `seconds` is None where it has not begun."""

    dag_id: str
    run_id: str
    state: str
    due: datetime
    seconds: float | None
    dates: tuple[date, ...]
    note: str | None = None

    @property
    def duration(self) -> str:
        """How long it took, or has taken so far."""
        if self.seconds is None:
            return ""
        minutes, seconds = divmod(round(self.seconds), SECONDS_A_MINUTE)
        return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


@dataclass(frozen=True, slots=True)
class Night:
    """A date: the newest run of each DAG, how many there were, and what is stored now.

    `scored` policies (None: no scores of the date are published), `drifted` features (None: no drift was measured).
    """

    as_of: date
    runs: Mapping[str, Run]
    counts: Mapping[str, int]
    scored: int | None
    dataset_drift: bool | None
    drifted: tuple[str, ...] | None

    @property
    def notes(self) -> list[str]:
        """What people wrote about the runs."""
        return [run.note for run in self.runs.values() if run.note]


def last_nights(connection: Connection, runs: Sequence[Run]) -> list[Night]:
    """The dates that runs have worked as of, the newest run first."""
    by_date: dict[date, dict[str, list[Run]]] = {}
    for run in sorted(runs, key=lambda run: run.due, reverse=True):
        for as_of in run.dates:
            by_date.setdefault(as_of, {}).setdefault(run.dag_id, []).append(run)
    dates = list(by_date)[:NIGHTS]
    scored = {
        row.as_of: row.rows
        for row in connection.execute(select(score_run.c.as_of, score_run.c.rows).where(score_run.c.as_of.in_(dates)))
    }
    measured = select(drift_run.c.as_of, drift_run.c.dataset_drift).where(
        drift_run.c.kind == Kind.POLICIES, drift_run.c.as_of.in_(dates)
    )
    flags = {row.as_of: row.dataset_drift for row in connection.execute(measured)}
    features = (
        select(drift_metric.c.as_of, drift_metric.c.feature)
        .where(drift_metric.c.kind == Kind.POLICIES, drift_metric.c.as_of.in_(dates), drift_metric.c.drifted)
        .order_by(drift_metric.c.score.desc())
    )
    drifted: dict[date, list[str]] = {as_of: [] for as_of in flags}
    for row in connection.execute(features):
        drifted[row.as_of].append(row.feature)
    return [
        Night(
            as_of=as_of,
            runs={dag_id: found[0] for dag_id, found in by_date[as_of].items()},
            counts={dag_id: len(found) for dag_id, found in by_date[as_of].items()},
            scored=scored.get(as_of),
            dataset_drift=flags.get(as_of),
            drifted=tuple(drifted[as_of]) if as_of in drifted else None,
        )
        for as_of in dates
    ]
