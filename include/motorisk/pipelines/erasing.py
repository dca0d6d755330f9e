"""Erasing a customer: whatever leads to the person goes, and every figure stays as it was.

Policies and outcomes lose their ids and stay as what they are to statistics; scores of theirs go with them. Quotes keep
everything that priced them: their reference goes, and its salted digest stays in its place, so that their seals hold.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Engine, Text, bindparam, delete, func, insert, literal, select, text, update

from motorisk.errors import DatabaseUnavailable, UnknownCustomer
from motorisk.pipelines.audit.sealed_rows import HOUR, NO_SALT, LedgerRow, pieces, read_hour
from motorisk.pipelines.audit.sealing import seal_quotes
from motorisk.pipelines.scoring.planning import work_table
from motorisk.registry.events import person
from motorisk.warehouse.locks import exclusively
from motorisk.warehouse.tables import (
    erased_reference,
    erasure,
    outcome,
    policy,
    quarantined_row,
    quote,
    quote_key,
    quote_seal,
    score,
    score_plan,
    score_quarantine,
    score_run,
)

TRIES = 3
"""Quotes that come between sealing and erasing are sealed first."""


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of each kind lost what led to the person; `in_force` of the policies are so today."""

    policies: int
    in_force: int
    outcomes: int
    scores: int
    quarantined: int
    quotes: int
    archives: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure as the trail keeps it."""

    erasure_id: int
    erased_by: str
    erased: Erased


class _NotSealedYet(DatabaseUnavailable):
    """A quote of the customer has come since everything was sealed."""


def erase_customer(
    engine: Engine, customer: str, *, by: str, archive: Path, comment: str | None = None, subject: str | None = None
) -> Erasure:
    """Erase a customer everywhere, in one transaction, and tell it in the trail of erasures without the id.

    `subject` is the customer's pseudonym where there is a key of pseudonyms; `archive` the folder of archived scores.
    `UnknownCustomer` where nothing leads to the customer, also because it was erased before.
    """
    by = person(by)
    with exclusively(engine, "erasure"):
        for attempt in range(1, TRIES + 1):
            seal_quotes(engine)
            try:
                with engine.begin() as connection:
                    return _erase(connection, customer, by, archive, comment, subject)
            except _NotSealedYet:
                if attempt == TRIES:
                    raise
    raise AssertionError("unreachable")


def _erase(
    connection: Connection, customer: str, by: str, archive: Path, comment: str | None, subject: str | None
) -> Erasure:
    # Scoring that is under way is through with its partition, or begins it after this.
    plans = connection.execute(select(score_plan.c.as_of, score_plan.c.run_id).with_for_update()).all()
    known = connection.execute(select(policy).where(policy.c.customer_id == customer).with_for_update()).all()
    renamed = {row.policy_id: f"erased-{uuid.uuid4()}" for row in known}
    names = [customer, *renamed]
    quotes = connection.execute(
        select(quote.c.quoted_at, quote.c.quote_id).where(quote.c.reference == func.any(names))
    ).all()
    quarantined = _forget_quarantined(connection, names)
    if not (known or quotes or quarantined):
        raise UnknownCustomer(f"nothing here leads to the customer {customer!r}: unknown, or erased before")
    today = datetime.now(UTC).date()
    commitments = _commitments(connection, quotes)
    erased = Erased(
        policies=len(known),
        in_force=sum(row.effective_date <= today < row.expiry_date for row in known),
        outcomes=_rename_policies(connection, renamed),
        scores=_rename_scores(connection, renamed, [work_table(plan.as_of, plan.run_id) for plan in plans]),
        quarantined=quarantined,
        quotes=len(quotes),
        archives=_rename_archived(connection, renamed, archive),
    )
    erasure_id = connection.execute(
        insert(erasure).returning(erasure.c.erasure_id),
        {"erased_by": by, "comment": comment, "subject": subject, "erased": asdict(erased)},
    ).scalar_one()
    _forget_references(connection, erasure_id, commitments)
    return Erasure(erasure_id, by, erased)


def _forget_quarantined(connection: Connection, names: Sequence[str]) -> int:
    """Remove refused lines of files that name the customer or a policy in one of their fields."""
    fields = func.regexp_split_to_array(quarantined_row.c.content, r'\s*[,;"\t]\s*')
    named = fields.op("&&")(bindparam("names", list(names), type_=ARRAY(Text)))
    return connection.execute(delete(quarantined_row).where(named)).rowcount


def _rename_policies(connection: Connection, renamed: dict[str, str]) -> int:
    """Give policies ids that mean nothing, and no customer; answers how many have an outcome."""
    outcomes = 0
    rest = [column for column in policy.columns if column.name not in {"policy_id", "customer_id"}]
    for old, new in renamed.items():
        copied = select(literal(new, Text), *rest).where(policy.c.policy_id == old)
        connection.execute(insert(policy).from_select(["policy_id", *(column.name for column in rest)], copied))
        moved = update(outcome).where(outcome.c.policy_id == old).values(policy_id=new)
        outcomes += connection.execute(moved).rowcount
        connection.execute(delete(policy).where(policy.c.policy_id == old))
    return outcomes


def _rename_scores(connection: Connection, renamed: dict[str, str], work_tables: Iterable[str]) -> int:
    dates = connection.scalars(select(score_run.c.as_of).where(score_run.c.archive.is_(None))).all()
    scores = 0
    for old, new in renamed.items():
        there = (score.c.as_of == func.any(dates)) & (score.c.policy_id == old)
        scores += connection.execute(update(score).where(there).values(policy_id=new)).rowcount
        quarantine = score_quarantine.c.policy_id == old
        connection.execute(update(score_quarantine).where(quarantine).values(policy_id=new))
        for name in work_tables:
            statement = text(f"UPDATE motorisk.{name} SET policy_id = :new WHERE policy_id = :old")  # noqa: S608
            connection.execute(statement, {"new": new, "old": old})
    return scores


def _rename_archived(connection: Connection, renamed: dict[str, str], folder: Path) -> int:
    """Write archived scores anew that hold one of the policies; before the transaction ends, so that none is missed."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not renamed:
        return 0
    changed = 0
    for name in connection.scalars(select(score_run.c.archive).where(score_run.c.archive.is_not(None))).all():
        file = folder / name
        ids = pq.read_table(file, columns=["policy_id"])["policy_id"]
        if not pc.any(pc.is_in(ids, pa.array(list(renamed)))).as_py():
            continue
        table = pq.read_table(file)
        place = table.schema.get_field_index("policy_id")
        field = table.schema.field(place)
        new = pa.array([renamed.get(policy_id, policy_id) for policy_id in ids.to_pylist()], field.type)
        part = file.with_suffix(".unfinished")
        pq.write_table(table.set_column(place, field, new), part, compression="zstd")
        part.replace(file)
        changed += 1
    return changed


