"""Rows for the ledger, made up."""

from datetime import UTC, date, datetime
from uuid import uuid4

from motorisk.domain.policy import PolicyFeatures
from motorisk.quoting.ledger import Entry, KeyClaim
from motorisk.quoting.rows import input_line

FEATURES = PolicyFeatures(0.0, 35.0, 0.0, 45.0, 90.0, 45.9)


def make_entry(
    key: str | None = None, *, question: str = "a", client: str = "tess", moment: datetime | None = None
) -> Entry:
    """A recorded input whose reference is its id, with a claim of a key where there is one."""
    quote_id, now = uuid4(), moment or datetime.now(UTC)
    line = input_line(quote_id, now, date(2026, 1, 1), FEATURES, str(quote_id))
    return Entry(line, None if key is None else KeyClaim(client, key, question * 64, quote_id, now))
