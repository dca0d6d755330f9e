"""What Prometheus finds at /metrics/, from the collectors of the quote service.

They tell nothing of what has not happened yet, so that they are given rows without meaning: only names, labels and
explanations are kept. A test compares them with a service that has seen much.
"""

from datetime import UTC, datetime
from types import SimpleNamespace

from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase

from generate.markdown import cell, code, table
from motorisk_web.drift_gauges import LatestDrift, labelled_gauges, workshop_gauges
from motorisk_web.measurements import Measurements
from motorisk_web.metrics import JournalGauge, ModelInfo
from motorisk_web.night_gauges import Nights, gauges_of_nights

INTRODUCTION = """# Metrics

What `/metrics/` of the quote service tells. `make demo` starts a Prometheus that asks for it, where one is installed;
`observability/` has alerts, routes and Grafana's dashboards. A gauge is there as soon as there is something to tell.
The gauges of drift and of the nights come from the database: every instance tells the same, so that `max` over
instances is right.

"""
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def page() -> str:
    """The page: a table a part of the platform."""
    text = INTRODUCTION
    for title, metrics in _parts().items():
        rows = [
            (code(_name(metric)), metric.type, ", ".join(map(code, labels)), cell(metric.documentation))
            for metric, labels in sorted(metrics, key=lambda found: found[0].name)
        ]
        text += f"## {title}\n\n" + table(("name", "type", "labels", "meaning"), rows) + "\n\n"
    return text


def names() -> set[str]:
    """The families' names as a scrape has them."""
    return {_name(metric) for metrics in _parts().values() for metric, _ in metrics}


def _name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _parts() -> dict[str, list[tuple[Metric, tuple[str, ...]]]]:
    measured = [metric for metric in vars(Measurements()).values() if isinstance(metric, MetricWrapperBase)]
    families = {
        "Model, tariff and journal": [*_model(), *JournalGauge(SimpleNamespace(pending=lambda: 0)).collect()],
        "Drift": [*labelled_gauges([])],
        "Drift, by the workshop's names": [*workshop_gauges(LatestDrift("", "", MOMENT, 0, False, 0.0, features=()))],
        "The nights": [*_nights()],
    }
    own = [(metric.describe()[0], metric._labelnames) for metric in measured]
    read = {title: [(family, family._labelnames) for family in found] for title, found in families.items()}
    return {"The service itself": own, **read}


def _model() -> list[Metric]:
    version = SimpleNamespace(version=1, digest="", candidate="", as_of=MOMENT.date(), approved_at=MOMENT)
    quoting = SimpleNamespace(
        model=lambda: SimpleNamespace(version=version), tariff=lambda: SimpleNamespace(name="", currency="")
    )
    return list(ModelInfo(quoting).collect())


def _nights() -> list[Metric]:
    scores = SimpleNamespace(quarantined=0, by_predictor={})
    waiting = SimpleNamespace(rows=0, oldest=MOMENT)
    found = Nights(read_at=0.0, steps=(), scores=scores, alarms=(), horizons=(), waiting=waiting)
    return list(gauges_of_nights(found))
