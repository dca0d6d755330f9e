"""Drift: the newest month of policies against what the champion was trained on."""

from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine, delete, func, insert, select

from motorisk.domain.calendar import add_months
from motorisk.domain.policy import FEATURES
from motorisk.errors import InvalidData, NotEnoughData
from motorisk.modelling.snapshot import Snapshot, extract_snapshot, load_snapshot
from motorisk.monitoring.drift import FeatureDrift, measure_drift
from motorisk.pipelines.alarms import Alarm, Finding, raise_alarms
from motorisk.pipelines.folders import drift_reports, snapshots
from motorisk.registry.versions import ModelVersion, champion
from motorisk.settings import Settings
from motorisk.warehouse.tables import drift_metric, drift_run, policy

CAUSE = "drift"


@dataclass(frozen=True, slots=True)
class DriftRun:
    """What one night found; `month` is the first day of the month whose policies were compared."""

    as_of: date
    version: int
    month: date
    rows: int
    reference_rows: int
    dataset_drift: bool
    drifted_share: float
    features: dict[str, FeatureDrift]
    report: Path
    alarms: list[Alarm] = field(default_factory=list)

    @property
    def drifted(self) -> list[str]:
        """The drifted features, the farthest first."""
        drifted = {name: drift for name, drift in self.features.items() if drift.drifted}
        return sorted(drifted, key=lambda name: -drifted[name].score)


def newest_month(connection: Connection, as_of: date, min_rows: int) -> date:
    """First day of the newest month with at least `min_rows` policies written by `as_of`.

    So a month that has just begun does not raise alarms by its small size.
    """
    month = func.date_trunc("month", policy.c.effective_date)
    found: date | None = connection.scalar(
        select(month)
        .where(policy.c.effective_date <= as_of)
        .group_by(month)
        .having(func.count() >= min_rows)
        .order_by(month.desc())
        .limit(1)
    )
    if found is None:
        raise NotEnoughData(f"no month up to {as_of} has at least {min_rows} policies to look for drift in")
    return date(found.year, found.month, 1)


def policies_of_month(connection: Connection, month: date, as_of: date) -> dict[str, npt.NDArray[np.float64]]:
    """Features, each (n,), of the policies written in a month, as known on `as_of`."""
    rows = connection.execute(
        select(*(policy.c[name] for name in FEATURES)).where(
            policy.c.effective_date >= month,
            policy.c.effective_date < add_months(month, 1),
            policy.c.effective_date <= as_of,
        )
    ).all()
    values = np.array(rows, dtype=np.float64)
    return {name: values[:, column] for column, name in enumerate(FEATURES)}


def reference_of(connection: Connection, settings: Settings, model: ModelVersion) -> Snapshot:
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


def report_drift(engine: Engine, settings: Settings, as_of: date) -> DriftRun:
    """Measure drift as of a date, keep the report, replace what the date wrote before, and raise alarms.

    Raises `NoChampion`, `NotEnoughData` and `InvalidData` (the reference is gone).
    """
    with engine.connect() as connection:
        model = champion(connection)
        reference = reference_of(connection, settings, model)
        month = newest_month(connection, as_of, settings.drift_min_rows)
        current = policies_of_month(connection, month, as_of)
    measurement = measure_drift(current, reference.features)
    run = DriftRun(
        as_of=as_of,
        version=model.version,
        month=month,
        rows=len(current["age"]),
        reference_rows=len(reference),
        dataset_drift=measurement.dataset_drift,
        drifted_share=measurement.drifted_share,
        features=measurement.features,
        report=measurement.save(drift_reports(settings, as_of)),
    )
    with engine.begin() as connection:
        _store(connection, run)
        return replace(run, alarms=raise_alarms(connection, as_of, CAUSE, _findings(connection, run)))


def _findings(connection: Connection, run: DriftRun) -> list[Finding]:
    """What asks for a training: the dataset drifts, or a feature does that did not when the version was first measured.

    What drifted then already is how far the version's reference lies back: outcomes take a year.
    """
    found = {}
    if run.dataset_drift:
        names = ", ".join(run.drifted)
        found["of the dataset"] = f"the dataset drifts from what version {run.version} was trained on: {names}"
    steady = _steady_at_first(connection, run)
    for name in run.drifted:
        if name in steady:
            found[f"of {name}"] = f"{name} drifts, which it did not when version {run.version} was new"
    return [
        Finding(run.version, f"{CAUSE} {where}", run.as_of, reason, outlives_version=True)
        for where, reason in found.items()
    ]


def _steady_at_first(connection: Connection, run: DriftRun) -> set[str]:
    """Features that did not drift when the version was first measured; none on that night itself."""
    first = (
        select(func.min(drift_run.c.as_of))
        .where(drift_run.c.version == run.version, drift_run.c.as_of < run.as_of)
        .scalar_subquery()
    )
    rows = select(drift_metric.c.feature).where(drift_metric.c.as_of == first, drift_metric.c.drifted.is_(False))
    return set(connection.scalars(rows))


def _store(connection: Connection, run: DriftRun) -> None:
    connection.execute(delete(drift_run).where(drift_run.c.as_of == run.as_of))
    connection.execute(
        insert(drift_run),
        {
            "as_of": run.as_of,
            "version": run.version,
            "month": run.month,
            "rows": run.rows,
            "reference_rows": run.reference_rows,
            "dataset_drift": run.dataset_drift,
            "drifted_share": run.drifted_share,
            "report": str(run.report),
        },
    )
    connection.execute(
        insert(drift_metric),
        [
            {
                "as_of": run.as_of,
                "feature": name,
                "score": drift.score,
                "method": drift.method,
                "threshold": drift.threshold,
                "drifted": drift.drifted,
            }
            for name, drift in run.features.items()
        ],
    )
