"""The months of policies that a drift report compares: every policy, or, of millions, what the database adds up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from psycopg2 import sql
from sqlalchemy import Connection, func, select

from motorisk.domain.calendar import add_months, first_of_month, months_through
from motorisk.domain.policy import FEATURES
from motorisk.errors import NotEnoughData
from motorisk.monitoring.columns import EXACT_ROWS
from motorisk.monitoring.reference import Reference
from motorisk.pipelines.drift_cells import Columns, Source, reduced_columns
from motorisk.warehouse.tables import policy

MOST_MONTHS = 120
"""Ten years of months at most are followed."""

_WRITTEN = Source(
    rows=sql.SQL(
        "insurance.policy "
        "WHERE effective_date >= %(first)s AND effective_date < %(end)s AND effective_date <= %(as_of)s"
    ),
    values={name: sql.Identifier(name) for name in FEATURES},
    parameters={},
    period=sql.SQL("width_bucket(effective_date, %(months)s::date[])"),
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
    )
    values = np.array([tuple(row) for row in rows], dtype=np.float64)  # NumPy looks rows up and down for what they are
    return {name: reference.column(name, values[:, column]) for column, name in enumerate(FEATURES)}


def _reduced(connection: Connection, reference: Reference, months: Sequence[Month], as_of: date) -> list[Columns]:
    starts = months_through(months[0].first, months[-1].first)
    span = {"first": starts[0], "end": add_months(starts[-1], 1), "as_of": as_of, "months": starts}
    reduced = reduced_columns(connection, reference, replace(_WRITTEN, parameters=span), len(starts))
    found = dict(zip(starts, reduced, strict=True))
    return [{name: found[month.first][name] for name in FEATURES} for month in months]
