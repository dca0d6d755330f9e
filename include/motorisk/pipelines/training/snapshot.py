"""Freeze what is known on a day; give it to the steps that follow."""

from datetime import UTC, date, datetime

from sqlalchemy import Engine

from motorisk.errors import InvalidData
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.snapshot import Snapshot, extract_snapshot, load_snapshot
from motorisk.pipelines.folders import snapshots
from motorisk.settings import Settings


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


def saved_snapshot(settings: Settings, digest: str) -> Snapshot:
    """A frozen snapshot; `InvalidData` where it is gone."""
    snapshot = load_snapshot(snapshots(settings), digest)
    if snapshot is None:
        raise InvalidData(f"the snapshot {digest[:12]}… is not under {snapshots(settings)}")
    return snapshot