def _commitments(connection: Connection, quotes: Sequence[Any]) -> list[dict[str, Any]]:
    """The salted digests of the quotes' references, with their salts wiped: nobody has the salts any more.

    `_NotSealedYet` where a quote is in no seal: known before archives are written anew, which no transaction undoes.
    """
    wanted = {row.quote_id for row in quotes}
    found = []
    for hour in sorted({_hour(row.quoted_at) for row in quotes}):
        rows: dict[UUID, LedgerRow] = {}

        def take(row: LedgerRow, rows: dict[UUID, LedgerRow] = rows) -> None:
            if row.quote_id in wanted:
                rows[row.quote_id] = row

        read_hour(connection, hour, take)
        commitments = _take_salts(connection, hour, rows)
        if commitments.keys() != rows.keys():
            raise _NotSealedYet("quotes of the customer come in this moment: nothing was erased, try again")
        found += [
            {"quoted_at": rows[quote_id].quoted_at, "quote_id": quote_id, "commitment": commitment}
            for quote_id, commitment in commitments.items()
        ]
    return found


def _forget_references(connection: Connection, erasure_id: int, commitments: Sequence[dict[str, Any]]) -> None:
    """Take the references out of the ledger and keep their salted digests."""
    if not commitments:
        return
    connection.execute(insert(erased_reference), [{**found, "erasure_id": erasure_id} for found in commitments])
    quote_ids = [found["quote_id"] for found in commitments]
    for hour in {_hour(found["quoted_at"]) for found in commitments}:
        within = (quote.c.quoted_at >= hour) & (quote.c.quoted_at < hour + HOUR)
        connection.execute(update(quote).where(within, quote.c.quote_id.in_(quote_ids)).values(reference=None))
    connection.execute(delete(quote_key).where(quote_key.c.quote_id.in_(quote_ids)))


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _take_salts(connection: Connection, hour: datetime, rows: dict[UUID, LedgerRow]) -> dict[UUID, bytes]:
    """The salted digests of references, by quote; their salts are wiped out of the seals."""
    commitments: dict[UUID, bytes] = {}
    for seal in connection.execute(select(quote_seal).where(quote_seal.c.hour == hour)).all():
        salts = pieces(seal.salts) if seal.salts else []
        for place, quote_id in enumerate(pieces(seal.quote_ids)):
            row = rows.get(UUID(bytes=quote_id))
            if row is not None and salts:
                commitments[row.quote_id] = row.commitment(salts[place])
                salts[place] = NO_SALT
        if salts and b"".join(salts) != seal.salts:
            connection.execute(
                update(quote_seal).where(quote_seal.c.seal_id == seal.seal_id).values(salts=b"".join(salts))
            )
    return commitments
