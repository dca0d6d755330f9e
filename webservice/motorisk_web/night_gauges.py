"""Gauges of the nights, from what they left in the database: when each step last succeeded, and what came of it.

There are none of a step before it has run. Every instance of the service tells the same, so that whoever asks
Prometheus takes the `max` over instances.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Integer, Row, Table, case, cast, func, select

from motorisk.quoting.database import Database
from motorisk.warehouse.tables import alarm, drift_inbox, drift_run, model_version, performance, score_run
from motorisk_web.latest import Latest

REALISED_MONTHS = 12
"""Accuracy is that of the newest months with outcomes: a year, so that seasons weigh alike."""

_CAUSE_OF_A_VERSION = "performance"
"""Alarms of this kind speak against a version and end with its service; the others last as long as they are seen."""

_HORIZONS = ((3, "0-3"), (6, "4-6"), (12, "7-12"))
_BEYOND = "13+"


@dataclass(frozen=True, slots=True)
class Step:
    """The newest success of a step of the night: for which day, when, with how many rows, in how many seconds."""

    name: str
    as_of: date
    succeeded_at: datetime
    rows: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Nights:
    """What one reading finds."""

    read_at: float
    steps: Sequence[Step]
    scores: Row[Any] | None
    alarms: Sequence[Row[Any]]
    horizons: Sequence[Row[Any]]
    waiting: Row[Any]


class NightGauges(Collector):
    """Collects the gauges; a scrape never fails for want of the database."""

    def __init__(self, database: Database, *, on_failure: Callable[[], None]) -> None:
        self._latest = Latest(database, _read, on_failure=on_failure)

    def collect(self) -> Iterator[Metric]:
        """All gauges, or none before the database was reached."""
        found = self._latest.get()
        if found is not None:
            yield from gauges_of_nights(found)


def gauges_of_nights(found: Nights) -> Iterator[Metric]:
    """What a reading tells as gauges; those of scores and of the oldest quote only where there are such."""
    yield GaugeMetricFamily(
        "motorisk_nights_read_timestamp_seconds",
        "When these figures about the nights were read from the database",
        found.read_at,
    )
    yield from _of_steps(found.steps)
    yield from _of_scores(found.scores)
    yield from _of_alarms(found.alarms)
    yield from _of_performance(found.horizons)
    yield from _of_monitor(found.waiting)


def _read(connection: Connection) -> Nights:
    scores = _newest(connection, score_run)
    steps = [step for step in (_scored(scores), *_other_steps(connection)) if step]
    return Nights(
        read_at=time.time(),
        steps=steps,
        scores=scores,
        alarms=_open_alarms(connection, {step.name: step.as_of for step in steps}),
        horizons=_realised(connection),
        waiting=_waiting(connection),
    )


def _newest(connection: Connection, table: Table) -> Row[Any] | None:
    """The row of the newest day; one that has not come yet would hide that nights are missing."""
    chosen = select(table).where(table.c.as_of <= func.current_date()).order_by(table.c.as_of.desc()).limit(1)
    if table is drift_run:
        chosen = chosen.where(drift_run.c.kind == "policies")
    return connection.execute(chosen).one_or_none()


def _scored(row: Row[Any] | None) -> Step | None:
    return Step("score", row.as_of, row.published_at, row.rows, row.seconds) if row else None


def _other_steps(connection: Connection) -> Iterator[Step]:
    if drift := _newest(connection, drift_run):
        yield Step("drift", drift.as_of, drift.measured_at, drift.rows)
    told = performance.c.as_of, func.max(performance.c.measured_at), func.sum(performance.c.rows)
    nights = select(*told).where(performance.c.as_of <= func.current_date()).group_by(performance.c.as_of)
    if measured := connection.execute(nights.order_by(performance.c.as_of.desc()).limit(1)).one_or_none():
        yield Step("performance", *measured)
    columns = (model_version.c[name] for name in ("as_of", "trained_at", "rows"))
    newest = select(*columns).order_by(model_version.c.as_of.desc(), model_version.c.version.desc()).limit(1)
    if trained := connection.execute(newest).one_or_none():
        yield Step("train", *trained)


def _open_alarms(connection: Connection, nights: dict[str, date]) -> list[Row[Any]]:
    """The alarms that the newest night of their kind still saw, of retired versions only those that outlive them."""
    state = select(model_version.c.state).where(model_version.c.version == alarm.c.version).scalar_subquery()
    columns: list[Any] = [alarm.c.cause, alarm.c.version, alarm.c.since, alarm.c.last_seen, state.label("state")]
    found = connection.execute(select(*columns).order_by(alarm.c.cause, alarm.c.version)).all()
    return [
        row
        for row in found
        if row.last_seen >= nights.get(_kind(row.cause), date.max)
        and (_kind(row.cause) != _CAUSE_OF_A_VERSION or row.state == "approved")
    ]


def _kind(cause: str) -> str:
    return cause.split(maxsplit=1)[0]


def _realised(connection: Connection) -> Sequence[Row[Any]]:
    """Accuracy by how old the version's knowledge was when the policies began, weighted by policies."""
    known = performance.c.rows > 0
    newest = select(func.max(performance.c.month)).where(known).scalar_subquery()
    age = func.age(performance.c.month, func.date_trunc("month", model_version.c.as_of))
    months = cast(func.extract("year", age) * 12 + func.extract("month", age), Integer)
    horizon = case(*((months <= most, name) for most, name in _HORIZONS), else_=_BEYOND).label("horizon")

    def mean(name: str) -> Any:
        figure, rows = performance.c[name], performance.c.rows
        return (func.sum(figure * rows) / func.sum(rows).filter(figure.is_not(None))).label(name)

    statement = (
        select(horizon, func.sum(performance.c.rows).label("rows"), mean("accuracy"), mean("estimated_accuracy"))
        .join_from(performance, model_version, model_version.c.version == performance.c.version)
        .where(known, performance.c.month > newest - func.make_interval(0, REALISED_MONTHS))
        .group_by(horizon)
        .order_by(horizon)
    )
    return connection.execute(statement).all()


