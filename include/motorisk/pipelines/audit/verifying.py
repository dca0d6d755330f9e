"""Verifying: everything computed again from what the tables hold, and compared with chain and seals."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, func, select, text

from motorisk.errors import EvidenceBroken
from motorisk.pipelines.audit.chain import BEFORE_THE_FIRST, Head, event_digest, events, seal_digest
from motorisk.pipelines.audit.sealed_rows import HOUR, LedgerRow, pieces, read_hour
from motorisk.pipelines.audit.sealing import LATE
from motorisk.warehouse.tables import erased_reference, model_event, model_version, quote_seal

KEPT_FINDINGS = 1000
SHOWN_FINDINGS = 3

_STATES = {
    "registered": "candidate",
    "validated": "validated",
    "rejected": "rejected",
    "approved": "approved",
    "reinstated": "approved",
    "retired": "retired",
    "rolled back": "retired",
}
"""The state that a version has after an event."""

_HOURS = text(
    """
    SELECT hour FROM (
        SELECT DISTINCT date_bin('1 hour', quoted_at, TIMESTAMPTZ 'epoch') AS hour FROM motorisk.quote
        UNION SELECT hour FROM motorisk.quote_seal
    ) AS known WHERE hour >= coalesce(:since, TIMESTAMPTZ '-infinity') ORDER BY hour
    """
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was: `what` is changed, removed or inserted; `where` names it."""

    what: str
    where: str


@dataclass(slots=True)
class Verification:
    """What was looked at, and what is wrong with it."""

    events: int = 0
    versions: int = 0
    seals: int = 0
    quotes: int = 0
    unsealed: int = 0
    """Too new to be in a seal."""
    late: int = 0
    """In a seal, but long after they were made: out of a journal, or put in."""
    erased: int = 0
    """References of quotes that were erased, their seals unbroken."""
    seal: Head = field(default_factory=Head)
    trail: Head = field(default_factory=Head)
    found: int = 0
    findings: list[Finding] = field(default_factory=list)
    """The first of them."""

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.found

    def add(self, what: str, where: str) -> None:
        """Tell of something that is wrong."""
        self.found += 1
        if len(self.findings) < KEPT_FINDINGS:
            self.findings.append(Finding(what, where))


def require_intact(run: Verification) -> None:
    """Raise `EvidenceBroken`, naming the first findings, unless nothing is wrong."""
    if run.is_intact:
        return
    shown = [f"{finding.what}: {finding.where}" for finding in run.findings[:SHOWN_FINDINGS]]
    raise EvidenceBroken(f"{run.found} findings: {'; '.join(shown)}{'; …' if run.found > len(shown) else ''}")


