"""What the service measures about itself, for Prometheus.

Under gunicorn each worker writes into files of the folder PROMETHEUS_MULTIPROC_DIR, and a scrape of any worker
adds them up; without that folder (tests, one process) the numbers stay in memory.
"""

import logging
import os
from collections.abc import Callable
from functools import cache, wraps
from typing import Concatenate, ParamSpec

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from motorisk.quoting.champion import RefreshFailure, ServedModel
from motorisk.quoting.quote import Quote

P = ParamSpec("P")

_log = logging.getLogger(__name__)

LATENCY_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _at_no_cost(
    measure: "Callable[Concatenate[Measurements, P], None]",
) -> "Callable[Concatenate[Measurements, P], None]":
    """Lose a number rather than a request: on a full disk the files of numbers cannot grow."""

    @wraps(measure)
    def measured(self: "Measurements", /, *arguments: P.args, **options: P.kwargs) -> None:
        try:
            measure(self, *arguments, **options)
        except OSError as error:
            if not self.is_losing:
                _log.error("numbers about the service are lost: %s", error)
            self.is_losing = True
        else:
            self.is_losing = False

    return measured


class Measurements:
    """Counters, histograms and gauges of one process."""

    def __init__(self) -> None:
        self.is_losing = False
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "motorisk_http_requests",
            "Requests answered, by route template, method and status",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._latency = Histogram(
            "motorisk_http_request_duration_seconds",
            "Time to answer a request, by route template and method",
            ["route", "method"],
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._quotes = Counter(
            "motorisk_quotes",
            "Quotes and predictions priced and stored",
            ["channel", "predictor", "risk_class"],
            registry=self._registry,
        )
        self._fallbacks = Counter(
            "motorisk_quote_fallbacks",
            "Features for which the rules answered, being outside the training support",
            ["feature"],
            registry=self._registry,
        )
        self._model = Gauge(
            "motorisk_model_version",
            "Version that each worker process serves; 0: none",
            multiprocess_mode="liveall",
            registry=self._registry,
        )
        self._refresh_failures = Counter(
            "motorisk_champion_refresh_failures",
            "Looks into the registry that failed; the model served before goes on",
            ["reason"],
            registry=self._registry,
        )
        self._journalled = Counter(
            "motorisk_quotes_journalled",
            "Rows that went into the journal instead of the ledger",
            registry=self._registry,
        )
        self._database_errors = Counter(
            "motorisk_database_errors",
            "Requests and scrapes that failed because Postgres did not answer",
            registry=self._registry,
        )

        # Looking a label set up in the library costs more than counting.
        self._answered = cache(self._requests.labels)
        self._timed = cache(self._latency.labels)
        self._quoted = cache(self._quotes.labels)

    @_at_no_cost
    def request_answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request and its duration."""
        self._answered(route, method, status).inc()
        self._timed(route, method).observe(seconds)

    @_at_no_cost
    def quote_stored(self, quote: Quote) -> None:
        """Count a quote or prediction and the features for which the rules answered."""
        priced = quote.priced
        self._quoted(priced.channel, priced.predictor, priced.risk_class).inc()
        for fallback in quote.fallback:
            self._fallbacks.labels(fallback.feature).inc()

    @_at_no_cost
    def model_swapped(self, model: ServedModel | None) -> None:
        """Tell which version this process serves from now on."""
        self._model.set(model.version.version if model else 0)

    @_at_no_cost
    def refresh_failed(self, reason: RefreshFailure) -> None:
        """Count a failed look into the registry."""
        self._refresh_failures.labels(reason).inc()

    @_at_no_cost
    def database_failed(self) -> None:
        """Count a request or a scrape that Postgres failed."""
        self._database_errors.inc()

    @_at_no_cost
    def rows_journalled(self, rows: int) -> None:
        """Count rows that the journal took."""
        self._journalled.inc(rows)

    def scrape_registry(self) -> CollectorRegistry:
        """A registry for one scrape: all workers' numbers; the caller adds what is read at scrape time."""
        registry = CollectorRegistry()
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(self._registry)
        return registry
