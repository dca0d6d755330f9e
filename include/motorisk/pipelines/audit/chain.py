"""How digests of events and of seals are chained: each over the digest before it and the content."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, text

BEFORE_THE_FIRST = "0" * 64

# As the trigger of migration 0011 writes them; computed here again, without its functions.
_EVENTS = text(
    """
    SELECT position, version, event, digest, jsonb_build_array(
        position, version, event, actor, comment, details, extract(epoch FROM happened_at)
    )::text AS content
    FROM motorisk.model_event ORDER BY position, model_event_id
    """
)


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link of a chain: how many there are, and the last one's digest."""

    number: int = 0
    digest: str = BEFORE_THE_FIRST


def events(connection: Connection) -> Iterator[Row[Any]]:
    """The audit trail in its order: position, version, event, digest, and the content that the digest is over."""
    yield from connection.execute(_EVENTS.execution_options(yield_per=10_000))


def event_digest(before: str, content: str) -> str:
    """An event's digest from the one before it."""
    return hashlib.sha256(f"{before}{content}".encode()).hexdigest()


def trail_head(connection: Connection) -> Head:
    """How far the audit trail goes."""
    found = text("SELECT position, digest FROM motorisk.model_event ORDER BY position DESC LIMIT 1")
    row = connection.execute(found).one_or_none()
    return Head(row.position, row.digest) if row else Head()


def seal_digest(
    before: str,
    seal_id: int,
    hour: datetime,
    rows: int,
    late: int,
    quote_ids: bytes,
    row_digests: bytes,
    trail: Head,
    sealed_at: datetime,
) -> str:
    """A seal's digest from the one before it."""
    content = (
        before,
        str(seal_id),
        hour.astimezone(UTC).isoformat(),
        str(rows),
        str(late),
        hashlib.sha256(quote_ids).hexdigest(),
        hashlib.sha256(row_digests).hexdigest(),
        str(trail.number),
        trail.digest,
        sealed_at.astimezone(UTC).isoformat(),
    )
    return hashlib.sha256("\n".join(content).encode()).hexdigest()
