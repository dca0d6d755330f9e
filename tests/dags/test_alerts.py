"""A failed run is told to a real Alertmanager, and a good one ends the alert."""

import os
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from motorisk.ports import free_port
from motorisk.settings import Settings
from motorisk.settings import settings as process_settings


def _alerts(alertmanager: str) -> dict[str, Any]:
    return {alert["labels"]["dag_id"]: alert for alert in httpx.get(f"{alertmanager}/api/v2/alerts").json()}


@pytest.fixture
def told(alertmanager: str, platform: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MOTORISK_ALERTMANAGER_URL", f"{alertmanager}/")
    process_settings.cache_clear()
    return alertmanager


def test_failed_runs_of_a_dag_are_one_alert_until_one_succeeds(
    told: str, run_dag: Callable[..., Any], warehouse: Engine, offer: Callable[..., int]
) -> None:
    for day in ("2024-03-30", "2024-03-31"):
        run_dag("report_performance", as_of=day)  # no champion
    run_dag("score_portfolio", as_of="2024-03-31")
    failed = _alerts(told)
    assert set(failed) == {"report_performance", "score_portfolio"}
    alert = failed["report_performance"]
    assert alert["labels"]["alertname"] == "DagFailed"
    assert alert["annotations"]["runbook"].startswith("observability/runbook.md#")
    assert alert["status"]["state"] in ("active", "unprocessed")

    from motorisk.registry import transitions

    version = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, version, by="uma")
    assert str(run_dag("report_performance", as_of="2024-03-31").state) == "success"
    assert set(_alerts(told)) == {"score_portfolio"}


@pytest.mark.fault("Alertmanager away")
def test_an_alertmanager_that_is_away_fails_nothing(
    platform: Settings, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MOTORISK_ALERTMANAGER_URL", f"http://127.0.0.1:{free_port()}")
    process_settings.cache_clear()
    assert str(run_dag("report_performance", as_of="2024-03-31").state) == "failed"
    assert "Alertmanager was not told of report_performance" in caplog.text


def test_nobody_is_told_where_no_alertmanager_is_set(run_dag: Callable[..., Any], caplog: Any) -> None:
    assert "MOTORISK_ALERTMANAGER_URL" not in os.environ
    run_dag("report_performance", as_of="2024-03-31")
    assert "Alertmanager" not in caplog.text
