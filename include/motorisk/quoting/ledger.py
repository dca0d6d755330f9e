"""The ledger of quotes: what was priced, from what, by which version. It only grows."""

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import cursor as Cursor  # noqa: N812  a class
from psycopg2.extras import execute_values
from sqlalchemy import PoolProxiedConnection, Row, delete, func, select, text

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.risk import ClassProbabilities, RiskClass
from motorisk.domain.tariff import Premium
from motorisk.errors import UnknownQuote
from motorisk.quoting.database import Database
from motorisk.quoting.quote import OFFERS, PricedQuote
from motorisk.quoting.rows import COLUMNS
from motorisk.warehouse.tables import drift_inbox, quote, quote_key

LOCK_TIMEOUT = "2s"
"""Making a partition locks the ledger: a long report must not make quotes wait behind it for longer."""
STATEMENT_TIMEOUT = "5s"
"""Bounds a commit that waits for somebody's lock; its quotes are in the journal long before."""
FORGET_TIMEOUT = "60s"
"""Nobody waits for old keys to go."""
KEY_DAYS = 7
"""Idempotency keys are remembered for at least so long."""
INBOX_DAYS = 62
"""Quotes that no monitor has measured by then are of interest to nobody."""

_NAMES = ", ".join(COLUMNS)
_COPY = f"COPY motorisk.quote ({_NAMES}) FROM STDIN"
_STAGE = "CREATE TEMPORARY TABLE carried (LIKE motorisk.quote) ON COMMIT DROP"
_COPY_STAGED = f"COPY carried ({_NAMES}) FROM STDIN"
_MERGE = f"INSERT INTO motorisk.quote ({_NAMES}) SELECT {_NAMES} FROM carried ON CONFLICT DO NOTHING"  # noqa: S608
_CLAIM = """
    INSERT INTO motorisk.quote_key (client, key, fingerprint, quote_id, quoted_at) VALUES %s
    ON CONFLICT DO NOTHING
"""
_HOLDERS = """
    SELECT client, key, fingerprint, quote_id::text FROM motorisk.quote_key
    JOIN (VALUES %s) AS asked (client, key) USING (client, key)
"""

# Data that Postgres refuses; all else is the connection's or the server's trouble, not the quote's.
REFUSED = (errors.DataError, errors.IntegrityError)


class KeyClaim(NamedTuple):
    """A client's idempotency key, claimed for a quote; `fingerprint` is the SHA-256 of what was asked."""

    client: str
    key: str
    fingerprint: str
    quote_id: UUID
    quoted_at: datetime


class KeyHolder(NamedTuple):
    """The quote that has a key already; `line` is its row where only the journal has it yet."""

    fingerprint: str
    quote_id: UUID
    line: str | None = None


class Entry(NamedTuple):
    """A row for the ledger (a line of `motorisk.quoting.rows`), with the key that it claims."""

    line: str
    claim: KeyClaim | None = None


def _copy(cursor: Cursor, command: str, lines: Sequence[str]) -> None:
    cursor.copy_expert(command, io.BytesIO("".join([f"{line}\n" for line in lines]).encode()))


class LedgerSession:
    """One connection that appends to the ledger; for one thread.

    What goes wrong is a `psycopg2.Error`; then nothing was written, or after a lost connection perhaps all.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: PoolProxiedConnection | None = None
        self._driver: Any = None
        self._losses = 0

    def append(self, entries: Sequence[Entry]) -> list[KeyHolder | None]:
        """Write entries in one transaction; for those whose key has a quote already, that one instead."""
        with self._cursor() as cursor:
            if all(entry.claim is None for entry in entries):
                _copy(cursor, _COPY, [entry.line for entry in entries])  # commits by itself
                return [None] * len(entries)
            cursor.execute("BEGIN")
            try:
                holders = _claim(cursor, [entry.claim for entry in entries if entry.claim])
                found = [entry.claim and holders.get(entry.claim) for entry in entries]
                lines = [entry.line for entry, holder in zip(entries, found, strict=True) if holder is None]
                if lines:
                    _copy(cursor, _COPY, lines)
                cursor.execute("COMMIT")
            except psycopg2.Error:
                self._roll_back()
                raise
        return found

    def merge(self, entries: Sequence[Entry]) -> list[KeyClaim]:
        """Write entries unless they are there already, in one transaction; answers claims of keys that others hold."""
        with self._cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                cursor.execute(_STAGE)
                _copy(cursor, _COPY_STAGED, [entry.line for entry in entries])
                cursor.execute(_MERGE)
                claims = [entry.claim for entry in entries if entry.claim]
                held = list(_claim(cursor, claims)) if claims else []
                cursor.execute("COMMIT")
            except psycopg2.Error:
                self._roll_back()
                raise
        return held

    def close(self) -> None:
        """Give the connection up: after a failure, the next use opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()

    def _cursor(self) -> Cursor:
        if self._losses != self._database.losses:
            # Others have seen the server go. To learn it from the dead connection would send what is written now into
            # the journal, and give a key that the ledger knows a second quote.
            self.close()
        if self._connection is None:
            self._losses = self._database.losses
            connection = self._database.connection()
            driver: Any = connection.driver_connection
            driver.autocommit = True
            with driver.cursor() as first:
                first.execute("SELECT set_config('statement_timeout', %s, false)", (STATEMENT_TIMEOUT,))
            self._connection, self._driver = connection, driver
        cursor: Cursor = self._driver.cursor()
        return cursor

    def _roll_back(self) -> None:
        try:
            with self._cursor() as cursor:
                cursor.execute("ROLLBACK")
        except psycopg2.Error:
            self.close()


