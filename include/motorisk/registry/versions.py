"""Model versions: registering, reading, and loading their rating plans verified."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, func, insert, select, text

from motorisk.domain.gate import GateResult
from motorisk.domain.rating_plan import MAX_PLAN_BYTES, RatingPlan, plan_digest
from motorisk.errors import NoChampion, UnknownVersion
from motorisk.registry.events import record
from motorisk.warehouse.tables import model_version

State = Literal["candidate", "validated", "approved", "retired", "rejected"]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered model without its rating plan (see `load_plan`)."""

    version: int
    state: State
    candidate: str
    as_of: date
    digest: str
    snapshot_digest: str
    rows: int
    metrics: Mapping[str, float]
    gates: tuple[GateResult, ...]
    parameters: Mapping[str, Any]
    provenance: Mapping[str, Any]
    trained_by: str
    trained_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    backtest: tuple[Mapping[str, Any], ...] = ()
    evaluation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed_gates(self) -> tuple[GateResult, ...]:
        """The gates that the version missed."""
        return tuple(gate for gate in self.gates if not gate["passed"])


_COLUMNS = [column for column in model_version.columns if column.name != "plan"]


def _from_row(row: Row[Any]) -> ModelVersion:
    values = dict(row._mapping)
    values["gates"], values["backtest"] = tuple(values["gates"]), tuple(values["backtest"])
    return ModelVersion(**values)


def _select() -> Select[Any]:
    return select(*_COLUMNS)


def lock_registry(connection: Connection) -> None:
    """Let one transaction at a time register or change states; readers are not held up."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('motorisk.registry'))"))


def register(
    connection: Connection,
    plan: RatingPlan,
    *,
    rows: int,
    metrics: Mapping[str, float],
    gates: list[GateResult],
    backtest: Sequence[Mapping[str, Any]] = (),
    evaluation: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any],
    provenance: Mapping[str, Any],
    trained_by: str,
) -> ModelVersion:
    """Store a trained model as a candidate.

    Training the same snapshot the same way again gives the same digest: then the version that is there
    already is returned, unless it was rejected. The gates that look at the champion may say something else by then;
    what was said when the version was made stands.
    """
    lock_registry(connection)
    content = plan.to_json()
    digest = plan_digest(content)
    known = connection.execute(
        _select()
        .where(
            model_version.c.digest == digest,
            model_version.c.state != "rejected",
            model_version.c.parameters == dict(parameters),
        )
        .order_by(model_version.c.version.desc())
        .limit(1)
    ).one_or_none()
    if known is not None:
        return _from_row(known)
    row = connection.execute(
        insert(model_version).returning(*_COLUMNS),
        {
            "state": "candidate",
            "candidate": plan.candidate,
            "as_of": plan.as_of,
            "digest": digest,
            "plan": content,
            "snapshot_digest": plan.snapshot_digest,
            "rows": rows,
            "metrics": dict(metrics),
            "gates": gates,
            "backtest": [dict(row) for row in backtest],
            "evaluation": dict(evaluation or {}),
            "parameters": dict(parameters),
            "provenance": dict(provenance),
            "trained_by": trained_by,
        },
    ).one()
    registered = _from_row(row)
    record(connection, registered.version, "registered", trained_by, details={"digest": digest})
    return registered


def get(connection: Connection, version: int) -> ModelVersion:
    """A version by its number; `UnknownVersion` where there is none."""
    row = connection.execute(_select().where(model_version.c.version == version)).one_or_none()
    if row is None:
        raise UnknownVersion(f"there is no model version {version}; see `motorisk models`")
    return _from_row(row)


def find_champion(connection: Connection) -> ModelVersion | None:
    """The approved version, if there is one."""
    row = connection.execute(_select().where(model_version.c.state == "approved")).one_or_none()
    return None if row is None else _from_row(row)


def champion(connection: Connection) -> ModelVersion:
    """The approved version; `NoChampion` where none is."""
    found = find_champion(connection)
    if found is None:
        raise NoChampion("no model is approved yet: run `motorisk train`, then `motorisk approve`")
    return found


def all_versions(connection: Connection) -> list[ModelVersion]:
    """Every version, the newest first."""
    return [_from_row(row) for row in connection.execute(_select().order_by(model_version.c.version.desc()))]


def ever_approved(connection: Connection) -> list[ModelVersion]:
    """The champion and its predecessors, by as-of date, then by approval."""
    rows = connection.execute(
        _select()
        .where(model_version.c.state.in_(["approved", "retired"]))
        .order_by(model_version.c.as_of, model_version.c.approved_at)
    )
    return [_from_row(row) for row in rows]


def load_plan(connection: Connection, version: int) -> RatingPlan:
    """A version's rating plan, its digest and schema verified; `PlanRefused` where they are wrong."""
    row = connection.execute(
        # Of one that is far too long no more than tells so.
        select(func.left(model_version.c.plan, MAX_PLAN_BYTES + 1).label("plan"), model_version.c.digest).where(
            model_version.c.version == version
        )
    ).one_or_none()
    if row is None:
        raise UnknownVersion(f"there is no model version {version}; see `motorisk models`")
    return RatingPlan.from_json(row.plan, digest=row.digest)
