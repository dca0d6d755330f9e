"""A failed run is told to a real Alertmanager, and a good one ends the alert."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from motorisk.settings import Settings
from motorisk.settings import settings as process_settings

CONFIGURATION = Path(__file__).parents[2] / "observability" / "alertmanager" / "alertmanager.yml"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """Address of an Alertmanager with the project's configuration."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program, "scripts/install-system-parts.sh installs it"
    address = f"127.0.0.1:{_free_port()}"
    command = [program, f"--config.file={CONFIGURATION}", f"--storage.path={tmp_path}", "--cluster.listen-address="]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        for _ in range(100):
            try:
                if httpx.get(f"http://{address}/-/ready").is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        else:
            raise AssertionError((tmp_path / "log").read_text())
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)


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


def test_an_alertmanager_that_is_away_fails_nothing(
    platform: Settings, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MOTORISK_ALERTMANAGER_URL", f"http://127.0.0.1:{_free_port()}")
    process_settings.cache_clear()
    assert str(run_dag("report_performance", as_of="2024-03-31").state) == "failed"
    assert "Alertmanager was not told of report_performance" in caplog.text


def test_nobody_is_told_where_no_alertmanager_is_set(run_dag: Callable[..., Any], caplog: Any) -> None:
    assert "MOTORISK_ALERTMANAGER_URL" not in os.environ
    run_dag("report_performance", as_of="2024-03-31")
    assert "Alertmanager" not in caplog.text
