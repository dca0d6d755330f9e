"""Rows of the ledger as seals see them.

A row's digest is over its line of Postgres' COPY (text format, UTC), with the reference as a salted digest of its own:
a reference may be erased, and its digest stays in its place.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

HOUR = timedelta(hours=1)
PIECE_BYTES = 16
"""Of an id, of a salt, and of a digest, which is the beginning of a SHA-256: whoever wants another row with the same
one has to try 2¹²⁸ of them."""
NO_SALT = bytes(PIECE_BYTES)

_NULL = b"\\N"
# What seals hold for ever. A column that the ledger gets later belongs into seals of another form.
_COLUMNS = (
    "quote_id, quoted_at, channel, effective_date, training, age, emergency_braking, braking_distance, power, miles, "
    "version, digest, tariff, predictor, risk_class, expected_risk, p_low, p_medium, p_high, net, insurance_tax, "
    "gross, client"
)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One row: its id, when it was made, its line but for the reference, and that; None where it has none."""

    quote_id: UUID
    quoted_at: datetime
    line: bytes
    reference: bytes | None

    def digest(self, commitment: bytes) -> bytes:
        """What a seal holds of the row, with the digest of its reference (empty: none)."""
        return hashlib.sha256(self.line + b"\t" + commitment).digest()[:PIECE_BYTES]

    def commitment(self, salt: bytes) -> bytes:
        """The salted digest of the reference; empty where there is none."""
        return b"" if self.reference is None else hashlib.sha256(salt + self.reference).digest()


class _Sink:
    """What COPY writes to, a row at a time."""

    def __init__(self, take: Callable[[LedgerRow], None]) -> None:
        self._take = take

    def write(self, row: bytes) -> int:
        line, _, reference = row.rstrip(b"\n").rpartition(b"\t")
        quote_id, quoted_at, _ = line.split(b"\t", 2)
        self._take(
            LedgerRow(
                UUID(quote_id.decode()),
                datetime.fromisoformat(quoted_at.decode()),
                line,
                None if reference == _NULL else reference,
            )
        )
        return len(row)


def read_hour(connection: Connection, hour: datetime, take: Callable[[LedgerRow], None]) -> None:
    """Give every quote of an hour to a function, in the order of time and id."""
    # The form of times and numbers does not depend on who connects from where.
    connection.execute(text("SET LOCAL timezone = 'UTC'"))
    connection.execute(text("SET LOCAL datestyle = 'ISO'"))
    connection.execute(text("SET LOCAL extra_float_digits = 1"))
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor:
        selection = cursor.mogrify(
            f"SELECT {_COLUMNS}, reference FROM motorisk.quote "  # noqa: S608
            "WHERE quoted_at >= %s AND quoted_at < %s ORDER BY quoted_at, quote_id",
            (hour, hour + HOUR),
        ).decode()
        cursor.copy_expert(f"COPY ({selection}) TO STDOUT", _Sink(take))


def pieces(content: bytes) -> list[bytes]:
    """A seal's ids, digests or salts, one by one."""
    return [content[place : place + PIECE_BYTES] for place in range(0, len(content), PIECE_BYTES)]
