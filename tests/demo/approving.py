"""An underwriter, who reads the card in Airflow and approves."""

import json
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from tests.demo.running import PROGRAM


def approved_by_a_person(environment: dict[str, str], home: Path, demo: subprocess.Popen[str], log: Path) -> None:
    """Wait until a version is offered, read its card, approve it; and see that the registry has it so."""
    airflow = httpx.Client(base_url=f"http://127.0.0.1:{environment['MOTORISK_AIRFLOW_PORT']}", timeout=30)
    pending = _required_action(airflow, home, demo, log)
    card = pending["body"]
    for part in (
        "#### Gates",
        "#### Backtest",
        "#### Relativities",
        "hold-out accuracy",
        "trend_gam",
        "/motorisk/models/1",
    ):
        assert part in card
    assert pending["defaults"] == ["Reject"]
    _approve(airflow, pending["task_instance"]["dag_run_id"], comment="as dear as it should be")
    command = [PROGRAM, "models", "show", "1", "--json"]
    shown = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    version = json.loads(shown.stdout)
    assert (version["state"], version["trained_by"]) == ("approved", "airflow")
    assert version["approved_by"].lower() == "uma"
    assert "as dear as it should be" in version["card"]


def _required_action(airflow: httpx.Client, home: Path, demo: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    """Log in as the underwriter and wait for something to be decided."""
    deadline = time.monotonic() + 500
    while time.monotonic() < deadline and demo.poll() is None:
        time.sleep(1)
        with suppress(httpx.HTTPError, OSError, KeyError, ValueError):
            if "Authorization" not in airflow.headers:
                password = json.loads((home / "airflow" / "passwords.json").read_text())["uma"]
                token = airflow.post("/auth/token", json={"username": "uma", "password": password})
                airflow.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            found = airflow.get("/api/v2/dags/approve_model/dagRuns/~/hitlDetails").json()["hitl_details"]
            if found:
                return dict(found[0])
    raise AssertionError(f"nothing was offered for approval: {log.read_text()}")


def _approve(airflow: httpx.Client, run: str, comment: str) -> None:
    """Answer until the run ends: Airflow 3.3.2 asks again where an answer comes before the asking process has ended."""
    path = f"/api/v2/dags/approve_model/dagRuns/{run}"
    answer = {"chosen_options": ["Approve"], "params_input": {"comment": comment}}
    deadline = time.monotonic() + 240
    state = "running"
    while state in ("queued", "running") and time.monotonic() < deadline:
        time.sleep(5)  # as long as a quick reader takes
        if airflow.get(f"{path}/taskInstances/decide").json()["state"] == "awaiting_input":
            assert airflow.patch(f"{path}/taskInstances/decide/-1/hitlDetails", json=answer).is_success
        state = airflow.get(path).json()["state"]
    assert state == "success"
