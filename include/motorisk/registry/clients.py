"""Clients of the quote service and their API keys."""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Row, Text, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from motorisk.domain.api_key import key_digest, new_key
from motorisk.errors import InvalidData, TransitionRefused, UnknownClient
from motorisk.warehouse.tables import api_key

RESERVED = "anybody"
"""Whose idempotency keys those are that came without a client."""

_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY_ID = re.compile("[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A key as it is kept: never the key itself."""

    key_id: str
    client: str
    digest: str
    rate: float | None
    """Requests a second; None: as many as the service allows everybody; 0: no limit."""
    created_by: str
    created_at: datetime
    expires_on: date | None
    """The last day (UTC) on which it is good."""
    revoked_by: str | None
    revoked_at: datetime | None
    last_used_on: date | None


def _of_row(row: Row[Any]) -> ClientKey:
    return ClientKey(**row._mapping)


def add_key(
    connection: Connection, client: str, *, by: str, expires_on: date | None = None, rate: float | None = None
) -> tuple[ClientKey, str]:
    """Give a client a key, a further one where it has some; the key itself is answered here and nowhere else.

    `InvalidData` for a name or a rate that cannot be one, or a last day that is over.
    """
    if not _NAME.fullmatch(client) or _KEY_ID.fullmatch(client) or client == RESERVED:
        raise InvalidData(
            f"a client's name is 1 to 64 letters, digits, dots, dashes and underscores, begins with a letter or digit, "
            f"and is neither {RESERVED!r} nor like a key's id; got {client!r}"
        )
    if rate is not None and not 0 <= rate < math.inf:
        raise InvalidData(f"a rate is a number of requests a second, got {rate:g}")
    if expires_on is not None and expires_on < datetime.now(UTC).date():
        raise InvalidData(f"a key that expires on {expires_on} would never be good")
    key = new_key()
    row = connection.execute(
        insert(api_key).returning(api_key),
        {
            "key_id": key.key_id,
            "client": client,
            "digest": key_digest(key.text),
            "rate": rate,
            "created_by": by,
            "created_at": datetime.now(UTC),
            "expires_on": expires_on,
        },
    ).one()
    return _of_row(row), key.text


def revoke(connection: Connection, name_or_id: str, *, by: str) -> list[ClientKey]:
    """Take a key back by its id, or all keys of a client by its name; answers those that were not revoked before.

    `UnknownClient` where there is neither, `TransitionRefused` where all were revoked before.
    """
    named = (api_key.c.key_id == name_or_id) | (api_key.c.client == name_or_id)
    if connection.scalar(select(api_key.c.key_id).where(named).limit(1)) is None:
        raise UnknownClient(f"no client and no key is called {name_or_id!r}: `motorisk clients list` shows them")
    rows = connection.execute(
        update(api_key)
        .where(named, api_key.c.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp(), revoked_by=by)
        .returning(api_key)
    ).all()
    if not rows:
        raise TransitionRefused(f"{name_or_id!r} was revoked before")
    return [_of_row(row) for row in rows]


def all_keys(connection: Connection) -> list[ClientKey]:
    """Every key, also those that are good no more, by client and age."""
    statement = select(api_key).order_by(api_key.c.client, api_key.c.created_at, api_key.c.key_id)
    return [_of_row(row) for row in connection.execute(statement)]


def used_today(connection: Connection, key_ids: Collection[str]) -> None:
    """Remember the day on which keys were used last."""
    ids = bindparam("ids", list(key_ids), type_=ARRAY(Text))
    today = func.current_date()
    connection.execute(
        update(api_key)
        .where(api_key.c.key_id == func.any(ids), api_key.c.last_used_on.is_distinct_from(today))
        .values(last_used_on=today)
    )
