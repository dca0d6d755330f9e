"""One night's drift report as it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from motorisk.domain.calendar import month_name
from motorisk.errors import NotEnoughData
from motorisk.modelling.card.wording import UNKNOWN, number, whole
from motorisk.monitoring.measures import Kind
from motorisk.pipelines.overview.heat_map import in_order
from motorisk.warehouse.tables import alarm, drift_metric, drift_reading, drift_run

OVERWHELMING = 1e9
"""Larger evidence is not worth its digits."""

WHOLE = 100
"""Evidence from here on is told in whole numbers."""


@dataclass(frozen=True, slots=True)
class FeatureNight:
    """What a night stored of a feature: its figures by the names of their columns."""

    name: str
    figures: Mapping[str, Any]
    reading: str | None
    """What its alarm probably means and what to do, in sentences; None without an alarm."""

    @property
    def drifted(self) -> bool:
        """Whether it drifts."""
        return bool(self.figures["drifted"])

    @property
    def by_this_month(self) -> bool:
        """Whether the newest month alone is past its threshold; where it is not, a drift is one of all months."""
        return bool(self.figures["score"] >= self.figures["threshold"])

    @property
    def says(self) -> str:
        """What the figures mean; nights before sentences were kept have only figures."""
        return str(self.figures["says"] or f"{self.name} {'drifts' if self.drifted else 'is as in the reference'}.")

    @property
    def score(self) -> str:
        """Of the newest month, and from where on it drifts."""
        return f"{number(self.figures['score'])} (drifts from {number(self.figures['threshold'])})"

    @property
    def evidence(self) -> str:
        """What all months together speak for drift, and from when on that convinces."""
        return f"{_odds(self.figures['evidence'])} ({_odds(self.figures['evidence_threshold'])} convinces)"

    @property
    def since(self) -> str:
        """The month of the change, with its interval."""
        return _between(*(self.figures[name] for name in ("since", "since_earliest", "since_latest")))

    @property
    def forecast(self) -> str:
        """When it passes its bound at this rate, with its interval."""
        return _between(*(self.figures[name] for name in ("passes", "passes_earliest", "passes_latest")))

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """The figures for people."""
        known = (
            ("Score", self.score),
            ("Evidence of all months", self.evidence if self.figures["evidence"] is not None else UNKNOWN),
            ("Drifts since", self.since),
            ("Passes its bound", self.forecast),
            ("Method", self.figures["method"]),
            ("Policies with a value", whole(self.figures["rows"])),
            (
                "Missing",
                whole(self.figures["missing"]) + (" (more than chance)" if self.figures["more_missing"] else ""),
            ),
            ("Outliers", whole(self.figures["outliers"])),
        )
        return tuple((name, value) for name, value in known if value != UNKNOWN)


@dataclass(frozen=True, slots=True)
class OpenAlarm:
    """An alarm that held on the night."""

    version: int
    reason: str
    since: date
    asked_at: datetime | None


@dataclass(frozen=True, slots=True)
class DriftNight:
    """A night's findings about its newest month, feature by feature."""

    as_of: date
    version: int
    month: date
    rows: int
    reference_rows: int
    windows: int
    dataset_drift: bool
    features: tuple[FeatureNight, ...]
    alarms: tuple[OpenAlarm, ...]

    @property
    def drifted(self) -> tuple[FeatureNight, ...]:
        """The features that drift."""
        return tuple(feature for feature in self.features if feature.drifted)

    @property
    def verdict(self) -> str:
        """The night in a sentence."""
        names = ", ".join(feature.name for feature in self.drifted)
        if not names:
            return "Nothing drifts."
        if not self.dataset_drift:
            return f"The dataset does not drift; {len(self.drifted)} of {len(self.features)} features do: {names}."
        return f"The dataset drifts: {len(self.drifted)} of {len(self.features)} features do: {names}."


def drift_of_night(connection: Connection, as_of: date) -> DriftNight:
    """What was stored for a date; `NotEnoughData` where nothing was."""
    run = connection.execute(
        select(drift_run).where(drift_run.c.as_of == as_of, drift_run.c.kind == Kind.POLICIES)
    ).one_or_none()
    if run is None:
        raise NotEnoughData(f"no drift was measured as of {as_of}")
    rows = {
        row.feature: row._asdict()
        for row in connection.execute(
            select(drift_metric).where(drift_metric.c.as_of == as_of, drift_metric.c.kind == Kind.POLICIES)
        )
    }
    says = select(drift_reading.c.feature, drift_reading.c.says).where(drift_reading.c.as_of == as_of)
    readings = dict(connection.execute(says).tuples().all())
    columns = (alarm.c.version, alarm.c.reason, alarm.c.since, alarm.c.asked_at)
    alarms = connection.execute(
        select(*columns)
        .where(alarm.c.cause.startswith("drift"), alarm.c.as_of <= as_of, alarm.c.last_seen >= as_of)
        .order_by(alarm.c.since, alarm.c.cause)
    )
    return DriftNight(
        as_of=as_of,
        version=run.version,
        month=run.month,
        rows=run.rows,
        reference_rows=run.reference_rows,
        windows=run.windows,
        dataset_drift=run.dataset_drift,
        features=tuple(FeatureNight(name, rows[name], readings.get(name)) for name in in_order(set(rows))),
        alarms=tuple(OpenAlarm(*row) for row in alarms),
    )


def newest_night(connection: Connection) -> date | None:
    """The newest date for which drift was measured; one that has not come yet does not count."""
    found: date | None = connection.scalar(
        select(func.max(drift_run.c.as_of)).where(
            drift_run.c.kind == Kind.POLICIES, drift_run.c.as_of <= func.current_date()
        )
    )
    return found


def _odds(evidence: float | None) -> str:
    if evidence is None:
        return UNKNOWN
    if evidence >= OVERWHELMING:
        return f"more than 1 : {OVERWHELMING:,.0f}"
    return f"1 : {evidence:,.0f}" if evidence >= WHOLE else f"1 : {evidence:.3g}"


def _between(month: date | None, earliest: date | None, latest: date | None) -> str:
    if month is None:
        return UNKNOWN
    if earliest is None or (earliest == latest == month):
        return month_name(month)
    return (
        f"{month_name(month)} ({month_name(earliest)} to {'perhaps never' if latest is None else month_name(latest)})"
    )
