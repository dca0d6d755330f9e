"""Alarms: what speaks against a served version, kept once by version and cause, and the trainings asked for.

A night stores what it finds; a training is asked for once, by a night that looks at the present, and only where the
champion was trained before the alarm: one that was trained since has learned all there was to learn from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from motorisk.registry.versions import find_champion
from motorisk.warehouse.tables import alarm

PRESENT = timedelta(days=2)
"""A night for an earlier day than this is a backfill, and asks for nothing. A night runs the day after; one that
Airflow catches up with after an outage may start after the next midnight."""

LASTING = timedelta(days=31)
"""A drift that was gone for no longer than this has lasted: months of policies differ a little."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a night found against a version.

    `outlives_version`: the cause lies in the policies, not in the version, so that a successor inherits it. Outcomes
    take a year: a version trained tonight learns from policies as old as its predecessor did.
    """

    version: int
    cause: str
    since: date
    reason: str
    e_value: float | None = None
    threshold: float | None = None
    outlives_version: bool = False


@dataclass(frozen=True, slots=True)
class Alarm:
    """A stored finding: `as_of` is the night that raised it first, `asked_at` when a training was asked for."""

    version: int
    cause: str
    as_of: date
    since: date
    last_seen: date
    reason: str
    e_value: float | None
    threshold: float | None
    asked_at: datetime | None

    @property
    def key(self) -> tuple[int, str]:
        """What makes it one."""
        return self.version, self.cause


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A training that alarms ask for."""

    as_of: date
    reason: str
    alarms: tuple[tuple[int, str], ...]


_COLUMNS = [column for column in alarm.columns if column.name != "raised_at"]


def _from_row(row: Row[tuple[object, ...]]) -> Alarm:
    return Alarm(**row._mapping)


def _select() -> Select[tuple[object, ...]]:
    return select(*_COLUMNS)


def raise_alarms(connection: Connection, as_of: date, kind: str, findings: Sequence[Finding]) -> list[Alarm]:
    """Store what a night found; return the alarms that hold on it, old and new.

    `kind` is how the causes of this sort of night begin. What an earlier run of the same night had found and this one
    does not is withdrawn, unless a training was asked for or a later night saw it too.
    """
    connection.execute(
        delete(alarm).where(
            alarm.c.as_of == as_of,
            alarm.c.last_seen == as_of,
            alarm.c.asked_at.is_(None),
            alarm.c.cause.startswith(kind, autoescape=True),
        )
    )
    return [_raise(connection, as_of, finding) for finding in findings]


def _raise(connection: Connection, as_of: date, finding: Finding) -> Alarm:
    known = _own(connection, finding) or (_inherited(connection, as_of, finding) if finding.outlives_version else None)
    found = {
        "as_of": as_of,
        "since": finding.since,
        "reason": finding.reason,
        "e_value": finding.e_value,
        "threshold": finding.threshold,
    }
    if known is None:
        values = found | {"version": finding.version, "cause": finding.cause, "last_seen": as_of}
        return _from_row(connection.execute(insert(alarm).returning(*_COLUMNS), values).one())
    # The first night's words stay, until an earlier one is run.
    first = found if known.version == finding.version and as_of <= known.as_of else {}
    seen = first | {"last_seen": max(known.last_seen, as_of)}
    statement = update(alarm).where(alarm.c.version == known.version, alarm.c.cause == known.cause).values(seen)
    return _from_row(connection.execute(statement.returning(*_COLUMNS)).one())


def _own(connection: Connection, finding: Finding) -> Alarm | None:
    row = connection.execute(
        _select().where(alarm.c.version == finding.version, alarm.c.cause == finding.cause)
    ).one_or_none()
    return None if row is None else _from_row(row)


def _inherited(connection: Connection, as_of: date, finding: Finding) -> Alarm | None:
    row = connection.execute(
        _select()
        .where(alarm.c.cause == finding.cause, alarm.c.as_of <= as_of, alarm.c.last_seen >= as_of - LASTING)
        .order_by(alarm.c.last_seen.desc(), alarm.c.version.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _from_row(row)


def training_request(
    connection: Connection, as_of: date, keys: Sequence[tuple[int, str]], today: date | None = None
) -> TrainingRequest | None:
    """The training that a night's alarms ask for; None where none does, or the night is long past or has not come.

    `today` is the present day (UTC), for tests.
    """
    today = today or datetime.now(UTC).date()
    if not today - PRESENT <= as_of <= today:
        return None
    champion = find_champion(connection)
    rows = connection.execute(_select().where(alarm.c.asked_at.is_(None)).order_by(alarm.c.version, alarm.c.cause))
    asking = [
        found
        for found in map(_from_row, rows)
        if found.key in keys and (champion is None or champion.as_of < found.since)
    ]
    if not asking:
        return None
    return TrainingRequest(as_of, "; ".join(found.reason for found in asking), tuple(found.key for found in asking))


def mark_asked(connection: Connection, keys: Sequence[tuple[int, str]]) -> None:
    """Remember that a training was asked for because of these alarms; the first time counts."""
    for version, cause in keys:
        connection.execute(
            update(alarm)
            .where(alarm.c.version == version, alarm.c.cause == cause, alarm.c.asked_at.is_(None))
            .values(asked_at=func.clock_timestamp())
        )
