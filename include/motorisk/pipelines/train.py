"""Train: snapshot → fit → register → validate → approve, in steps that the DAG runs one by one."""

from collections.abc import Callable
from datetime import UTC, date, datetime

from sqlalchemy import Engine

from motorisk.errors import InvalidData
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.fitting import fit
from motorisk.modelling.snapshot import extract_snapshot, load_snapshot
from motorisk.pipelines.folders import snapshots
from motorisk.pipelines.provenance import BY_HAND, provenance
from motorisk.registry.transitions import AutomaticDecision, approve_automatically, require_validated
from motorisk.registry.transitions import validate as validate_version
from motorisk.registry.versions import ModelVersion, get, register
from motorisk.settings import Settings

Progress = Callable[[int, int], None]
"""Told how many fits of the backtest are done, of how many."""


def silent(done: int, total: int) -> None:
    """Nobody watches."""


def take_snapshot(engine: Engine, settings: Settings, as_of: date, configuration: TrainingConfiguration) -> str:
    """Freeze what is known on `as_of`; return the snapshot's digest.

    `InvalidData` for a day that has not come: nobody knows what will be known then.
    """
    if as_of > datetime.now(UTC).date():
        raise InvalidData(f"{as_of} has not come yet: what will be known then cannot be trained on")
    with engine.connect() as connection:
        snapshot = extract_snapshot(connection, as_of, configuration.history_months)
    snapshot.require_trainable()
    snapshot.save(snapshots(settings))
    return snapshot.digest


def fit_and_register(
    engine: Engine,
    settings: Settings,
    digest: str,
    configuration: TrainingConfiguration,
    *,
    trained_by: str | None = None,
    bundle_version: str | None = None,
    reason: str = BY_HAND,
    progress: Progress = silent,
) -> ModelVersion:
    """Let the candidates compete on a saved snapshot and register the best additive one as a candidate.

    `reason` is why it is trained at all; it stays with the version.
    """
    snapshot = load_snapshot(snapshots(settings), digest)
    if snapshot is None:
        raise InvalidData(f"the snapshot {digest[:12]}… is not under {snapshots(settings)}")
    trained = fit(snapshot, configuration, progress)
    with engine.begin() as connection:
        return register(
            connection,
            trained.plan,
            rows=len(snapshot),
            metrics=trained.metrics,
            gates=trained.gates,
            backtest=trained.candidates,
            parameters=configuration.model_dump(mode="json"),
            provenance=provenance(bundle_version, reason),
            trained_by=trained_by or settings.user,
        )


def validate(engine: Engine, settings: Settings, version: int, *, by: str | None = None) -> ModelVersion:
    """Record the gates' verdict, then raise `GateFailed` where it is a rejection."""
    with engine.begin() as connection:
        found = validate_version(connection, version, by=by or settings.user)
    require_validated(found)
    return found


def approve_where_automatic(engine: Engine, settings: Settings, version: int) -> AutomaticDecision:
    """Make a validated version champion if `MOTORISK_APPROVAL=auto`; else it waits for a person."""
    with engine.begin() as connection:
        found = get(connection, version)
        if found.state != "approved" and settings.approval == "human":
            return AutomaticDecision(found, False, "waits for a person: `motorisk approve`")
        return approve_automatically(connection, version)


def train(
    engine: Engine,
    settings: Settings,
    as_of: date,
    configuration: TrainingConfiguration,
    progress: Progress = silent,
) -> AutomaticDecision:
    """All steps. A version that missed its gates comes back rejected; the champion stays."""
    digest = take_snapshot(engine, settings, as_of, configuration)
    registered = fit_and_register(engine, settings, digest, configuration, progress=progress)
    with engine.begin() as connection:
        validated = validate_version(connection, registered.version, by=settings.user)
    if validated.state == "rejected":
        return AutomaticDecision(validated, False, "missed its gates")
    return approve_where_automatic(engine, settings, validated.version)
