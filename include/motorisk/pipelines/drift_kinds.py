"""The day's quotes and the day's scores, against the reference of the version that they are about.

Each is judged by itself, by the thresholds of so many rows: quotes add up in live windows (`pipelines/monitor.py`), and
the portfolio of a day is nearly that of the day before, so that its nights are no evidence for one another.

What scores are compared with is what their version says of the policies that it was trained on, each on the day on
which it began, in the tariff of the scores: a new tariff is no drift. Trends that the version itself foresees are part
of the difference.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from psycopg2 import sql
from sqlalchemy import Connection, Engine, func, select

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import RISK_CLASSES
from motorisk.domain.tariff import Tariff
from motorisk.errors import InvalidData, NotEnoughData
from motorisk.modelling.snapshot import Snapshot
from motorisk.monitoring.columns import EXACT_ROWS, Floats
from motorisk.monitoring.drift import FeatureDrift, drifted_names, drifts_alone
from motorisk.monitoring.measures import PREDICTIONS, Kind
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.windows import Window
from motorisk.pipelines.drift_cells import Columns, Source, exact_columns, reduced_columns
from motorisk.pipelines.drift_reference import keep_thresholds, prepared_from, snapshot_of
from motorisk.registry.tariffs import tariffs
from motorisk.registry.versions import ModelVersion, get, load_plan
from motorisk.scoring.pricing import assess, premiums
from motorisk.settings import Settings
from motorisk.warehouse.tables import quote, score_run

_QUOTES = sql.SQL("motorisk.quote WHERE quoted_at >= %(start)s AND quoted_at < %(end)s")
_SCORES = sql.SQL("motorisk.score WHERE as_of = %(as_of)s")
_PREDICTIONS: dict[str, sql.Composable] = {
    "risk_index": sql.SQL("expected_risk"),
    "premium": sql.SQL("net::double precision"),
    **{f"{name.value}_risk": sql.SQL("risk_class = {}").format(sql.Literal(name.value)) for name in RISK_CLASSES},
}


@dataclass(frozen=True, slots=True)
class Compared:
    """Rows of a kind, beside the reference of a version; both as columns."""

    kind: Kind
    model: ModelVersion
    rows: int
    reference: Reference
    reference_rows: int
    columns: Columns


@dataclass(frozen=True, slots=True)
class KindDrift:
    """What a night found of a kind; `report` is its snapshot in the Evidently workspace."""

    version: int
    rows: int
    reference_rows: int
    dataset_drift: bool
    drifted_share: float
    features: dict[str, FeatureDrift]
    report: str

    @property
    def drifted(self) -> list[str]:
        """What drifts, the farthest first."""
        return drifted_names(self.features)


def compare_kinds(
    engine: Engine, settings: Settings, as_of: date, champion: ModelVersion, snapshot: Snapshot
) -> tuple[list[Compared], dict[Kind, str]]:
    """Quotes and scores of a day as columns; and why one of them cannot be compared, where it cannot."""
    compared: list[Compared] = []
    skipped: dict[Kind, str] = {}
    with engine.connect() as connection:
        steps: dict[Kind, Callable[[], Compared]] = {
            Kind.QUOTES: lambda: _quotes(connection, settings, as_of, champion, snapshot),
            Kind.SCORES: lambda: _scores(connection, settings, as_of, champion, snapshot),
        }
        for kind, step in steps.items():
            try:
                compared.append(step())
            except InvalidData as error:
                skipped[kind] = str(error)
    return compared, skipped


def judge(engine: Engine, compared: Compared, as_of: date, report: str) -> KindDrift:
    """Measure; `InvalidData` where a measure has no value in any row."""
    figures = {name: compared.reference.measure(name, column) for name, column in compared.columns.items()}
    verdict, features = drifts_alone(compared.reference, Window(as_of, as_of, figures))
    keep_thresholds(engine, compared.model, compared.reference)
    return KindDrift(
        version=compared.model.version,
        rows=compared.rows,
        reference_rows=compared.reference_rows,
        dataset_drift=verdict.dataset_drift,
        drifted_share=verdict.share,
        features=features,
        report=report,
    )


def _quotes(
    connection: Connection, settings: Settings, as_of: date, champion: ModelVersion, snapshot: Snapshot
) -> Compared:
    start = datetime.combine(as_of, time(), UTC)
    day = {"start": start, "end": start + timedelta(days=1)}
    within = quote.c.quoted_at >= day["start"], quote.c.quoted_at < day["end"]
    rows = connection.scalar(select(func.count()).select_from(quote).where(*within)) or 0
    if rows < settings.drift_min_rows:
        raise NotEnoughData(f"{rows:,} quotes on {as_of} (UTC), at least {settings.drift_min_rows} are compared")
    reference = prepared_from(connection, settings, champion, snapshot.features)
    source = Source(_QUOTES, {name: sql.Identifier(name) for name in FEATURES}, day)
    return Compared(
        Kind.QUOTES, champion, rows, reference, len(snapshot), _columns(connection, reference, source, rows)
    )


def _scores(
    connection: Connection, settings: Settings, as_of: date, champion: ModelVersion, snapshot: Snapshot
) -> Compared:
    run = connection.execute(select(score_run).where(score_run.c.as_of == as_of)).one_or_none()
    if run is None:
        raise NotEnoughData(f"there are no scores as of {as_of}")
    if run.archive is not None:
        raise NotEnoughData(f"the scores as of {as_of} are in the archive")
    if run.rows < settings.drift_min_rows:
        raise NotEnoughData(f"{run.rows:,} scores as of {as_of}, at least {settings.drift_min_rows} are compared")
    model = champion
    if run.version != champion.version:
        model = get(connection, run.version)
        snapshot = snapshot_of(connection, settings, model)
    tariff = next(found for found in tariffs(connection) if found.name == run.tariff)
    foretold = predictions(load_plan(connection, model.version), tariff, snapshot)
    reference = prepared_from(connection, settings, model, foretold)
    source = source_of_scores(as_of)
    return Compared(
        Kind.SCORES, model, run.rows, reference, len(snapshot), _columns(connection, reference, source, run.rows)
    )


def source_of_scores(as_of: date) -> Source:
    """The scores of a day, as `PREDICTIONS`."""
    return Source(_SCORES, {name: _PREDICTIONS[name] for name in PREDICTIONS}, {"as_of": as_of})


def _columns(connection: Connection, reference: Reference, source: Source, rows: int) -> Columns:
    if rows <= EXACT_ROWS:
        return exact_columns(connection, reference, source)
    return reduced_columns(connection, reference, source, periods=1)[0]


def predictions(plan: RatingPlan, tariff: Tariff, snapshot: Snapshot) -> dict[str, Floats]:
    """What a rating plan says of a snapshot's policies, as `PREDICTIONS`, each (n,)."""
    assessed = assess(plan, snapshot.features, snapshot.effective_dates)
    classes = {f"{name.value}_risk": assessed.classes == number for number, name in enumerate(RISK_CLASSES)}
    return {
        "risk_index": assessed.expected_risk,
        "premium": premiums(tariff, assessed.probabilities).net / 100,
        **{name: flags.astype(float) for name, flags in classes.items()},
    }