def verify_audit(
    engine: Engine,
    *,
    anchors: Collection[str] = (),
    since: datetime | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verification:
    """Verify the audit trail, the versions' states and plans, all seals, and the quotes made since a time (None: all).

    `anchors` are digests that were told earlier: each has to be a link of one of the chains.
    """
    # One look at everything: what is written meanwhile belongs to the next one.
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        return verify(connection, anchors, since, progress)


def verify(
    connection: Connection,
    anchors: Collection[str] = (),
    since: datetime | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verification:
    """The same as one transaction sees it."""
    run = Verification()
    digests = _verify_trail(connection, run)
    _verify_versions(connection, run)
    links = set(digests.values()) | _verify_seals(connection, run, digests)
    for anchor in sorted(set(anchors) - links - {BEFORE_THE_FIRST}):
        run.add("removed", f"the link {anchor}, which was told earlier, is in neither chain any more")
    hours = connection.scalars(_HOURS, {"since": since}).all()
    last = connection.scalar(select(func.max(quote_seal.c.sealed_at)))
    for done, hour in enumerate(hours, start=1):
        _verify_hour(connection, run, hour, last and last - LATE)
        progress(done, len(hours))
    return run


def _verify_trail(connection: Connection, run: Verification) -> dict[int, str]:
    """The digests of all events by position."""
    before, expected = BEFORE_THE_FIRST, 1
    digests: dict[int, str] = {}
    for row in events(connection):
        if row.position > expected:
            gone = f"event {expected}" if row.position == expected + 1 else f"events {expected} to {row.position - 1}"
            run.add("removed", f"{gone} of the audit trail")
        elif event_digest(before, row.content) != row.digest:
            run.add(
                "changed",
                f"event {row.position} of the audit trail ({row.event!r} of version {row.version}) or its digest",
            )
        before, expected = row.digest, row.position + 1
        digests[row.position] = row.digest
        run.events += 1
        run.trail = Head(row.position, row.digest)
    return digests


def _verify_versions(connection: Connection, run: Verification) -> None:
    """Compare states and plans with what the audit trail says of them."""
    last = (
        select(model_event.c.version, model_event.c.event)
        .where(model_event.c.event.in_(_STATES))
        .distinct(model_event.c.version)
        .order_by(model_event.c.version, model_event.c.position.desc())
    )
    told = {row.version: _STATES[row.event] for row in connection.execute(last)}
    columns = model_version.c.version, model_version.c.state, model_version.c.digest, model_version.c.plan
    for row in connection.execute(select(*columns).order_by(model_version.c.version)):
        run.versions += 1
        if row.state != told.get(row.version):
            run.add(
                "changed",
                f"version {row.version} is {row.state}, the audit trail says {told.get(row.version, 'nothing of it')}",
            )
        if hashlib.sha256(row.plan.encode()).hexdigest() != row.digest:
            run.add("changed", f"the rating plan of version {row.version} is not the one that was registered")


def _verify_seals(connection: Connection, run: Verification, digests: dict[int, str]) -> set[str]:
    before, expected = BEFORE_THE_FIRST, 1
    links: set[str] = set()
    statement = select(quote_seal).order_by(quote_seal.c.seal_id).execution_options(yield_per=100)
    for row in connection.execute(statement):
        if row.seal_id > expected:
            gone = f"seal {expected}" if row.seal_id == expected + 1 else f"seals {expected} to {row.seal_id - 1}"
            run.add("removed", gone)
        elif _digest_again(before, row) != row.digest:
            run.add("changed", f"seal {row.seal_id} of the quotes of {row.hour:%Y-%m-%d %H}:00 UTC")
        if row.events and digests.get(row.events) != row.event_digest:
            run.add(
                "changed" if row.events in digests else "removed",
                f"event {row.events} of the audit trail is not what it was when seal {row.seal_id} was made",
            )
        before, expected = row.digest, row.seal_id + 1
        links.add(row.digest)
        run.seals += 1
        run.late += row.late
        run.seal = Head(row.seal_id, row.digest)
    return links


def _digest_again(before: str, row: Row[Any]) -> str:
    trail = Head(row.events, row.event_digest)
    return seal_digest(
        before, row.seal_id, row.hour, row.rows, row.late, row.quote_ids, row.row_digests, trail, row.sealed_at
    )


def _sealed(connection: Connection, hour: datetime) -> Iterator[tuple[bytes, tuple[bytes, bytes, int]]]:
    """By id: the digest, the salt and the seal of every quote of an hour."""
    for row in connection.execute(select(quote_seal).where(quote_seal.c.hour == hour)):
        salts = pieces(row.salts) if row.salts else [b""] * row.rows
        for quote_id, digest, salt in zip(pieces(row.quote_ids), pieces(row.row_digests), salts, strict=True):
            yield quote_id, (digest, salt, row.seal_id)


def _verify_hour(connection: Connection, run: Verification, hour: datetime, late_before: datetime | None) -> None:
    left = dict(_sealed(connection, hour))
    erased: dict[bytes, bytes] = {
        row.quote_id.bytes: row.commitment
        for row in connection.execute(
            select(erased_reference).where(
                erased_reference.c.quoted_at >= hour,
                erased_reference.c.quoted_at < hour + HOUR,
            )
        )
    }

    def take(row: LedgerRow) -> None:
        run.quotes += 1
        sealed = left.pop(row.quote_id.bytes, None)
        if sealed is None:
            if late_before is None or row.quoted_at >= late_before:
                run.unsealed += 1
            else:
                run.add(
                    "inserted",
                    f"quote {row.quote_id} of {row.quoted_at:%Y-%m-%d %H:%M} UTC is in no seal, though its time is "
                    "sealed (where it came late out of a journal, `motorisk audit seal` takes it in)",
                )
            return
        digest, salt, seal = sealed
        commitment = row.commitment(salt)
        if row.reference is None and row.quote_id.bytes in erased:
            commitment = erased[row.quote_id.bytes]
            run.erased += 1
        if row.digest(commitment) != digest:
            run.add(
                "changed", f"quote {row.quote_id} of {row.quoted_at:%Y-%m-%d %H:%M} UTC is not as seal {seal} has it"
            )

    read_hour(connection, hour, take)
    for quote_id, (_, _, seal) in left.items():
        run.add("removed", f"quote {UUID(bytes=quote_id)} of {hour:%Y-%m-%d %H}:00 UTC, which seal {seal} holds")
