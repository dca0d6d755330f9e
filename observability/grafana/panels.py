"""Dashboards as Grafana reads them, from as few words as they need."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SOURCE: Json = {"type": "prometheus", "uid": "motorisk-prometheus"}
WIDTH = 24
_HEIGHTS = {"stat": 4, "row": 1}
_DEFAULT_HEIGHT = 9

GREEN, ORANGE, RED = "green", "orange", "red"


@dataclass(frozen=True, slots=True)
class Query:
    """What Prometheus is asked; `legend` may name labels: `{{feature}}`."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `says` is for people who have never seen it; `steps` colour values from a bound on."""

    title: str
    says: str
    queries: Sequence[Query]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    decimals: int | None = None
    low: float | None = None
    high: float | None = None
    base: str = GREEN
    steps: Mapping[float, str] = field(default_factory=dict)
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    table_labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A heading over the panels that follow."""

    title: str


def dashboard(
    uid: str, title: str, says: str, content: Iterable[Panel | Row], variables: Sequence[Json] = (), days: int = 7
) -> Json:
    """A dashboard of panels that are laid out from left to right, line by line."""
    return {
        "uid": uid,
        "title": title,
        "description": says,
        "tags": ["motorisk"],
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "schemaVersion": 39,
        "version": 1,
        "timezone": "browser",
        "time": {"from": f"now-{days}d", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "tags": ["motorisk"],
                "title": "Motorisk",
                "asDropdown": False,
                "keepTime": True,
            }
        ],
        "annotations": {"list": [_alerts()]},
        "templating": {"list": list(variables)},
        "panels": list(_laid_out(content)),
    }


def variable(name: str, label: str, query: str) -> Json:
    """A choice at the top of the dashboard, from the values that a label has."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _alerts() -> Json:
    return {
        "name": "Alerts",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": RED,
        "expr": 'ALERTS{alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "step": "60s",
    }


def _laid_out(content: Iterable[Panel | Row]) -> Iterable[Json]:
    x = y = height = 0
    for number, part in enumerate(content, start=1):
        kind, width = ("row", WIDTH) if isinstance(part, Row) else (part.kind, part.width)
        if x + width > WIDTH or isinstance(part, Row):
            x, y, height = 0, y + height, 0
        own = _HEIGHTS.get(kind, _DEFAULT_HEIGHT)
        place = {"h": own, "w": width, "x": x, "y": y}
        if isinstance(part, Row):
            yield {"id": number, "type": "row", "title": part.title, "collapsed": False, "gridPos": place, "panels": []}
        else:
            yield {"id": number, "gridPos": place, **_panel(part)}
        x, height = x + width, max(height, own)


def _panel(panel: Panel) -> Json:
    is_instant = panel.kind in ("stat", "table", "bargauge")
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
                "instant": is_instant,
                "range": not is_instant,
                **({"format": "table"} if panel.kind == "table" else {}),
            }
            for place, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
        **({"transformations": _columns(panel)} if panel.kind == "table" else {}),
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": panel.base if panel.steps else "text", "value": None}]
    steps += [{"color": colour, "value": bound} for bound, colour in sorted(panel.steps.items())]
    told = {str(value): {"text": text, "color": colour} for value, (text, colour) in panel.words.items()}
    own = {"decimals": panel.decimals, "min": panel.low, "max": panel.high}
    return {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": [{"type": "value", "options": told}] if told else [],
        "noValue": "nothing measured yet",
        **{name: value for name, value in own.items() if value is not None},
        **({"custom": _lines(panel)} if panel.kind == "timeseries" else {}),
        **({"custom": {"fillOpacity": 80, "lineWidth": 0}} if panel.kind == "state-timeline" else {}),
    }


def _lines(panel: Panel) -> Json:
    shown = "dashed" if panel.steps else "off"
    return {
        "lineWidth": 2,
        "fillOpacity": 8,
        "showPoints": "never",
        "spanNulls": 3_600_000,
        "thresholdsStyle": {"mode": shown},
    }


def _options(panel: Panel) -> Json:
    if panel.kind == "timeseries":
        legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": True}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "state-timeline":
        return {"legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"}, "showValue": "never"}
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "bargauge":
        return {"reduceOptions": reduce, "orientation": "horizontal", "displayMode": "basic"}
    return {"reduceOptions": reduce, "colorMode": "background", "graphMode": "none", "textMode": "auto"}


def _columns(panel: Panel) -> list[Json]:
    """The labels in their order, then the value; neither the time nor labels that say nothing here."""
    names = [*panel.table_labels, "Value"]
    return [
        {"id": "filterFieldsByName", "options": {"include": {"names": names}}},
        {"id": "organize", "options": {"indexByName": {name: place for place, name in enumerate(names)}}},
    ]
