"""The months of policies that a drift report compares: every policy, or, of millions, what the database adds up.

Reduced columns come from the database's own counts and sums by cell of a grid (`monitoring/columns.py` states the error
bound): ten million policies cross the connection as some thousands of cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from psycopg2 import sql
from sqlalchemy import Connection, func, select

from motorisk.domain.calendar import add_months
from motorisk.domain.policy import FEATURES
from motorisk.errors import NotEnoughData
from motorisk.monitoring.columns import EXACT_ROWS, Column, Grid, Sketch
from motorisk.monitoring.reference import Reference
from motorisk.warehouse.tables import policy

MOST_MONTHS = 120
"""Ten years of months at most are followed."""

Columns = dict[str, Column]

_WRITTEN = "effective_date >= %(first)s AND effective_date < %(end)s AND effective_date <= %(as_of)s"
_MONTH = "date_trunc('month', effective_date::timestamp)::date"
_CELLS = sql.SQL(
    f"""
    SELECT month, least(floor((kept - %(lower)s) / %(width)s)::integer, %(cells)s - 1) AS cell,
           count(*), sum(kept), count(*) FILTER (WHERE kept <> value)
    FROM (
        SELECT {_MONTH} AS month, {{feature}} AS value,
               least(greatest({{feature}}, %(lower)s::double precision), %(upper)s::double precision) AS kept
        FROM insurance.policy WHERE {_WRITTEN}
    ) AS policies
    GROUP BY 1, 2
    """  # noqa: S608
)
_FLAGS = sql.SQL(
    f"SELECT {_MONTH}, count(*), {{counts}} FROM insurance.policy WHERE {_WRITTEN} GROUP BY 1"  # noqa: S608
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
    month = func.date_trunc("month", policy.c.effective_date)
    rows = connection.execute(
        select(month, func.count())
        .where(policy.c.effective_date <= as_of)
        .group_by(month)
        .having(func.count() >= min_rows)
        .order_by(month)
    ).all()
    if not rows:
        raise NotEnoughData(f"no month up to {as_of} has at least {min_rows} policies to look for drift in")
    return [Month(date(first.year, first.month, 1), count) for first, count in rows]


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
    span = {"first": months[0].first, "end": add_months(months[-1].first, 1), "as_of": as_of}
    found: dict[date, Columns] = {month.first: {} for month in months}
    flags = [name for name, feature in FEATURES.items() if feature.is_flag]
    for name in FEATURES.keys() - flags:
        grid = Grid(reference.ranges[name])
        sketches = {first: Sketch(grid) for first in found}
        query = _CELLS.format(feature=sql.Identifier(name))
        tolerated = grid.tolerated
        cells = {"lower": tolerated.lower, "upper": tolerated.upper, "width": grid.width, "cells": grid.cells}
        for first, cell, count, total, outliers in _rows(connection, query, {**span, **cells}):
            if first in sketches:
                sketches[first].counts[cell] += count
                sketches[first].sums[cell] += total
                sketches[first].outliers += outliers
        for first, sketch in sketches.items():
            found[first][name] = sketch.column()
    counts = sql.SQL(", ").join(sql.SQL("count(*) FILTER (WHERE {})").format(sql.Identifier(name)) for name in flags)
    for first, rows, *having in _rows(connection, _FLAGS.format(counts=counts), span):
        if first in found:
            for name, count in zip(flags, having, strict=True):
                found[first][name] = Column(np.array([0.0, 1.0]), np.array([rows - count, count], dtype=np.float64))
    return [{name: found[month.first][name] for name in FEATURES} for month in months]


def _rows(connection: Connection, query: sql.Composable, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Rows by the driver itself: a hundred thousand cells need no objects of SQLAlchemy's."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101  the connection is open
    with driver.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
