"""The audit trail of model versions: who did what, when and why. It only grows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from motorisk.errors import TransitionRefused
from motorisk.warehouse.tables import model_event


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """One row of the audit trail."""

    version: int
    event: str
    actor: str
    comment: str | None
    details: Mapping[str, Any]
    happened_at: datetime


def person(name: str) -> str:
    """Who decides, without blanks around the name; `TransitionRefused` where there is no name."""
    name = name.strip()
    if not name:
        raise TransitionRefused("who decides must be named")
    return name


def record(
    connection: Connection,
    version: int,
    event: str,
    actor: str,
    *,
    comment: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Append to the audit trail, in the transaction of what it tells of."""
    connection.execute(
        insert(model_event),
        {"version": version, "event": event, "actor": actor, "comment": comment, "details": dict(details or {})},
    )


def history(connection: Connection, version: int) -> list[ModelEvent]:
    """A version's events, oldest first."""
    columns = (
        model_event.c.version,
        model_event.c.event,
        model_event.c.actor,
        model_event.c.comment,
        model_event.c.details,
        model_event.c.happened_at,
    )
    rows = connection.execute(
        select(*columns).where(model_event.c.version == version).order_by(model_event.c.model_event_id)
    )
    return [ModelEvent(*row) for row in rows]
