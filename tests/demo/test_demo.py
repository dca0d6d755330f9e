"""`motorisk demo`: the whole platform, started, used and stopped as a person would."""

import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from motorisk.settings import PREFIX

PROGRAM = Path(sys.executable).parent / "motorisk"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _processes_of(home: Path) -> list[str]:
    """Command lines of the living processes that work on a home folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = process.environ().get("MOTORISK_HOME") == str(home) or str(home) in " ".join(process.cmdline())
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found


def _asked(prometheus: str, query: str) -> list[dict[str, Any]]:
    return list(httpx.get(f"{prometheus}/api/v1/query", params={"query": query}).json()["data"]["result"])


def _scraped(prometheus: str) -> dict[str, str]:
    """What Prometheus knows of each job: 1 where its last scrape worked."""
    return {sample["metric"]["job"]: sample["value"][1] for sample in _asked(prometheus, "up")}


def _asks_of_airflow() -> list[str]:
    """What rules and panels ask of Airflow's own metrics, but for rises, which need a run between two scrapes."""
    observability = Path(__file__).parents[2] / "observability"
    rules = yaml.safe_load((observability / "prometheus/rules/nights.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((observability / "grafana/dashboards/nights.json").read_text())["panels"]
    queries = [rule["expr"] for rule in rules] + [
        target["expr"] for panel in panels for target in panel.get("targets", ())
    ]
    return sorted({name for query in queries for name in re.findall(r"\bairflow_[a-z_]+", query)})


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "AIRFLOW"))}
    return {
        **inherited,
        "MOTORISK_HOME": str(tmp_path / "home"),
        "MOTORISK_AIRFLOW_PORT": str(_free_port()),
        "MOTORISK_QUOTE_PORT": str(_free_port()),
        "MOTORISK_PROMETHEUS_PORT": str(_free_port()),
        "MOTORISK_DRIFT_UI_PORT": str(_free_port()),
    }


@pytest.fixture
def home(environment: dict[str, str]) -> Iterator[Path]:
    home = Path(environment["MOTORISK_HOME"])
    yield home
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("MOTORISK_HOME") == str(home):
                process.kill()


def _start(environment: dict[str, str], log: Path, *arguments: str) -> subprocess.Popen[str]:
    with log.open("w") as progress:
        command = [PROGRAM, "demo", "--json", *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=progress, text=True)


def _facts(demo: subprocess.Popen[str], log: Path, seconds: float = 600) -> dict[str, Any]:
    assert demo.stdout is not None
    told, _, _ = select.select([demo.stdout], [], [], seconds)
    line = demo.stdout.readline() if told else ""
    assert line, log.read_text()
    return dict(json.loads(line))


