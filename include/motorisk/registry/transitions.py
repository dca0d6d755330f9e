"""How a version changes state.

candidate → validated (its gates passed) → approved: the champion → retired; candidate or validated → rejected.
At most one version is approved; the approver is never the trainer; every change is an audit row. Whatever is decided
about a version ends its life as a shadow (`motorisk.registry.shadows`).
"""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from motorisk.errors import GateFailed, TransitionRefused
from motorisk.registry import shadows
from motorisk.registry.events import person, record
from motorisk.registry.versions import ModelVersion, State, find_champion, get, load_plan, lock_registry
from motorisk.warehouse.tables import model_version

AUTOMATIC_APPROVER = "gates (automatic)"


@dataclass(frozen=True, slots=True)
class AutomaticDecision:
    """Whether the gates' verdict made a version champion, and why not where it did not."""

    version: ModelVersion
    approved: bool
    reason: str


def _set_state(connection: Connection, version: int, state: State) -> None:
    connection.execute(update(model_version).where(model_version.c.version == version).values(state=state))


def describe_failures(version: ModelVersion) -> str:
    """Which gates a version missed, by how much, in one line."""
    return "; ".join(
        f"{gate['name']} is {gate['value']:.4g}, must be {gate['rule']} {gate['threshold']:.4g}"
        for gate in version.failed_gates
    )


def validate(connection: Connection, version: int, *, by: str) -> ModelVersion:
    """Turn a candidate into a validated or a rejected version, as its gates say.

    The caller commits, then decides whether a rejection is an error (`require_validated`).
    """
    lock_registry(connection)
    found = get(connection, version)
    if found.state != "candidate":
        return found
    state: State = "rejected" if found.failed_gates else "validated"
    _set_state(connection, version, state)
    details = {"failed": [gate["name"] for gate in found.failed_gates]}
    record(connection, version, state, by, comment=describe_failures(found) or None, details=details)
    return get(connection, version)


def require_validated(version: ModelVersion) -> None:
    """Raise `GateFailed`, naming each missed gate, unless the version passed its gates."""
    if version.failed_gates:
        raise GateFailed(f"version {version.version} missed its gates: {describe_failures(version)}")


def approve(connection: Connection, version: int, *, by: str, comment: str | None = None) -> ModelVersion:
    """Make a version the champion; the former one retires.

    Approving the champion again changes nothing. `TransitionRefused` where the gates have not passed or the
    approver trained the version; `PlanRefused` where its rating plan was tampered with.
    """
    lock_registry(connection)
    found = get(connection, version)
    by = person(by)
    if found.state == "approved":
        return found
    if found.state not in {"validated", "retired"}:
        hint = f" ({describe_failures(found)})" if found.failed_gates else ""
        raise TransitionRefused(f"version {version} is {found.state}, only a validated one can be approved{hint}")
    if by.casefold() == found.trained_by.strip().casefold():
        raise TransitionRefused(f"{by} trained version {version}: somebody else has to approve it")
    load_plan(connection, version)
    former = find_champion(connection)
    if former is not None:
        _set_state(connection, former.version, "retired")
        record(connection, former.version, "retired", by, details={"successor": version})
    connection.execute(
        update(model_version)
        .where(model_version.c.version == version)
        .values(state="approved", approved_by=by, approved_at=func.clock_timestamp())
    )
    record(connection, version, "approved", by, comment=comment, details={"digest": found.digest})
    shadows.end(connection, version, by=by, because="approved")
    return get(connection, version)


def approve_automatically(connection: Connection, version: int) -> AutomaticDecision:
    """Approve a validated version unless the champion knows more: a backfill must not turn back the clock."""
    lock_registry(connection)
    found = get(connection, version)
    if found.state == "approved":
        return AutomaticDecision(found, True, "is the champion already")
    if found.state != "validated":
        return AutomaticDecision(found, False, f"is {found.state}: only a person can approve it")
    present = find_champion(connection)
    if present is not None and present.as_of > found.as_of:
        reason = f"was trained as of {found.as_of}, before the champion's {present.as_of}"
        return AutomaticDecision(found, False, reason)
    approved = approve(connection, version, by=AUTOMATIC_APPROVER, comment="all gates passed")
    return AutomaticDecision(approved, True, "all gates passed")


def reject(connection: Connection, version: int, *, by: str, comment: str | None = None) -> ModelVersion:
    """Turn down a candidate or a validated version, for good; rejecting it again changes nothing."""
    lock_registry(connection)
    found = get(connection, version)
    by = person(by)
    if found.state == "rejected":
        return found
    if found.state not in {"candidate", "validated"}:
        hint = "; `motorisk rollback` or approving another version retires it" if found.state == "approved" else ""
        raise TransitionRefused(f"version {version} is {found.state} and cannot be rejected{hint}")
    _set_state(connection, version, "rejected")
    record(connection, version, "rejected", by, comment=comment)
    shadows.end(connection, version, by=by, because="rejected")
    return get(connection, version)


def rollback(connection: Connection, *, by: str, comment: str | None = None) -> ModelVersion:
    """Make the last champion before the present one champion again.

    Its approval stands as it was, so that a second rollback goes one further back.
    """
    lock_registry(connection)
    by = person(by)
    present = find_champion(connection)
    if present is None:
        raise TransitionRefused("there is no champion to roll back from")
    former = connection.scalar(
        select(model_version.c.version)
        .where(model_version.c.state == "retired", model_version.c.approved_at < present.approved_at)
        .order_by(model_version.c.approved_at.desc())
        .limit(1)
    )
    if former is None:
        raise TransitionRefused(f"version {present.version} is the first champion: there is none to go back to")
    load_plan(connection, former)
    _set_state(connection, present.version, "retired")
    record(connection, present.version, "rolled back", by, comment=comment, details={"successor": former})
    _set_state(connection, former, "approved")
    record(connection, former, "reinstated", by, comment=comment, details={"after": present.version})
    return get(connection, former)
