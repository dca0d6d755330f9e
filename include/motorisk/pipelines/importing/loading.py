"""Load checked rows into Postgres: first into temporary tables, then by statements over whole sets.

A policy or outcome that is already there is never changed: a row that contradicts it is refused.
"""

import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Delete,
    Insert,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.dialects import postgresql

from motorisk.domain.policy import FEATURES
from motorisk.pipelines.importing.splitting import Refusal
from motorisk.pipelines.importing.validation import CheckedBatch
from motorisk.pipelines.importing.wording import storable
from motorisk.warehouse.arrow import write_table
from motorisk.warehouse.tables import outcome, policy, quarantined_row

_POLICY_COLUMNS = [column.name for column in policy.columns]
_OUTCOME_COLUMNS = [column.name for column in outcome.columns]
_SORT_MEMORY = "128MB"

_temporary = MetaData()
_staged = Table(
    "import_row",
    _temporary,
    Column("line", Integer),
    *[Column(column.name, column.type) for column in (*policy.columns, outcome.c.risk, outcome.c.observed_on)],
    Column("expiry_given", Boolean),
    Column("content", Text),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
_refused = Table(
    "import_refusal",
    _temporary,
    Column("line", Integer),
    Column("reasons", ARRAY(Text)),
    Column("content", Text),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a file's rows."""

    policies: int
    outcomes: int
    unchanged: int
    quarantined: int


def create_staging(connection: Connection) -> None:
    """Make the temporary tables; they vanish with the transaction."""
    _temporary.create_all(connection, checkfirst=False)


def _array_literal(texts: list[str]) -> str:
    elements = ",".join('"' + re.sub(r'(["\\])', r"\\\1", text) + '"' for text in texts)
    return f"{{{elements}}}"


def stage(connection: Connection, batch: CheckedBatch) -> None:
    """Copy a batch's accepted and refused rows into the temporary tables."""
    columns = {
        "line": pa.array(batch.lines, pa.int32()),
        "policy_id": batch.policy_id,
        "customer_id": pc.if_else(pc.equal(batch.customer_id, ""), None, batch.customer_id),
        "effective_date": pa.array(batch.effective_date),
        "expiry_date": pa.array(batch.expiry_date),
        # Arrow writes a number's shortest text that reads back as the same number.
        **{
            name: pa.array(values != 0 if FEATURES[name].is_flag else values) for name, values in batch.features.items()
        },
        "risk": pa.array(batch.risk, from_pandas=True),
        "observed_on": pa.array(batch.observed_on),
        "expiry_given": pa.array(batch.expiry_given),
        "content": batch.texts,
    }
    rows = pa.table(columns).filter(pa.array(batch.accepted))
    write_table(connection, _staged.name, rows.column_names, rows)
    if batch.refusals:
        refused = _refusal_rows(batch.refusals)
        write_table(connection, _refused.name, refused.column_names, refused)


def _refusal_rows(refusals: list[Refusal]) -> pa.Table:
    return pa.table(
        {
            "line": pa.array([refusal.line for refusal in refusals], pa.int32()),
            "reasons": [_array_literal(refusal.reasons) for refusal in refusals],
            "content": [storable(refusal.text) for refusal in refusals],
        }
    )


def merge(connection: Connection, source: str, digest: str) -> Merged:
    """Move the staged rows to where they belong; other imports wait meanwhile."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('motorisk.import'))"))
    connection.execute(text("SELECT set_config('work_mem', :memory, true)"), {"memory": _SORT_MEMORY})
    connection.execute(text("ANALYZE import_row"))
    _refuse(connection, _repeated())
    _refuse(connection, _contradicting())
    unchanged = connection.execute(_drop_unchanged()).rowcount
    late_outcomes = connection.execute(_move_late_outcomes()).rowcount
    # Only new policies are left. In the order of their keys the indexes grow at their end, and an outcome's policy is
    # found beside the one before.
    in_order = select(_staged).order_by(_staged.c.policy_id.collate("C")).subquery()
    new_policies = select(*[in_order.c[name] for name in _POLICY_COLUMNS])
    new_outcomes = select(*[in_order.c[name] for name in _OUTCOME_COLUMNS]).where(in_order.c.risk.is_not(None))
    policies = connection.execute(insert(policy).from_select(_POLICY_COLUMNS, new_policies)).rowcount
    # The foreign key's check may have been planned in this session when the table was small: then it reads the whole
    # table for every outcome.
    connection.execute(text("DISCARD PLANS"))
    outcomes = connection.execute(insert(outcome).from_select(_OUTCOME_COLUMNS, new_outcomes)).rowcount
    return Merged(policies, late_outcomes + outcomes, unchanged, quarantined=_quarantine(connection, source, digest))


def _same_policy() -> ColumnElement[bool]:
    return policy.c.policy_id == _staged.c.policy_id


def _repeated() -> Select[Any]:
    """Line and reasons of rows whose policy an earlier accepted row of the file has."""
    first = func.min(_staged.c.line).label("line")
    repeated = (
        select(_staged.c.policy_id, first).group_by(_staged.c.policy_id).having(func.count() > 1).subquery("repeated")
    )
    reason = func.concat("policy_id: already on line ", repeated.c.line)
    return (
        select(_staged.c.line, postgresql.array([reason]).label("reasons"))
        .join(repeated, repeated.c.policy_id == _staged.c.policy_id)
        .where(_staged.c.line > repeated.c.line)
    )


def _contradicting() -> Select[Any]:
    """Line and reasons of rows that say otherwise than the stored policy or outcome.

    What a file leaves out contradicts nothing: later files with outcomes need not repeat everything.
    """
    both_outcomes = and_(_staged.c.risk.is_not(None), outcome.c.policy_id.is_not(None))
    comparable = {
        "customer_id": _staged.c.customer_id.is_not(None),
        "expiry_date": _staged.c.expiry_given,
        "risk": both_outcomes,
        "observed_on": both_outcomes,
    }
    differs = {
        column: and_(comparable.get(column.name, true()), column.is_distinct_from(_staged.c[column.name]))
        for column in (*policy.columns, outcome.c.risk, outcome.c.observed_on)
        if not column.primary_key
    }
    reasons = [
        case(
            (
                different,
                func.concat(
                    f"{column.name}: the stored {column.table.name} has ",
                    func.coalesce(cast(column, Text), "none"),
                    ", got ",
                    cast(_staged.c[column.name], Text),
                ),
            )
        )
        for column, different in differs.items()
    ]
    return (
        select(_staged.c.line, func.array_remove(postgresql.array(reasons), null()).label("reasons"))
        .join(policy, _same_policy())
        .outerjoin(outcome, outcome.c.policy_id == policy.c.policy_id)
        .where(or_(*differs.values()))
    )


def _refuse(connection: Connection, selection: Select[Any]) -> None:
    """Move the staged rows of the selected lines to the refused ones."""
    found = selection.cte("found")
    moved = (
        delete(_staged)
        .where(_staged.c.line == found.c.line)
        .returning(_staged.c.line, found.c.reasons, _staged.c.content)
        .cte("moved")
    )
    connection.execute(insert(_refused).from_select(["line", "reasons", "content"], select(moved)))


def _drop_unchanged() -> Delete:
    """Rows that say nothing new: their policy is stored, their outcome too if they have one."""
    known = exists().where(outcome.c.policy_id == policy.c.policy_id)
    return delete(_staged).where(_same_policy(), or_(_staged.c.risk.is_(None), known))


def _move_late_outcomes() -> Insert:
    """Outcomes of policies that are stored; their rows are done with."""
    late = delete(_staged).where(_same_policy()).returning(*[_staged.c[name] for name in _OUTCOME_COLUMNS]).cte("late")
    return insert(outcome).from_select(_OUTCOME_COLUMNS, select(late))


def _quarantine(connection: Connection, source: str, digest: str) -> int:
    rows = select(
        literal(digest), _refused.c.line, literal(source), _refused.c.reasons, _refused.c.content
    ).select_from(_refused)
    columns = ["source_digest", "line", "source", "reasons", "content"]
    connection.execute(postgresql.insert(quarantined_row).from_select(columns, rows).on_conflict_do_nothing())
    return connection.scalars(select(func.count()).select_from(_refused)).one()