@pytest.mark.timeout(900)
def test_one_command_brings_everything_up_and_takes_everything_down(
    environment: dict[str, str], home: Path, tmp_path: Path, statsd_exporter: Any
) -> None:
    log = tmp_path / "demo.log"
    environment["MOTORISK_STATSD"] = statsd_exporter.udp
    # All candidates and their search are in the other demo.
    training = tmp_path / "training.yaml"
    training.write_text("candidates: [rules, gam, trend_gam]\nsearch_trials: 0\n")
    environment["MOTORISK_TRAINING_CONFIG"] = str(training)
    demo = _start(environment, log)
    try:
        facts = _facts(demo, log)
        progress = log.read_text()
        for step in ("Simulated 54,000 policies", "Airflow's tables", "training and approval", "scoring", "drift"):
            assert step in progress
        assert facts["accuracy"] > 0.85
        assert facts["rows"] > 10_000
        assert "miles" in facts["drifted"]
        assert Path(facts["report"]).exists()

        quoted = subprocess.run(shlex.split(facts["curl"]), check=True, capture_output=True, text=True)
        quote = json.loads(quoted.stdout)
        assert quote["predictor"] == "model"
        assert quote["model_version"] == facts["version"]

        login = {"username": "admin", "password": facts["logins"]["admin"]}
        token = httpx.post(f"{facts['airflow']}/auth/token", json=login).json()["access_token"]
        runs = httpx.get(
            f"{facts['airflow']}/api/v2/dags/~/dagRuns", headers={"Authorization": f"Bearer {token}"}
        ).json()["dag_runs"]
        assert {run["dag_id"] for run in runs} >= {"train_model", "score_portfolio", "report_drift"}
        assert "failed" not in {run["state"] for run in runs}
        assert httpx.get(facts["quotes_documentation"], follow_redirects=True).is_success

        assert _scraped(facts["prometheus"]) == {"motorisk-quotes": "1", "prometheus": "1"}

        targets = home / "prometheus/configuration/targets/airflow.yml"
        targets.write_text(json.dumps([{"targets": [statsd_exporter.http]}]))
        airflow = httpx.Client(base_url=facts["airflow"], headers={"Authorization": f"Bearer {token}"})
        impossible = {"logical_date": None, "conf": {"as_of": "1990-01-01"}}
        assert airflow.post("/api/v2/dags/report_drift/dagRuns", json=impossible).is_success

        projects = httpx.get(f"{facts['drift_reports']}/api/projects/").json()
        assert {project["name"] for project in projects} == {"Drift of policies", "Drift of quotes", "Drift of scores"}
        scores = next(project["id"] for project in projects if project["name"] == "Drift of scores")
        assert len(httpx.get(f"{facts['drift_reports']}/api/projects/{scores}/snapshots").json()) == 1
        assert httpx.delete(f"{facts['drift_reports']}/api/projects/{scores}").status_code == 403

        wanted = _asks_of_airflow()
        assert len(wanted) > 5
        deadline = time.monotonic() + 90
        while wanted and time.monotonic() < deadline:
            time.sleep(1)
            wanted = [name for name in wanted if not _asked(facts["prometheus"], name)]
        assert wanted == []
        failed = _asked(facts["prometheus"], "airflow_dagrun_duration_failed_count")
        assert [sample["metric"]["dag_id"] for sample in failed] == ["report_drift"]
        took = _asked(facts["prometheus"], 'airflow_dagrun_duration_success_sum{dag_id="score_portfolio"}')
        assert 0.1 < float(took[0]["value"][1]) < 600  # seconds

        second = subprocess.run([PROGRAM, "demo"], env=environment, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "a demo runs already" in second.stderr
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(60)
    assert demo.returncode == 0, log.read_text()
    assert _processes_of(home) == []

    again = _start(environment, log, "--once")
    same = _facts(again, log)
    assert again.wait(60) == 0, log.read_text()
    assert (same["rows"], same["logins"]) == (facts["rows"], facts["logins"])
    # The first night's drift asks for a training, which may have ended meanwhile.
    assert same["version"] in (facts["version"], facts["version"] + 1)
    assert "Simulated" not in log.read_text()
    assert _processes_of(home) == []


@pytest.mark.fault("port taken")
@pytest.mark.parametrize(
    "variable",
    ["MOTORISK_AIRFLOW_PORT", "MOTORISK_QUOTE_PORT", "MOTORISK_PROMETHEUS_PORT", "MOTORISK_DRIFT_UI_PORT"],
)
def test_a_taken_port_is_named_with_the_variable_that_changes_it(
    environment: dict[str, str], home: Path, variable: str
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = subprocess.run(
            [PROGRAM, "demo"], env={**environment, variable: port}, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert variable in done.stderr
    assert _processes_of(home) == []


@pytest.mark.fault("killed while starting")
def test_stopping_while_it_starts_leaves_nothing_behind(
    environment: dict[str, str], home: Path, tmp_path: Path
) -> None:
    log = tmp_path / "demo.log"
    demo = _start(environment, log)
    deadline = time.monotonic() + 120
    while "Airflow's tables" not in log.read_text() and demo.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(2)
    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 0, log.read_text()
    assert _processes_of(home) == []


@pytest.mark.timeout(900)
def test_a_person_who_did_not_train_approves_in_airflow(
    environment: dict[str, str], home: Path, tmp_path: Path
) -> None:
    log = tmp_path / "demo.log"
    demo = _start({**environment, "MOTORISK_APPROVAL": "human"}, log, "--once")
    airflow = httpx.Client(base_url=f"http://127.0.0.1:{environment['MOTORISK_AIRFLOW_PORT']}", timeout=30)
    try:
        pending = _required_action(airflow, home, demo)
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
        run = pending["task_instance"]["dag_run_id"]
        _approve(airflow, run, comment="as dear as it should be")
        facts = _facts(demo, log)
        assert demo.wait(60) == 0, log.read_text()
    finally:
        demo.terminate()
        demo.wait(60)
    shown = subprocess.run(
        [PROGRAM, "models", "show", str(facts["version"]), "--json"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    subprocess.run([PROGRAM, "db", "stop"], env=environment, check=True, capture_output=True)
    version = json.loads(shown.stdout)
    assert (version["state"], version["trained_by"]) == ("approved", "airflow")
    assert version["approved_by"].lower() == "uma"
    assert "as dear as it should be" in version["card"]


def _required_action(airflow: httpx.Client, home: Path, demo: subprocess.Popen[str]) -> dict[str, Any]:
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
    raise AssertionError("nothing was offered for approval")


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
