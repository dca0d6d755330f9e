"""Whether this machine and the database agree on the time: as-of dates, keys' ends and approvals depend on it."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, func, select

from motorisk.errors import ClockSkew

TOLERANCE = timedelta(minutes=5)


def disagreement(engine: Engine) -> str | None:
    """Which clock is ahead by how much, and what to do; None where they agree within `TOLERANCE`."""
    with engine.connect() as connection:
        before = datetime.now(UTC)
        there: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        after = datetime.now(UTC)
    ahead = before + (after - before) / 2 - there
    if abs(ahead) <= TOLERANCE:
        return None
    far = timedelta(seconds=round(abs(ahead).total_seconds()))
    which = "ahead of" if ahead > timedelta() else "behind"
    return f"this machine's clock is {far} (h:mm:ss) {which} the database's: set both by a time server (NTP)"


def require_same_time(engine: Engine) -> None:
    """Raise `ClockSkew`, saying what to do, where this machine's clock and the database's are far apart."""
    found = disagreement(engine)
    if found is not None:
        raise ClockSkew(found)
