"""Drift: the months of policies since the champion's reference, the newest above all, against that reference.

Every night measures all of these months again. So what it says follows from the policies known on its date, and
neither from nights that ran or failed before nor from champions that have come and gone.
The quotes and the scores of the day are compared too (`pipelines/drift_kinds.py`).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from datetime import date

from sqlalchemy import Connection, Engine, delete, func, insert, select

from motorisk.domain.calendar import first_of_month
from motorisk.domain.policy import FEATURES
from motorisk.errors import InvalidData
from motorisk.modelling.snapshot import Snapshot
from motorisk.monitoring.drift import FeatureDrift, drifted_names, drifts_of, evidently_report
from motorisk.monitoring.measures import Kind
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.telling import Reading
from motorisk.monitoring.verdict import follow
from motorisk.monitoring.windows import Window
from motorisk.monitoring.workspace import Night, Workspace
from motorisk.pipelines.alarms import Alarm, Finding, raise_alarms
from motorisk.pipelines.drift_cells import Columns
from motorisk.pipelines.drift_kinds import Compared, KindDrift, compare_kinds, judge
from motorisk.pipelines.drift_months import Month, columns_of_months, comparable_months, months_since
from motorisk.pipelines.drift_reference import keep_thresholds, prepared, snapshot_of
from motorisk.pipelines.folders import drift_workspace
from motorisk.pipelines.reading import read_alarms, store_readings
from motorisk.registry.versions import ModelVersion, champion
from motorisk.settings import Settings
from motorisk.warehouse.locks import exclusively
from motorisk.warehouse.tables import drift_metric, drift_run

CAUSE = "drift"


@dataclass(frozen=True, slots=True)
class DriftRun:
    """What one night found; `month` is the first day of the newest month, which `rows` and `features` are about.

    `windows` months have been followed since the reference; `readings` are of the drifting features; `report` is the
    snapshot in the Evidently workspace. `kinds` tells the same of the day's quotes and scores, `skipped` why one of
    them was not compared.
    """

    as_of: date
    version: int
    month: date
    rows: int
    reference_rows: int
    dataset_drift: bool
    drifted_share: float
    features: dict[str, FeatureDrift]
    report: str
    windows: int = 1
    alarms: list[Alarm] = field(default_factory=list)
    readings: dict[str, Reading] = field(default_factory=dict)
    kinds: dict[Kind, KindDrift] = field(default_factory=dict)
    skipped: dict[Kind, str] = field(default_factory=dict)

    @property
    def drifted(self) -> list[str]:
        """The drifted features, the farthest first."""
        return drifted_names(self.features)


def report_drift(engine: Engine, settings: Settings, as_of: date) -> DriftRun:
    """Measure drift as of a date, keep the report, replace what the date wrote before, and raise alarms.

    Quotes and scores are read while policies are: of millions of rows the database has work for two connections.
    Raises `NoChampion`, `NotEnoughData` and `InvalidData` (the reference is gone).
    """
    with engine.connect() as connection:
        model = champion(connection)
        snapshot = snapshot_of(connection, settings, model)
    workspace = Workspace(drift_workspace(settings))
    with ThreadPoolExecutor(1, thread_name_prefix="drift-kinds") as beside:
        reading = beside.submit(compare_kinds, engine, settings, as_of, model, snapshot)
        run, reference, newest = _of_policies(engine, settings, workspace, as_of, model, snapshot)
        compared, skipped = reading.result()
    kinds, unjudged = _judged(engine, workspace, as_of, compared)
    run = replace(run, kinds=kinds, skipped=skipped | unjudged)
    for kind in run.skipped:  # whatever an earlier run of the night had
        workspace.forget(kind, as_of)
    _keep(workspace, Kind.POLICIES, as_of, run, reference, newest)
    with exclusively(engine, "alarms"), engine.begin() as connection:
        _store(connection, run)
        store_readings(connection, as_of, run.readings)
        return replace(run, alarms=raise_alarms(connection, as_of, CAUSE, _findings(connection, run)))


def _of_policies(
    engine: Engine, settings: Settings, workspace: Workspace, as_of: date, model: ModelVersion, snapshot: Snapshot
) -> tuple[DriftRun, Reference, Columns]:
    """The policies' part of a run, what they were compared with, and the newest month's columns."""
    with engine.connect() as connection:
        reference = prepared(connection, settings, model, snapshot)
        months = comparable_months(connection, as_of, settings.drift_min_rows)
        if reference.fixed is None:
            months = months_since(months, snapshot.effective_dates.max().astype("datetime64[M]").astype(object))
        else:
            months = months[-1:]
        columns = columns_of_months(connection, reference, months, as_of)
    windows = [_window(reference, month, found) for month, found in zip(months, columns, strict=True)]
    keep_thresholds(engine, model, reference)
    verdict = follow(reference, windows)[-1]
    features = drifts_of(reference, windows, verdict)
    with engine.connect() as connection:
        readings = read_alarms(connection, model, snapshot, months[-1], as_of, features)
    run = DriftRun(
        as_of=as_of,
        version=model.version,
        month=months[-1].first,
        rows=months[-1].rows,
        reference_rows=len(snapshot),
        dataset_drift=verdict.dataset_drift,
        drifted_share=verdict.share,
        features=features,
        report=workspace.path(Kind.POLICIES, as_of),
        windows=len(windows),
        readings=readings,
    )
    return run, reference, columns[-1]


def _judged(
    engine: Engine, workspace: Workspace, as_of: date, compared: Sequence[Compared]
) -> tuple[dict[Kind, KindDrift], dict[Kind, str]]:
    """Quotes and scores of the day, their reports kept; and why one of them has none."""
    kinds: dict[Kind, KindDrift] = {}
    unjudged: dict[Kind, str] = {}
    for found in compared:
        try:
            kinds[found.kind] = judge(engine, found, as_of, workspace.path(found.kind, as_of))
        except InvalidData as error:
            unjudged[found.kind] = str(error)
        else:
            _keep(workspace, found.kind, as_of, kinds[found.kind], found.reference, found.columns)
    return kinds, unjudged


def _keep(
    workspace: Workspace, kind: Kind, as_of: date, found: DriftRun | KindDrift, reference: Reference, columns: Columns
) -> None:
    thresholds = {name: drift.threshold for name, drift in found.features.items()}
    says = [drift.says for drift in found.features.values()]
    night = Night(kind, as_of, found.version, found.rows, found.drifted, says)
    workspace.keep(night, evidently_report(columns, reference.columns, thresholds))


def _window(reference: Reference, month: Month, columns: Columns) -> Window:
    return Window(month.first, month.last, {name: reference.measure(name, columns[name]) for name in FEATURES})


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
            found[f"of {name}"] = (
                f"{name} drifts, which it did not when version {run.version} was new{_short(run, name)}"
            )
    return [
        Finding(run.version, f"{CAUSE} {where}", run.as_of, reason, outlives_version=True)
        for where, reason in found.items()
    ]


def _short(run: DriftRun, feature: str) -> str:
    return f" ({run.readings[feature].short})" if feature in run.readings else ""


def _steady_at_first(connection: Connection, run: DriftRun) -> set[str]:
    """Features that did not drift when the version was first measured; none on that night itself."""
    first = (
        select(func.min(drift_run.c.as_of))
        .where(drift_run.c.kind == Kind.POLICIES, drift_run.c.version == run.version, drift_run.c.as_of < run.as_of)
        .scalar_subquery()
    )
    rows = select(drift_metric.c.feature).where(
        drift_metric.c.as_of == first, drift_metric.c.kind == Kind.POLICIES, drift_metric.c.drifted.is_(False)
    )
    return set(connection.scalars(rows))


def _store(connection: Connection, run: DriftRun) -> None:
    connection.execute(delete(drift_run).where(drift_run.c.as_of == run.as_of))
    _store_kind(connection, Kind.POLICIES, run.as_of, run.month, run.windows, run)
    for kind, found in run.kinds.items():
        _store_kind(connection, kind, run.as_of, first_of_month(run.as_of), 1, found)


def _store_kind(
    connection: Connection, kind: Kind, as_of: date, month: date, windows: int, found: DriftRun | KindDrift
) -> None:
    connection.execute(
        insert(drift_run),
        {
            "as_of": as_of,
            "kind": kind,
            "version": found.version,
            "month": month,
            "rows": found.rows,
            "reference_rows": found.reference_rows,
            "dataset_drift": found.dataset_drift,
            "drifted_share": found.drifted_share,
            "report": found.report,
            "windows": windows,
        },
    )
    connection.execute(
        insert(drift_metric),
        [
            {"as_of": as_of, "kind": kind, "feature": name, **figures_of(drift)}
            for name, drift in found.features.items()
        ],
    )


def figures_of(drift: FeatureDrift) -> dict[str, object]:
    """A feature's figures by the names of their columns."""
    return {one.name: getattr(drift, one.name) for one in fields(drift)}