def _waiting(connection: Connection) -> Row[Any]:
    """The quotes that are in no window yet: a span of the key, because counting would cost more the more wait."""
    oldest = select(drift_inbox.c.arrived_at).order_by(drift_inbox.c.arrival).limit(1).scalar_subquery()
    span = func.coalesce(func.max(drift_inbox.c.arrival) - func.min(drift_inbox.c.arrival) + 1, 0)
    columns: list[Any] = [span.label("rows"), oldest.label("oldest")]
    return connection.execute(select(*columns)).one()


def _of_steps(steps: Sequence[Step]) -> Iterator[Metric]:
    as_of = GaugeMetricFamily(
        "motorisk_night_as_of_timestamp_seconds", "The newest day for which a step has succeeded", labels=["step"]
    )
    success = GaugeMetricFamily(
        "motorisk_night_last_success_timestamp_seconds", "When a step succeeded for that day", labels=["step"]
    )
    rows = GaugeMetricFamily("motorisk_night_rows", "Rows that a step worked on for that day", labels=["step"])
    seconds = GaugeMetricFamily("motorisk_night_duration_seconds", "How long a step took for it", labels=["step"])
    for step in steps:
        as_of.add_metric([step.name], datetime.combine(step.as_of, time_of_day(), UTC).timestamp())
        success.add_metric([step.name], step.succeeded_at.timestamp())
        rows.add_metric([step.name], step.rows)
        if step.seconds is not None:
            seconds.add_metric([step.name], step.seconds)
    yield from (as_of, success, rows, seconds)


def _of_scores(scores: Row[Any] | None) -> Iterator[Metric]:
    if scores is None:
        return
    yield GaugeMetricFamily(
        "motorisk_night_quarantined_rows", "Policies of the newest scores that could not be priced", scores.quarantined
    )
    by_predictor = GaugeMetricFamily(
        "motorisk_night_scored_policies", "Policies of the newest scores, by what priced them", labels=["predictor"]
    )
    for predictor in ("model", "rules"):
        by_predictor.add_metric([predictor], scores.by_predictor.get(predictor, 0))
    yield by_predictor


def _of_alarms(alarms: Sequence[Row[Any]]) -> Iterator[Metric]:
    counts = GaugeMetricFamily(
        "motorisk_alarms_open", "Alarms that the newest night of their kind still saw", labels=["kind"]
    )
    for kind in ("drift", "performance"):
        counts.add_metric([kind], sum(_kind(row.cause) == kind for row in alarms))
    since = GaugeMetricFamily(
        "motorisk_alarm_since_timestamp_seconds",
        "Since when what an open alarm tells is so",
        labels=["cause", "version"],
    )
    for row in alarms:
        moment = datetime.combine(row.since, time_of_day(), UTC).timestamp()
        since.add_metric([row.cause, str(row.version)], moment)
    yield from (counts, since)


def _of_performance(horizons: Sequence[Row[Any]]) -> Iterator[Metric]:
    described = (
        ("accuracy", "Share of policies whose class came true", "accuracy"),
        ("estimated_accuracy", "What the versions themselves had expected that share to be", "estimated_accuracy"),
        ("policies", "Policies with known outcomes that these figures are of", "rows"),
    )
    for name, help_text, column in described:
        whole = f"{help_text}; newest {REALISED_MONTHS} months with outcomes, by months since the version's as-of date"
        gauge = GaugeMetricFamily(f"motorisk_performance_{name}", whole, labels=["horizon"])
        for row in horizons:
            if row._mapping[column] is not None:
                gauge.add_metric([row.horizon], float(row._mapping[column]))
        yield gauge


def _of_monitor(waiting: Row[Any]) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "motorisk_monitor_waiting_quotes", "Quotes and recorded inputs that wait for a window", waiting.rows
    )
    if waiting.oldest is not None:
        yield GaugeMetricFamily(
            "motorisk_monitor_oldest_waiting_timestamp_seconds",
            "When the oldest quote arrived that waits for a window",
            waiting.oldest.timestamp(),
        )
