"""The accuracies over time as a line chart: places for a template to draw at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from motorisk.domain.calendar import month_name, months_through
from motorisk.modelling.card.wording import percent
from motorisk.pipelines.overview.accuracy import MonthOfAccuracy

WIDTH, HEIGHT = 760.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 750.0, 12.0, 206.0
MOST_LABELS = 12


@dataclass(frozen=True, slots=True)
class Point:
    """A month of a line; `title` says what it is."""

    x: float
    y: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines in pieces, broken where a month is unknown; ticks are a place and a label each."""

    platform: tuple[tuple[Point, ...], ...]
    once: tuple[tuple[Point, ...], ...]
    shares: tuple[tuple[float, str], ...]
    labels: tuple[tuple[float, str], ...]


def accuracy_chart(months: Sequence[MonthOfAccuracy]) -> Chart:
    """The chart of months with known outcomes, of which there is at least one."""
    first, last = months[0].month, months[-1].month
    span = max(_months(first, last), 1)
    values = [month.accuracy for month in months] + [month.once for month in months if month.once is not None]
    tenths = min(int(min(values) * 10), 9)

    def x(month: date) -> float:
        return round(LEFT + (RIGHT - LEFT) * _months(first, month) / span, 1)

    def y(share: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (share - tenths / 10) / (1 - tenths / 10), 1)

    def line(name: str, value: Callable[[MonthOfAccuracy], float | None]) -> tuple[tuple[Point, ...], ...]:
        # Months in a row have the same difference of calendar and list.
        known = [month for month in months if value(month) is not None]
        numbered = groupby(enumerate(known), lambda pair: _months(first, pair[1].month) - pair[0])
        return tuple(tuple(point(name, month, value(month)) for _, month in piece) for _, piece in numbered)

    def point(name: str, month: MonthOfAccuracy, share: float | None) -> Point:
        return Point(x(month.month), y(share or 0.0), f"{name}, {month_name(month.month)}: {percent(share)}")

    every = -(-(span + 1) // MOST_LABELS)
    shown = months_through(first, last)[::every]
    return Chart(
        platform=line("the platform", lambda month: month.accuracy),
        once=line("trained once", lambda month: month.once),
        shares=tuple((y(tenth / 10), f"{10 * tenth} %") for tenth in range(tenths, 11)),
        labels=tuple((x(month), month_name(month)) for month in shown),
    )


def _months(start: date, end: date) -> int:
    return (end.year - start.year) * 12 + end.month - start.month