def _claim(cursor: Cursor, claims: Sequence[KeyClaim]) -> dict[KeyClaim, KeyHolder]:
    """Claim keys; answers those claims whose key another quote holds."""
    # In order: two transactions that claim the same keys must not wait for each other.
    rows = sorted((c.client, c.key, c.fingerprint, str(c.quote_id), c.quoted_at) for c in claims)
    execute_values(cursor, _CLAIM, rows, page_size=len(rows))
    execute_values(cursor, _HOLDERS, {row[:2] for row in rows}, page_size=len(rows))
    holders = {(client, key): KeyHolder(mark, UUID(quote_id)) for client, key, mark, quote_id in cursor.fetchall()}
    found = {claim: holders.get((claim.client, claim.key)) for claim in claims}  # None: forgotten in this moment
    return {claim: holder for claim, holder in found.items() if holder and holder.quote_id != claim.quote_id}


class Ledger:
    """Reads quotes back and keeps the tables in order; `DatabaseUnavailable` where Postgres does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, quote_id: UUID) -> PricedQuote:
        """A stored quote; `UnknownQuote` for any other id, those of recorded inputs and predictions included."""
        with self._database.statements() as connection:
            row = connection.execute(
                select(quote).where(quote.c.quote_id == quote_id, quote.c.channel.in_(OFFERS))
            ).one_or_none()
        if row is None:
            raise UnknownQuote(f"there is no quote {quote_id}")
        return priced_quote_of(row)

    def ensure_partitions(self) -> None:
        """Make this month's and the next month's partitions unless they are there, or another process is at it."""
        with self._database.transaction() as connection:
            connection.execute(text("SELECT set_config('lock_timeout', :timeout, true)"), {"timeout": LOCK_TIMEOUT})
            # The function takes the same lock, and would wait for it.
            alone = func.pg_try_advisory_xact_lock(func.hashtext("motorisk.ensure_quote_partitions"))
            if not connection.scalar(select(alone)):
                return
            connection.execute(select(func.motorisk.ensure_quote_partitions(func.current_date())))

    def forget_old_keys(self) -> None:
        """Remove idempotency keys older than `KEY_DAYS`."""
        with self._database.transaction() as connection:
            connection.execute(text("SELECT set_config('statement_timeout', :time, true)"), {"time": FORGET_TIMEOUT})
            age = text("make_interval(days => :days)").bindparams(days=KEY_DAYS)
            connection.execute(delete(quote_key).where(quote_key.c.quoted_at < func.now() - age))

    def forget_unmeasured(self) -> None:
        """Remove quotes from the drift monitor's inbox that have waited longer than `INBOX_DAYS`: no monitor runs."""
        with self._database.transaction() as connection:
            age = text("make_interval(days => :days)").bindparams(days=INBOX_DAYS)
            connection.execute(delete(drift_inbox).where(drift_inbox.c.arrived_at < func.now() - age))


def priced_quote_of(row: Row[Any]) -> PricedQuote:
    """The quote of a row of the ledger."""
    return PricedQuote(
        quote_id=row.quote_id,
        quoted_at=row.quoted_at,
        channel=row.channel,
        reference=row.reference,
        effective_date=row.effective_date,
        features=PolicyFeatures(**{name: float(getattr(row, name)) for name in FEATURES}),
        version=row.version,
        digest=row.digest,
        tariff=row.tariff,
        predictor=row.predictor,
        risk_class=RiskClass(row.risk_class),
        expected_risk=row.expected_risk,
        probabilities=ClassProbabilities(row.p_low, row.p_medium, row.p_high),
        premium=Premium(net=row.net, insurance_tax=row.insurance_tax, gross=row.gross),
        client=row.client,
    )
