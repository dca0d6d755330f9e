"""Realised accuracy month by month, beside what the first version would have reached had nobody trained again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from sqlalchemy import Connection, func, select

from motorisk.pipelines.performance import measure_month
from motorisk.pipelines.served import read_served
from motorisk.registry.versions import get, load_plan
from motorisk.warehouse.tables import performance

MONTHLY_ROWS = 10_000
"""Policies a month on which the first version is measured, about: known to half a point at worst."""


@dataclass(frozen=True, slots=True)
class MonthOfAccuracy:
    """Shares of policies whose class was foretold: by the version that served the month, and by the first one.

    `rows` have a known outcome; `once` is None where the first version knew them already.
    """

    month: date
    version: int
    rows: int
    accuracy: float
    once: float | None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What was known as of the newest night of `report_performance` (None: there was none), oldest month first.

    `first` is the version that served the first of them; it is measured on one policy in `one_in`.
    """

    as_of: date | None = None
    first: int | None = None
    months: tuple[MonthOfAccuracy, ...] = ()
    one_in: int = 1

    @property
    def was_trained_again(self) -> bool:
        """Whether another version than the first has served."""
        return any(month.version != self.first for month in self.months)


class AccuracyHistory:
    """Reads the history; for a process that shows it often, what the first version would have done is kept.

    The nights measure the versions that served. The first one's figures on later months follow from policies and
    outcomes known on the same night, and are computed when the night is shown first.
    """

    def __init__(self) -> None:
        self._key: tuple[date, datetime, int] | None = None
        self._once: Mapping[date, float] = {}

    def read(self, connection: Connection) -> Accuracy:
        """The history as of the newest night; a night for a day that has not come does not count."""
        newest = select(func.max(performance.c.as_of)).where(performance.c.as_of <= func.current_date())
        as_of = connection.scalar(newest)
        if as_of is None:
            return Accuracy()
        columns = (performance.c[name] for name in ("month", "version", "rows", "accuracy", "measured_at"))
        night = select(*columns).where(performance.c.as_of == as_of).order_by(performance.c.month)
        rows = connection.execute(night).all()
        known = [row for row in rows if row.rows]
        if not known:
            return Accuracy(as_of)
        first: int = known[0].version
        one_in = -(-max(row.rows for row in known) // MONTHLY_ROWS)
        later = [row.month for row in known if row.version != first]
        key = (as_of, max(row.measured_at for row in rows), first)
        if key != self._key:
            self._once = once_trained(connection, as_of, first, later, one_in=one_in) if later else {}
            self._key = key
        months = [
            MonthOfAccuracy(
                row.month,
                row.version,
                row.rows,
                row.accuracy,
                row.accuracy if row.version == first else self._once.get(row.month),
            )
            for row in known
        ]
        return Accuracy(as_of, first, tuple(months), one_in)


def once_trained(
    connection: Connection, as_of: date, version: int, months: Sequence[date], *, one_in: int = 1
) -> dict[date, float]:
    """Accuracy of a version on the policies of later months, with the outcomes known on a date.

    Outcomes that the version knew are left out, as for versions that serve. Of `one_in` policies one is taken.
    """
    model, plan = get(connection, version), load_plan(connection, version)
    served = read_served(connection, as_of, since=min(months), every=one_in)
    fresh = served.matured & ~served.known_by(model.as_of)
    found = {}
    for month in months:
        part = served.where(fresh & (served.months == np.datetime64(month, "M")))
        if len(part):
            accuracy = measure_month(part, month, as_of, model, plan).accuracy
            if accuracy is not None:
                found[month] = accuracy
    return found
