"""/metrics: all workers' numbers, the model, the drift and the nights, for Prometheus."""

import time
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from datetime import time as time_of_day
from http import HTTPMethod
from typing import Any

from flask import Blueprint, Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from motorisk.errors import MotoriskError
from motorisk.quoting.backlog import Backlog
from motorisk.quoting.service import QuoteService
from motorisk_web.later import LaterAnswer
from motorisk_web.measurements import Measurements
from motorisk_web.services import Services

UNMATCHED = "(none)"
"""The route of an address that does not exist: the address itself would make a time series each."""

_STARTED = "motorisk.started"
_ROUTE = "motorisk.route"
_METHODS = frozenset(HTTPMethod)


def route_of(environ: MutableMapping[str, Any]) -> str:
    """The route template that answered a request."""
    return str(environ.get(_ROUTE, UNMATCHED))


class ModelInfo(Collector):
    """Which model and tariff the worker that answers the scrape serves; absent without them."""

    def __init__(self, quoting: QuoteService) -> None:
        self._quoting = quoting

    def collect(self) -> Iterator[Metric]:
        """Gauges that are always 1, and the dates from which ages follow (`time() - …`)."""
        yield from self._of_tariff()
        try:
            version = self._quoting.model().version
        except MotoriskError:
            return
        info = GaugeMetricFamily(
            "motorisk_model_info", "The model that prices quotes", labels=["version", "digest", "candidate", "as_of"]
        )
        info.add_metric([str(version.version), version.digest, version.candidate, version.as_of.isoformat()], 1)
        yield info
        as_of = datetime.combine(version.as_of, time_of_day(), UTC).timestamp()
        yield GaugeMetricFamily(
            "motorisk_model_as_of_timestamp_seconds", "Date up to which the model knows policies and outcomes", as_of
        )
        if version.approved_at is not None:
            yield GaugeMetricFamily(
                "motorisk_model_approved_timestamp_seconds",
                "When the model was approved",
                version.approved_at.timestamp(),
            )

    def _of_tariff(self) -> Iterator[Metric]:
        try:
            tariff = self._quoting.tariff()
        except MotoriskError:
            return
        info = GaugeMetricFamily("motorisk_tariff_info", "The tariff in force today", labels=["tariff", "currency"])
        info.add_metric([tariff.name, tariff.currency], 1)
        yield info


class JournalGauge(Collector):
    """How much of the journal is not in the ledger yet."""

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog

    def collect(self) -> Iterator[Metric]:
        """One gauge, of all processes of the machine."""
        yield GaugeMetricFamily(
            "motorisk_quote_journal_pending",
            "Journalled rows of this machine that are not in the ledger yet",
            self._backlog.pending(),
        )


def blueprint(services: Services) -> Blueprint:
    """The scrape."""
    scrape = Blueprint("metrics", __name__)
    model_info = ModelInfo(services.quoting)
    journal_gauge = JournalGauge(services.backlog)

    @scrape.get("/metrics")
    @scrape.get("/metrics/")
    def metrics() -> Response:
        registry = services.measurements.scrape_registry()
        registry.register(model_info)
        registry.register(journal_gauge)
        registry.register(services.drift_gauges)
        registry.register(services.night_gauges)
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return scrape


def measure_requests(app: Flask, measurements: Measurements) -> None:
    """Count and time every request of the app."""

    @app.before_request
    def start() -> None:
        request.environ[_STARTED] = time.perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        asked = request._get_current_object()  # type: ignore[attr-defined]
        route = asked.url_rule.rule if asked.url_rule else UNMATCHED
        asked.environ[_ROUTE] = route
        method = asked.method if asked.method in _METHODS else "OTHER"
        started = asked.environ[_STARTED]

        def count(status: int) -> None:
            measurements.request_answered(route, method, status, time.perf_counter() - started)

        if isinstance(response, LaterAnswer):
            response.count_with(count)
        else:
            count(response.status_code)
        return response
