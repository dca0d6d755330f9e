"""The workshop's drift gauges, from the latest drift run in the database.

Their names are the workshop's, so that its dashboards go on working. There are none before the first run.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from motorisk.errors import DatabaseUnavailable
from motorisk.quoting.database import Database
from motorisk.warehouse.tables import drift_metric, drift_run

CACHE_SECONDS = 10.0
"""Drift is measured once a night; several scrapers need not each ask Postgres."""


@dataclass(frozen=True, slots=True)
class LatestDrift:
    """The figures of one drift run."""

    dataset_drift: bool
    drifted_share: float
    scores: dict[str, float]
    drifted: int


class DriftGauges(Collector):
    """Collects the gauges; where Postgres is away the last known ones stay, and the scrape never fails."""

    def __init__(self, database: Database, *, is_database_away: Callable[[], bool], on_failure: Callable[[], None]):
        self._database = database
        self._is_database_away = is_database_away
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._known: LatestDrift | None = None
        self._read_at = -CACHE_SECONDS

    def collect(self) -> Iterator[Metric]:
        """The five gauges, or none before the first drift run."""
        drift = self._latest()
        if drift is None:
            return
        columns, drifted = len(drift.scores), drift.drifted
        yield GaugeMetricFamily("number_of_columns", "Features compared with the reference", columns)
        yield GaugeMetricFamily("number_of_drifted_columns", "Features that drifted", drifted)
        yield GaugeMetricFamily("share_of_drifted_columns", "Share of features that drifted", drift.drifted_share)
        yield GaugeMetricFamily("dataset_drift", "1 where the portfolio as a whole drifted", drift.dataset_drift)
        scores = GaugeMetricFamily("drift_score_by_columns", "Drift score of each feature", labels=["feature"])
        for feature, score in drift.scores.items():
            scores.add_metric([feature], score)
        yield scores

    def _latest(self) -> LatestDrift | None:
        with self._lock:
            fresh = time.monotonic() - self._read_at < CACHE_SECONDS
            if fresh or self._is_database_away():  # a connection attempt could outlast the scraper's patience
                return self._known
            try:
                self._known = self._read()
                self._read_at = time.monotonic()
            except DatabaseUnavailable:
                self._on_failure()
            return self._known

    def _read(self) -> LatestDrift | None:
        with self._database.statements() as connection:
            rows = connection.execute(
                select(
                    drift_run.c.dataset_drift,
                    drift_run.c.drifted_share,
                    drift_metric.c.feature,
                    drift_metric.c.score,
                    drift_metric.c.drifted,
                )
                .join_from(drift_run, drift_metric, drift_metric.c.as_of == drift_run.c.as_of)
                .where(drift_run.c.as_of == select(func.max(drift_run.c.as_of)).scalar_subquery())
                .order_by(drift_metric.c.feature)
            ).all()
        if not rows:
            return None
        return LatestDrift(
            dataset_drift=rows[0].dataset_drift,
            drifted_share=rows[0].drifted_share,
            scores={row.feature: row.score for row in rows},
            drifted=sum(row.drifted for row in rows),
        )
