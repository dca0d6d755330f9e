"""What Evidently's UI shows of a project: its panels, as Evidently stores them."""

from typing import Any
from uuid import UUID, uuid5

from motorisk.monitoring.measures import MEASURES_OF, Kind

NAMES = {
    Kind.POLICIES: {
        "name": "Drift of policies",
        "description": "The newest month of policies against what the champion was trained on, night by night.",
    },
    Kind.QUOTES: {
        "name": "Drift of quotes",
        "description": "The day's quotes against what the champion was trained on, day by day.",
    },
    Kind.SCORES: {
        "name": "Drift of scores",
        "description": "The scores of the portfolio against those of the policies that their version was trained on: "
        "risk index, net premium, shares of the classes.",
    },
}

_METRIC = "evidently:metric_v2:"


def dashboard(kind: Kind, project: UUID) -> dict[str, Any]:
    """The panels of a kind's project, in one tab (Evidently's own UI shows no more)."""
    columns = MEASURES_OF[kind]
    panels = [
        _panel(
            project,
            "Drifted columns",
            "Of the newest night, by their scores alone; reports also tell what many months add up to.",
            "half",
            [_value("DriftedColumnsCount", "drifted", value_type="count")],
            plot_type="counter",
            aggregation="last",
        ),
        _panel(
            project,
            "Rows",
            "Of the newest night.",
            "half",
            [_value("RowCount", "rows")],
            plot_type="counter",
            aggregation="last",
        ),
        _panel(
            project,
            "Drift of each column",
            "Evidently's scores: distances between the distributions, 0 is no difference. What chance alone reaches "
            "with so many rows is in each night's report.",
            "full",
            [_value("ValueDrift", name, column=name) for name in columns],
            plot_type="line",
        ),
        _panel(
            project,
            "Share of drifted columns",
            "From one half on the dataset drifts.",
            "half",
            [_value("DriftedColumnsCount", "share", value_type="share")],
            plot_type="line",
        ),
        _panel(
            project,
            "Rows by night",
            "Fewer rows, fewer certainties.",
            "half",
            [_value("RowCount", "rows")],
            plot_type="bar",
            is_stacked=False,
        ),
    ]
    tab = {"id": str(uuid5(project, "tab")), "title": "Drift", "panels": [panel["id"] for panel in panels]}
    return {"tabs": [tab], "panels": panels}


def _panel(
    project: UUID, title: str, subtitle: str, size: str, values: list[dict[str, Any]], **plot_params: Any
) -> dict[str, Any]:
    return {
        "id": str(uuid5(project, title)),
        "title": title,
        "subtitle": subtitle,
        "size": size,
        "values": values,
        "plot_params": plot_params,
    }


def _value(metric: str, legend: str, **labels: str) -> dict[str, Any]:
    return {
        "legend": legend,
        "tags": [],
        "metadata": {},
        "metric": _METRIC + metric,
        "metric_labels": labels,
        "view_params": {},
    }
