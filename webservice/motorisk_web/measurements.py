"""What the service measures about itself, for Prometheus.

Under gunicorn each worker writes into files of the folder PROMETHEUS_MULTIPROC_DIR, and a scrape of any worker
adds them up; without that folder (tests, one process) the numbers stay in memory.
"""

import logging
import os
from collections.abc import Callable
from functools import cache, wraps
from typing import Concatenate, ParamSpec, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from motorisk.quoting.champion import RefreshFailure, ServedModel
from motorisk.quoting.clients import Refusal
from motorisk.quoting.quote import Quote, Recorded

P = ParamSpec("P")

_log = logging.getLogger(__name__)

# Close together where quotes are answered, from 1 to 100 ms.
LATENCY_BUCKETS = (
    *(0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
PREMIUM_BUCKETS = (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 800.0, 1000.0, 1250.0, 1500.0, 2000.0, 3000.0, 5000.0)
BATCH_BUCKETS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1000.0)


def _at_no_cost(
    measure: "Callable[Concatenate[Measurements, P], None]",
) -> "Callable[Concatenate[Measurements, P], None]":
    """Lose a number rather than a request: on a full disk, for one, the files of numbers cannot grow."""

    @wraps(measure)
    def measured(self: "Measurements", /, *arguments: P.args, **options: P.kwargs) -> None:
        try:
            measure(self, *arguments, **options)
        except Exception as error:
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
            "Requests, commits, scrapes and looks at the API keys that Postgres failed",
            registry=self._registry,
        )

        self._premiums = Histogram(
            "motorisk_quote_gross_premium",
            "Gross premiums a year of the quotes stored, in the currency of their tariff",
            ["currency"],
            buckets=PREMIUM_BUCKETS,
            registry=self._registry,
        )
        self._repeated = Counter(
            "motorisk_quotes_repeated",
            "Requests answered with the quote that their Idempotency-Key had already",
            registry=self._registry,
        )
        self._unauthorized = Counter(
            "motorisk_http_requests_unauthorized",
            "Requests refused for their API key, or for having none",
            ["reason"],
            registry=self._registry,
        )
        self._rate_limited = Counter(
            "motorisk_http_requests_rate_limited",
            "Requests refused because their client asked faster than agreed",
            ["client"],
            registry=self._registry,
        )
        self._batches = Histogram(
            "motorisk_recorder_batch_rows",
            "Rows that one commit made durable, by where",
            ["recorded"],
            buckets=BATCH_BUCKETS,
            registry=self._registry,
        )
        self._plans_refused = Counter(
            "motorisk_plans_refused",
            "Rating plans that were not served: a wrong digest or schema, or a smoke prediction that failed",
            registry=self._registry,
        )
        self._begin_with_zero()

        # Looking a label set up in the library costs more than counting.
        self._answered = cache(self._requests.labels)
        self._timed = cache(self._latency.labels)
        self._quoted = cache(self._quotes.labels)
        self._priced = cache(self._premiums.labels)
        self._committed = cache(self._batches.labels)

    @_at_no_cost
    def _begin_with_zero(self) -> None:
        """Series that are known beforehand: the first failure is a rise too."""
        for reason in get_args(RefreshFailure):
            self._refresh_failures.labels(reason)
        for refusal in get_args(Refusal):
            self._unauthorized.labels(refusal)
        for recorded in get_args(Recorded):
            self._batches.labels(recorded)

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
        self._priced(quote.currency).observe(float(priced.premium.gross))
        for fallback in quote.fallback:
            self._fallbacks.labels(fallback.feature).inc()

    @_at_no_cost
    def quote_repeated(self) -> None:
        """Count a request that got the quote of an earlier one."""
        self._repeated.inc()

    @_at_no_cost
    def request_unauthorized(self, reason: Refusal) -> None:
        """Count a request that was refused for its key."""
        self._unauthorized.labels(reason).inc()

    @_at_no_cost
    def request_rate_limited(self, client: str) -> None:
        """Count a request that came too soon."""
        self._rate_limited.labels(client).inc()

    @_at_no_cost
    def rows_committed(self, rows: int) -> None:
        """Tell how many rows one commit into the ledger took."""
        self._committed("ledger").observe(rows)

    @_at_no_cost
    def plan_refused(self) -> None:
        """Count a rating plan that is not served."""
        self._plans_refused.inc()

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
        self._committed("journal").observe(rows)

    def scrape_registry(self) -> CollectorRegistry:
        """A registry for one scrape: all workers' numbers; the caller adds what is read at scrape time."""
        registry = CollectorRegistry()
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(self._registry)
        return registry
