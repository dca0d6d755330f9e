"""Drift gauges, from the latest measurements in the database: the newest window of quotes and the newest night.

The workshop's names go on working in its dashboards: they tell of the window or of the night's policies, whichever was
measured last. Those that start with `motorisk_` tell all, labelled by `kind` (`quotes`, `policies`, `scores`) and
`window` (the quotes of a full window; of a night: `month` for its policies, `day` for the day's quotes and scores).
There are none before something was measured.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Row, Select, Table, func, literal, select

from motorisk.quoting.database import Database
from motorisk.warehouse.tables import drift_metric, drift_run, drift_window, drift_window_metric
from motorisk_web.latest import Latest

_LABELS = ["kind", "window"]
_DAILY = [("quotes", "day"), ("scores", "day")]
"""What a night measures beside the policies; the workshop's gauges know nothing of it."""
_BY_FEATURE = (
    ("score", "Drift score of each feature"),
    ("threshold", "Drift score that chance alone does not reach"),
    ("drifted", "1 where the feature drifts, by its score or by evidence of many windows"),
    ("evidence", "Evidence (e-value) that the feature has drifted, from all windows since the reference"),
    ("evidence_threshold", "Evidence that convinces"),
    ("missing", "Rows without a value"),
    ("outliers", "Values outside the tolerated range of the reference"),
)


@dataclass(frozen=True, slots=True)
class LatestDrift:
    """The figures of one window, or of one night; `features` are rows of figures, by feature."""

    kind: str
    window: str
    measured_at: datetime
    rows: int
    dataset_drift: bool
    drifted_share: float
    features: Sequence[Row[Any]]


class DriftGauges(Collector):
    """Collects the gauges; a scrape never fails for want of the database."""

    def __init__(self, database: Database, *, on_failure: Callable[[], None]) -> None:
        self._latest = Latest(database, _read, on_failure=on_failure)

    def collect(self) -> Iterator[Metric]:
        """All gauges, or none before the first measurement."""
        known = self._latest.get()
        if known:
            if of_both := [drift for drift in known if (drift.kind, drift.window) not in _DAILY]:
                yield from workshop_gauges(max(of_both, key=lambda drift: drift.measured_at))
            yield from labelled_gauges(known)


def _read(connection: Connection) -> list[LatestDrift]:
    return [*_newest_window(connection), *_newest_night(connection)]


def _newest_window(connection: Connection) -> list[LatestDrift]:
    newest = select(func.max(drift_window.c.window_id)).scalar_subquery()
    columns = (drift_window.c.size, drift_window.c.measured_at, drift_window.c.rows.label("all_rows"))
    rows = connection.execute(
        _select(drift_window, drift_window_metric, *columns)
        .join(drift_window_metric, drift_window_metric.c.window_id == drift_window.c.window_id)
        .where(drift_window.c.window_id == newest)
    ).all()
    return [_of_rows("quotes", str(rows[0].size), rows)] if rows else []


def _newest_night(connection: Connection) -> list[LatestDrift]:
    # One that has not come yet would hide those that come.
    newest = select(func.max(drift_run.c.as_of)).where(drift_run.c.as_of <= func.current_date()).scalar_subquery()
    columns = (literal(0).label("size"), drift_run.c.measured_at, drift_run.c.rows.label("all_rows"), drift_run.c.kind)
    rows = connection.execute(
        _select(drift_run, drift_metric, *columns)
        .join(drift_metric, (drift_metric.c.as_of == drift_run.c.as_of) & (drift_metric.c.kind == drift_run.c.kind))
        .where(drift_run.c.as_of == newest)
    ).all()
    found = [("policies", "month"), *_DAILY]
    by_kind = {kind: [row for row in rows if row.kind == kind] for kind, _ in found}
    return [_of_rows(kind, window, by_kind[kind]) for kind, window in found if by_kind[kind]]


def _select(run: Table, metric: Table, *columns: Any) -> Select[Any]:
    figures = (metric.c[name] for name in ("feature", *(name for name, _ in _BY_FEATURE)))
    chosen = select(*columns, run.c.dataset_drift, run.c.drifted_share, *figures)
    return chosen.select_from(run).order_by(metric.c.feature)


def _of_rows(kind: str, window: str, rows: Sequence[Row[Any]]) -> LatestDrift:
    first = rows[0]
    return LatestDrift(kind, window, first.measured_at, first.all_rows, first.dataset_drift, first.drifted_share, rows)


def workshop_gauges(drift: LatestDrift) -> Iterator[Metric]:
    """One window or night by the workshop's names."""
    columns, drifted = len(drift.features), sum(row.drifted for row in drift.features)
    yield GaugeMetricFamily("number_of_columns", "Features compared with the reference", columns)
    yield GaugeMetricFamily("number_of_drifted_columns", "Features that drifted", drifted)
    yield GaugeMetricFamily("share_of_drifted_columns", "Share of features that drifted", drift.drifted_share)
    yield GaugeMetricFamily("dataset_drift", "1 where the portfolio as a whole drifted", drift.dataset_drift)
    scores = GaugeMetricFamily("drift_score_by_columns", "Drift score of each feature", labels=["feature"])
    for row in drift.features:
        scores.add_metric([row.feature], row.score)
    yield scores


def labelled_gauges(known: Sequence[LatestDrift]) -> Iterator[Metric]:
    """The newest window and the kinds of the newest night, told apart by labels."""
    dataset = GaugeMetricFamily("motorisk_drift_dataset", "1 where the dataset as a whole drifts", labels=_LABELS)
    rows = GaugeMetricFamily("motorisk_drift_rows", "Rows of the measured window", labels=_LABELS)
    measured = GaugeMetricFamily("motorisk_drift_measured_timestamp_seconds", "When it was measured", labels=_LABELS)
    for drift in known:
        labels = [drift.kind, drift.window]
        dataset.add_metric(labels, drift.dataset_drift)
        rows.add_metric(labels, drift.rows)
        measured.add_metric(labels, drift.measured_at.timestamp())
    yield from (dataset, rows, measured)
    for name, help_text in _BY_FEATURE:
        gauge = GaugeMetricFamily(f"motorisk_drift_{name}", help_text, labels=[*_LABELS, "feature"])
        for drift in known:
            for row in drift.features:
                if row._mapping[name] is not None:  # nights before it was measured, or fixed thresholds
                    gauge.add_metric([drift.kind, drift.window, row.feature], row._mapping[name])
        yield gauge
