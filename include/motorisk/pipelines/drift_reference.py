"""What a version's policies are compared with: its training snapshot's newest months, prepared, thresholds kept."""

from collections.abc import Mapping

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.postgresql import insert

from motorisk.errors import InvalidData
from motorisk.modelling.snapshot import Snapshot, extract_snapshot, load_snapshot
from motorisk.monitoring.calibration import Budget
from motorisk.monitoring.columns import Floats
from motorisk.monitoring.drift import THRESHOLD
from motorisk.monitoring.reference import Reference
from motorisk.pipelines.folders import snapshots
from motorisk.registry.versions import ModelVersion
from motorisk.settings import Settings
from motorisk.warehouse.tables import drift_threshold


def snapshot_of(connection: Connection, settings: Settings, model: ModelVersion) -> Snapshot:
    """The newest months of the snapshot that a version was trained on: its file, or, if that is gone, taken again."""
    window = model.parameters["window_months"]
    snapshot = load_snapshot(snapshots(settings), model.snapshot_digest)
    if snapshot is not None:
        return snapshot.newest(window)
    snapshot = extract_snapshot(connection, model.as_of, model.parameters["history_months"])
    if snapshot.digest != model.snapshot_digest:
        raise InvalidData(
            f"the snapshot of version {model.version} is not under {snapshots(settings)}, and the policies known on "
            f"{model.as_of} have changed since: train again"
        )
    snapshot.save(snapshots(settings))
    return snapshot.newest(window)


def prepared(connection: Connection, settings: Settings, model: ModelVersion, snapshot: Snapshot) -> Reference:
    """The snapshot as a reference, with the thresholds that were computed for the version before."""
    return prepared_from(connection, settings, model, snapshot.features)


def prepared_from(
    connection: Connection, settings: Settings, model: ModelVersion, values: Mapping[str, Floats]
) -> Reference:
    """Any measures of a version's reference, each (m,), prepared likewise."""
    if settings.drift_thresholds == "fixed":
        return Reference.of(values, fixed=THRESHOLD)
    budget = Budget(settings.drift_false_alarm_windows)
    rows = connection.execute(
        select(drift_threshold.c.feature, drift_threshold.c.rows, drift_threshold.c.threshold).where(
            drift_threshold.c.version == model.version, drift_threshold.c.budget == budget.windows
        )
    )
    known = {(row.feature, row.rows): row.threshold for row in rows}
    return Reference.of(values, budget, thresholds=known)


def keep_thresholds(engine: Engine, model: ModelVersion, reference: Reference) -> None:
    """Store the thresholds that were computed, for the next night and for other processes."""
    if reference.fixed is not None or not reference.thresholds:
        return
    rows = [
        {
            "version": model.version,
            "feature": feature,
            "rows": rows,
            "budget": reference.budget.windows,
            "threshold": threshold,
        }
        for (feature, rows), threshold in reference.thresholds.items()
    ]
    with engine.begin() as connection:
        connection.execute(insert(drift_threshold).on_conflict_do_nothing(), rows)
