"""Alerts to people when a DAG's run fails, through Alertmanager, and the all-clear when a later one succeeds.

Alertmanager groups, silences and routes them beside those of Prometheus: one alert a DAG, however many runs fail.
Off while `MOTORISK_ALERTMANAGER_URL` is unset.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseNotifier

from motorisk_airflow.runs import LOG

LASTING = timedelta(days=30)
"""Alertmanager forgets what nobody repeats; a failed DAG stays failed until it succeeds."""

_PATIENCE = 5.0
"""Seconds that Alertmanager has to answer: telling people must not hold the nights up."""


class AlertmanagerNotifier(BaseNotifier):
    """Raises a DAG's alert, or resolves it. A lost alert is a line in the log, never a failure of its own."""

    def __init__(self, *, resolves: bool) -> None:
        super().__init__()
        self.resolves = resolves

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """Nothing: there are no templates, and `dag.test()` calls with a DAG that could not render any."""

    def notify(self, context: Any) -> None:
        """Tell Alertmanager what became of the run."""
        import httpx

        from motorisk.settings import settings

        address = settings().alertmanager_url
        if address is None:
            return
        alert = self.alert(context, datetime.now(UTC))
        try:
            answer = httpx.post(f"{address.rstrip('/')}/api/v2/alerts", json=[alert], timeout=_PATIENCE)
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:  # its message holds the address, where a password may be
            LOG.warning("Alertmanager was not told of %s: it answered %s", alert["labels"]["dag_id"], error.response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            LOG.warning("Alertmanager was not told of %s: %s", alert["labels"]["dag_id"], error)

    def alert(self, context: Any, now: datetime) -> dict[str, Any]:
        """What is posted; the labels make it one alert a DAG."""
        from airflow.sdk.configuration import conf

        dag_id, run_id = context["dag"].dag_id, context["run_id"]
        ends = now if self.resolves else now + LASTING
        pages = conf.get("api", "base_url", fallback="").rstrip("/")
        return {
            "labels": {"alertname": "DagFailed", "dag_id": dag_id, "severity": "ticket", "area": "nights"},
            "annotations": {
                "summary": f"{dag_id} failed",
                "description": f"Run {run_id}: {context.get('reason') or 'failed'}. The DAG's page tells what to do.",
                "runbook": "observability/runbook.md#night-failed",
            },
            "endsAt": ends.isoformat(),
            **({"generatorURL": f"{pages}/dags/{dag_id}/runs/{run_id}"} if pages else {}),
        }


ON_FAILURE = AlertmanagerNotifier(resolves=False)
ON_SUCCESS = AlertmanagerNotifier(resolves=True)
