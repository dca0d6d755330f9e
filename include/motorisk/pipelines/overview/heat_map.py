"""Drift by feature and month, as the nights of each month knew it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import Connection, func, select

from motorisk.domain.calendar import add_months, month_name, months_through
from motorisk.domain.policy import FEATURES
from motorisk.monitoring.measures import Kind
from motorisk.warehouse.tables import drift_metric, drift_run

MONTHS = 36
"""Columns of the map: three years."""

Level = Literal["calm", "near", "drifts", "far"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What the newest night about a month said of a feature; `says` is None of nights that kept no sentence."""

    as_of: date
    month: date
    feature: str
    score: float
    threshold: float
    drifted: bool
    says: str | None

    @property
    def level(self) -> Level:
        """The cell's colour: steady, steady past half of its threshold, drifting, drifting past twice its threshold."""
        if self.drifted:
            return "far" if self.score >= 2 * self.threshold else "drifts"
        return "near" if 2 * self.score >= self.threshold else "calm"

    @property
    def label(self) -> str:
        """The cell in words, for who does not see it."""
        verdict = "drifts" if self.drifted else "is as in the reference"
        return f"{self.feature} {verdict} in {month_name(self.month)}, score {self.score:.3f}"

    @property
    def title(self) -> str:
        """What it means."""
        return self.says or f"{self.label}, threshold {self.threshold:.3f}"

    @property
    def figure(self) -> str:
        """The score in three characters or so."""
        return f"{self.score:.2f}".removeprefix("0")


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Months without a gap, the oldest first, and cells by feature and month; `earlier` is the newest one cut off.

    `has_later`: later months were measured too.
    """

    months: tuple[date, ...]
    cells: Mapping[str, Mapping[date, Cell]]
    earlier: date | None
    has_later: bool = False

    @property
    def years(self) -> list[tuple[int, int]]:
        """Each year with the number of its months."""
        years = [month.year for month in self.months]
        return [(year, years.count(year)) for year in dict.fromkeys(years)]


def heat_map(connection: Connection, until: date | None = None) -> HeatMap:
    """The three years of months up to `until` (default: to the newest) that nights have measured.

    A month's column is what its last night said; a night for a day that has not come does not count.
    """
    nights = (
        select(drift_run.c.month, func.max(drift_run.c.as_of).label("as_of"))
        .where(drift_run.c.kind == Kind.POLICIES, drift_run.c.as_of <= func.current_date())
        .group_by(drift_run.c.month)
        .order_by(drift_run.c.month)
    )
    found = {row.month: row.as_of for row in connection.execute(nights)}
    measured = [month for month in found if until is None or month <= until]
    if not measured:
        return HeatMap((), {}, None, has_later=bool(found))
    first = max(measured[0], add_months(measured[-1], 1 - MONTHS))
    months = months_through(first, measured[-1])
    earlier = max((month for month in measured if month < first), default=None)
    cells = _cells(connection, {found[month]: month for month in months if month in found})
    return HeatMap(tuple(months), cells, earlier, has_later=max(found) > months[-1])


def _cells(connection: Connection, nights: Mapping[date, date]) -> dict[str, dict[date, Cell]]:
    names = ("as_of", "feature", "score", "threshold", "drifted", "says")
    rows = connection.execute(
        select(*(drift_metric.c[name] for name in names)).where(
            drift_metric.c.kind == Kind.POLICIES, drift_metric.c.as_of.in_(nights)
        )
    ).all()
    cells: dict[str, dict[date, Cell]] = {name: {} for name in in_order({row.feature for row in rows})}
    for row in rows:
        month = nights[row.as_of]
        cells[row.feature][month] = Cell(month=month, **row._mapping)
    return cells


def in_order(features: set[str]) -> Sequence[str]:
    """Features in the order in which policies have them; names that they do not have come last."""
    known = list(FEATURES)
    return sorted(features, key=lambda name: (known.index(name) if name in known else len(known), name))
