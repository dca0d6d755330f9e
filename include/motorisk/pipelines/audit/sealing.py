"""Sealing: a digest over every quote that is in no seal yet, chained, behind the quotes' back.

What is new is told by comparing the ledger with the seals, hour by hour, and not by a number that quotes are given
when they come: quoting pays nothing, a transaction that commits late or a journal that is carried over late is simply
new the next time, and seals survive a dump and its restoring.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, func, insert, select, text

from motorisk.pipelines.audit.chain import Head, seal_digest, trail_head
from motorisk.pipelines.audit.sealed_rows import NO_SALT, PIECE_BYTES, LedgerRow, pieces, read_hour
from motorisk.warehouse.locks import exclusively
from motorisk.warehouse.tables import quote_seal

LATE = timedelta(minutes=15)
"""A quote is in the ledger within seconds, or comes out of a journal; clocks of machines differ by less."""
KEPT_LATE = 100

_UNSEALED = text(
    """
    SELECT hour FROM (
        SELECT date_bin('1 hour', quoted_at, TIMESTAMPTZ 'epoch') AS hour, count(*) AS rows
        FROM motorisk.quote GROUP BY 1
    ) AS ledger
    LEFT JOIN (SELECT hour, sum(rows) AS rows FROM motorisk.quote_seal GROUP BY 1) AS sealed USING (hour)
    WHERE ledger.rows > coalesce(sealed.rows, 0)
    ORDER BY hour
    """
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one run sealed. Keep `seal` and `trail` where nobody with a login here can write: later they are proof."""

    seals: int
    quotes: int
    late: int
    late_quotes: list[UUID]
    """The first of them."""
    seal: Head
    trail: Head


def seal_quotes(engine: Engine, progress: Callable[[int, int], None] = lambda done, total: None) -> Sealed:
    """Seal every quote that is in no seal yet, an hour (UTC) at a time; sealing again does nothing."""
    seals = quotes = 0
    late: list[UUID] = []
    with exclusively(engine, "quote seals"):
        with engine.connect() as connection:
            hours = connection.scalars(_UNSEALED).all()
            last = connection.scalar(select(func.max(quote_seal.c.sealed_at)))
        for done, hour in enumerate(hours, start=1):
            with engine.begin() as connection:
                found = _seal_hour(connection, hour, last and last - LATE)
            seals, quotes, late = seals + bool(found.rows), quotes + found.rows, late + found.late
            progress(done, len(hours))
        with engine.connect() as connection:
            return Sealed(seals, quotes, len(late), late[:KEPT_LATE], seal_head(connection), trail_head(connection))


def seal_head(connection: Connection) -> Head:
    """The newest seal."""
    statement = select(quote_seal.c.seal_id, quote_seal.c.digest).order_by(quote_seal.c.seal_id.desc()).limit(1)
    row = connection.execute(statement).one_or_none()
    return Head(row.seal_id, row.digest) if row else Head()


@dataclass(slots=True)
class _Hour:
    rows: int
    late: list[UUID]


def _seal_hour(connection: Connection, hour: datetime, late_before: datetime | None) -> _Hour:
    known: set[bytes] = set()
    for ids in connection.scalars(select(quote_seal.c.quote_ids).where(quote_seal.c.hour == hour)):
        known.update(pieces(ids))
    quote_ids, digests, salts = bytearray(), bytearray(), bytearray()
    late: list[UUID] = []

    def take(row: LedgerRow) -> None:
        if row.quote_id.bytes in known:
            return
        salt = NO_SALT if row.reference is None else secrets.token_bytes(PIECE_BYTES)
        quote_ids.extend(row.quote_id.bytes)
        digests.extend(row.digest(row.commitment(salt)))
        salts.extend(salt)
        if late_before is not None and row.quoted_at < late_before:
            late.append(row.quote_id)

    read_hour(connection, hour, take)
    rows = len(quote_ids) // PIECE_BYTES
    if rows:
        before, trail, now = seal_head(connection), trail_head(connection), datetime.now(UTC)
        content: dict[str, Any] = {
            "seal_id": before.number + 1,
            "hour": hour,
            "rows": rows,
            "late": len(late),
            "quote_ids": bytes(quote_ids),
            "row_digests": bytes(digests),
        }
        digest = seal_digest(before.digest, **content, trail=trail, sealed_at=now)
        told = {"salts": bytes(salts) if any(salts) else None, "events": trail.number, "event_digest": trail.digest}
        connection.execute(insert(quote_seal), content | told | {"sealed_at": now, "digest": digest})
    return _Hour(rows, late)
