"""Which version scores a date: the one approved then, or the champion of today."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from sqlalchemy import Connection, Select, func, select

from motorisk.errors import NoChampion
from motorisk.registry.versions import champion
from motorisk.warehouse.tables import model_event, model_version


class Choice(StrEnum):
    """Whose prices a date gets."""

    AS_APPROVED = "as-approved"
    WITH_CHAMPION = "with-champion"


def version_for(connection: Connection, as_of: date, choice: Choice) -> int:
    """The version to score a date with; `NoChampion` where there is none.

    As approved: the champion at the end of the day after the date, because the night that scores a date is on the day
    after it. For yesterday that is the champion of now. Dates before the platform's first approval get the version
    that training on time would have given: the newest as of then among those that were ever approved and not rolled
    back.
    """
    present = champion(connection)  # raises where nothing was ever approved
    if choice is Choice.WITH_CHAMPION:
        return present.version
    after = datetime.combine(as_of + timedelta(days=2), time(), UTC)
    then = connection.scalar(
        select(model_event.c.version)
        .where(model_event.c.event.in_(["approved", "reinstated"]), model_event.c.happened_at < after)
        .order_by(model_event.c.model_event_id.desc())
        .limit(1)
    )
    if then is not None:
        return int(then)
    on_time = connection.scalar(
        select(model_version.c.version)
        .where(
            model_version.c.state.in_(["approved", "retired"]),
            model_version.c.as_of <= as_of,
            model_version.c.version.not_in(_rolled_back()),
        )
        .order_by(model_version.c.as_of.desc(), model_version.c.approved_at.desc())
        .limit(1)
    )
    if on_time is None:
        raise NoChampion(
            f"no version was approved by {as_of}, nor trained as of a day up to then: "
            "score with the champion of today (--with-champion)"
        )
    return int(on_time)


def _rolled_back() -> Select[tuple[int]]:
    """Versions whose last word in the audit trail is that they were rolled back."""
    last = (
        select(model_event.c.version, func.max(model_event.c.model_event_id).label("last"))
        .where(model_event.c.event.in_(["approved", "reinstated", "rolled back"]))
        .group_by(model_event.c.version)
        .subquery()
    )
    return (
        select(model_event.c.version)
        .join(last, last.c.last == model_event.c.model_event_id)
        .where(model_event.c.event == "rolled back")
    )
