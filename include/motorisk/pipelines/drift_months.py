"""The months of policies that a drift report compares: every policy, or, of millions, what the database adds up.

Reduced columns come from the database's own counts and sums by cell of a grid (`monitoring/columns.py` states the error
bound): ten million policies cross the connection as some thousands of cells.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from psycopg2 import sql
from sqlalchemy import Connection, func, select

from motorisk.domain.calendar import add_months, first_of_month
from motorisk.domain.policy import FEATURES
from motorisk.errors import NotEnoughData
from motorisk.monitoring.columns import EXACT_ROWS, Column, Counts, Floats, Grid, Sketch
from motorisk.monitoring.reference import Reference
from motorisk.warehouse.tables import policy

MOST_MONTHS = 120
"""Ten years of months at most are followed."""

Columns = dict[str, Column]

_WRITTEN = "effective_date >= %(first)s AND effective_date < %(end)s AND effective_date <= %(as_of)s"
# One whole number to group by; the cells beside the grid's, -1 and the last, are the outliers' below and above.
_CELLS = sql.SQL(
    f"""
    SELECT width_bucket(effective_date, %(months)s::date[]) * (%(cells)s + 2) + 1
           + least(greatest(floor(({{feature}} - %(lower)s) / %(width)s), -1), %(cells)s)::integer,
           count(*), sum({{feature}})
    FROM insurance.policy WHERE {_WRITTEN}
    GROUP BY 1
    """  # noqa: S608
)
_FLAGS = sql.SQL(
    f"""
    SELECT width_bucket(effective_date, %(months)s::date[]), count(*), {{counts}}
    FROM insurance.policy WHERE {_WRITTEN} GROUP BY 1
    """  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Month:
    """A month's policies as known on a day."""

    first: date
    rows: int

    @property
    def last(self) -> date:
        """Its last day."""
        return add_months(self.first, 1) - timedelta(days=1)


def comparable_months(connection: Connection, as_of: date, min_rows: int) -> list[Month]:
    """Months with at least `min_rows` policies written by `as_of`, oldest first; `NotEnoughData` where none has.

    So a month that has just begun does not raise alarms by its small size.
    """
    day = policy.c.effective_date
    days = connection.execute(select(day, func.count()).where(day <= as_of).group_by(day))
    rows: Counter[date] = Counter()
    for found, count in days:
        rows[first_of_month(found)] += count
    months = [Month(first, rows[first]) for first in sorted(rows) if rows[first] >= min_rows]
    if not months:
        raise NotEnoughData(f"no month up to {as_of} has at least {min_rows} policies to look for drift in")
    return months


def months_since(months: Sequence[Month], reference_month: date) -> list[Month]:
    """The months after the reference's last one; the newest where there are none after it."""
    return [month for month in months if month.first > reference_month][-MOST_MONTHS:] or list(months[-1:])


def columns_of_months(
    connection: Connection, reference: Reference, months: Sequence[Month], as_of: date, exact_rows: int = EXACT_ROWS
) -> list[Columns]:
    """The columns of each month, as known on `as_of`; reduced where the months have more than `exact_rows` in all."""
    if sum(month.rows for month in months) <= exact_rows:
        return [_exact(connection, reference, month, as_of) for month in months]
    return _reduced(connection, reference, months, as_of)


def _exact(connection: Connection, reference: Reference, month: Month, as_of: date) -> Columns:
    rows = connection.execute(
        select(*(policy.c[name] for name in FEATURES)).where(
            policy.c.effective_date.between(month.first, month.last), policy.c.effective_date <= as_of
        )
    ).all()
    values = np.array(rows, dtype=np.float64)
    return {name: reference.column(name, values[:, column]) for column, name in enumerate(FEATURES)}


def _reduced(connection: Connection, reference: Reference, months: Sequence[Month], as_of: date) -> list[Columns]:
    starts = [months[0].first]
    while starts[-1] < months[-1].first:
        starts.append(add_months(starts[-1], 1))
    span = {"first": starts[0], "end": add_months(starts[-1], 1), "as_of": as_of, "months": starts}
    found: dict[date, Columns] = {first: {} for first in starts}
    flags = [name for name, feature in FEATURES.items() if feature.is_flag]
    for name in FEATURES.keys() - flags:
        grid = Grid(reference.ranges[name])
        asked = {"lower": grid.tolerated.lower, "width": grid.width, "cells": grid.cells}
        rows = _rows(connection, _CELLS.format(feature=sql.Identifier(name)), {**span, **asked})
        numbers, counts, sums = (np.array(values) for values in zip(*rows, strict=True))
        filled, cells = np.divmod(numbers, grid.cells + 2)
        for number, first in enumerate(starts, start=1):
            here = filled == number
            found[first][name] = _sketched(grid, cells[here] - 1, counts[here], sums[here]).column()
    counts_of_flags = sql.SQL(", ").join(
        sql.SQL("count(*) FILTER (WHERE {})").format(sql.Identifier(name)) for name in flags
    )
    for number, total, *having in _rows(connection, _FLAGS.format(counts=counts_of_flags), span):
        for name, count in zip(flags, having, strict=True):
            weights = np.array([total - count, count], dtype=np.float64)
            found[starts[number - 1]][name] = Column(np.array([0.0, 1.0]), weights)
    return [{name: found[month.first][name] for name in FEATURES} for month in months]


def _sketched(grid: Grid, cells: Counts, counts: Counts, sums: Floats) -> Sketch:
    """What a sketch would hold after adding the rows of these cells; -1 and the last are beside the grid."""
    sketch = Sketch(grid)
    inside = (cells >= 0) & (cells < grid.cells)
    sketch.counts[cells[inside]] = counts[inside]
    sketch.sums[cells[inside]] = sums[inside]
    for beside, cell, value in ((-1, 0, grid.tolerated.lower), (grid.cells, grid.cells - 1, grid.tolerated.upper)):
        outliers = int(counts[cells == beside].sum())
        sketch.counts[cell] += outliers
        sketch.sums[cell] += outliers * value
        sketch.outliers += outliers
    return sketch


def _rows(connection: Connection, query: sql.Composable, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Rows by the driver itself: a hundred thousand cells need no objects of SQLAlchemy's."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101  the connection is open
    with driver.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
