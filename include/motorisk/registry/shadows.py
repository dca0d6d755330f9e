"""Shadows: challengers that price every quote again, without any effect on customers.

Because there is none, anybody may start and stop one, whoever trained the version included; each is an audit row.
Only a validated version can be a shadow: being approved or rejected ends it.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from motorisk.errors import TransitionRefused
from motorisk.registry.events import person, record
from motorisk.registry.versions import get, lock_registry
from motorisk.warehouse.tables import model_version, shadow


@dataclass(frozen=True, slots=True)
class Shadow:
    """A version that prices the quotes made from `since` on, until it is stopped.

    Quotes made before `looked_to` have been looked for at least once.
    """

    version: int
    since: datetime
    looked_to: datetime
    started_by: str
    started_at: datetime
    stopped_at: datetime | None


def start(
    connection: Connection, version: int, *, by: str, since: datetime | None = None, comment: str | None = None
) -> Shadow:
    """Let a validated version price quotes made from `since` on (default: now); a running one changes nothing.

    Started again, or from an earlier time, it covers everything from its earliest start on. `TransitionRefused` where
    the version is not validated; whether its plan prices is for the caller to check (`motorisk.pipelines.shadow`).
    """
    lock_registry(connection)
    by, found = person(by), get(connection, version)
    if found.state != "validated":
        raise TransitionRefused(f"version {version} is {found.state}, only a validated one can be shadowed")
    present = find(connection, version)
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    begin = min(since or now, now)
    if present is not None:
        begin = min(begin, present.since)
        if present.stopped_at is None and begin == present.since:
            return present
    values = {"since": begin, "looked_to": begin, "started_by": by, "started_at": now, "stopped_at": None}
    connection.execute(
        insert(shadow)
        .values(version=version, **values)
        .on_conflict_do_update(index_elements=[shadow.c.version], set_=values)
    )
    record(connection, version, "shadow started", by, comment=comment, details={"since": begin.isoformat()})
    return Shadow(version, begin, begin, by, now, None)


def stop(connection: Connection, version: int, *, by: str, comment: str | None = None) -> Shadow:
    """End a shadow; what it has priced stays. One that has ended stays so; `TransitionRefused` where none was."""
    lock_registry(connection)
    end(connection, version, by=person(by), comment=comment)
    return require(connection, version)


def end(
    connection: Connection, version: int, *, by: str, because: str | None = None, comment: str | None = None
) -> None:
    """End a version's shadow if one runs, in the transaction of what ends it."""
    ended = connection.execute(
        update(shadow)
        .where(shadow.c.version == version, shadow.c.stopped_at.is_(None))
        .values(stopped_at=func.clock_timestamp())
    )
    if ended.rowcount:
        details = {"because": because} if because else {}
        record(connection, version, "shadow stopped", by, comment=comment, details=details)


def find(connection: Connection, version: int) -> Shadow | None:
    """A version's shadow, running or stopped; None where it never was one."""
    row = connection.execute(select(shadow).where(shadow.c.version == version)).one_or_none()
    return None if row is None else Shadow(**row._mapping)


def require(connection: Connection, version: int) -> Shadow:
    """A version's shadow; `TransitionRefused` where it never was one, `UnknownVersion` where there is no version."""
    found = find(connection, version)
    if found is None:
        get(connection, version)
        raise TransitionRefused(f"version {version} was never shadowed: run `motorisk shadow start {version} --by WHO`")
    return found


def all_shadows(connection: Connection) -> list[Shadow]:
    """Every shadow, running or stopped, the newest version first."""
    rows = connection.execute(select(shadow).order_by(shadow.c.version.desc()))
    return [Shadow(**row._mapping) for row in rows]


def running(connection: Connection, version: int | None = None, *, locked: bool = False) -> list[Shadow]:
    """The shadows that price quotes now, the earliest version first.

    `locked` keeps others from ending them, or pricing with them, until the transaction ends.
    """
    wanted = (
        select(shadow)
        .join(model_version, model_version.c.version == shadow.c.version)
        # The state once more: whoever changes it past the registry's code ends the shadow too.
        .where(shadow.c.stopped_at.is_(None), model_version.c.state == "validated")
        .order_by(shadow.c.version)
    )
    if version is not None:
        wanted = wanted.where(shadow.c.version == version)
    if locked:
        wanted = wanted.with_for_update(of=shadow)
    return [Shadow(**row._mapping) for row in connection.execute(wanted)]
