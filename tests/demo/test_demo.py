"""`motorisk demo`: the whole platform, started, used and stopped as a person would."""

import json
import re
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.demo.approving import approved_by_a_person
from tests.demo.running import PROGRAM, facts_of, processes_of, start_demo
from tests.demo.secrecy import command_lines, no_secret_is_shown
from tests.demo.statsd import StatsdExporter

from motorisk.ports import free_port

PASSWORD = "Rotkehlchen-2718"
KEY = "mtr_" + "Zaunkoenig".ljust(43, "x")


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


@pytest.mark.fault("killed while starting")
@pytest.mark.timeout(900)
def test_one_command_brings_everything_up_and_takes_everything_down(
    environment: dict[str, str], home: Path, tmp_path: Path, statsd_exporter: Any
) -> None:
    """Stopped while it starts, started again for a night that a person approves, stopped, and gone on with.

    One after the other in one home: to start Airflow is dear. Every setting that takes a secret has one.
    """
    log = tmp_path / "demo.log"
    training = tmp_path / "training.yaml"
    training.write_text("candidates: [rules, gam, trend_gam]\nsearch_trials: 0\n")
    environment |= {
        "MOTORISK_STATSD": statsd_exporter.udp,
        "MOTORISK_TRAINING_CONFIG": str(training),
        "MOTORISK_API_KEY": KEY,
        "MOTORISK_ALERTMANAGER_URL": f"http://night:{PASSWORD}@127.0.0.1:{free_port()}",  # nobody listens
    }
    _stopped_while_it_starts(environment, home, log)

    demo = start_demo(environment | {"MOTORISK_APPROVAL": "human"}, log)
    try:
        approved_by_a_person(environment, home, demo, log)
        facts = facts_of(demo, log)
        for step in ("training and approval", "scoring", "drift"):
            assert step in log.read_text()
        assert facts["accuracy"] > 0.85
        assert facts["rows"] > 10_000
        assert "miles" in facts["drifted"]
        assert Path(facts["report"]).exists()
        _a_quote_is_answered(facts)
        airflow = _operators_airflow(facts)
        # The night's drift has asked for a training, which nobody waits for here.
        assert airflow.patch("/api/v2/dags/train_model", json={"is_paused": True}).is_success
        runs = airflow.get("/api/v2/dags/~/dagRuns").json()["dag_runs"]
        assert {run["dag_id"] for run in runs} >= {"train_model", "approve_model", "score_portfolio", "report_drift"}
        assert "failed" not in {run["state"] for run in runs}
        _drift_reports_are_there_for_reading(facts["drift_reports"])
        _prometheus_knows_what_panels_and_rules_ask_for(facts["prometheus"], airflow, home, statsd_exporter)
        second = subprocess.run([PROGRAM, "demo"], env=environment, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "a demo runs already" in second.stderr
        no_secret_is_shown(home, {PASSWORD, KEY}, {"the demo": log.read_text(), "others": command_lines(demo)})
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(60)
    assert demo.returncode == 0, log.read_text()
    assert processes_of(home) == []

    again = start_demo(environment, log, "--once")
    same = facts_of(again, log)
    assert again.wait(60) == 0, log.read_text()
    assert (same["rows"], same["logins"]) == (facts["rows"], facts["logins"])
    # The first night's drift asks for a training, which may have ended meanwhile.
    assert same["version"] in (facts["version"], facts["version"] + 1)
    assert "Simulated" not in log.read_text()
    assert processes_of(home) == []


def _stopped_while_it_starts(environment: dict[str, str], home: Path, log: Path) -> None:
    demo = start_demo(environment, log)
    deadline = time.monotonic() + 120
    while "Airflow's tables" not in log.read_text() and demo.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(2)
    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 0, log.read_text()
    assert "Simulated 54,000 policies" in log.read_text()
    assert processes_of(home) == []


def _a_quote_is_answered(facts: dict[str, Any]) -> None:
    quoted = subprocess.run(shlex.split(facts["curl"]), check=True, capture_output=True, text=True)
    quote = json.loads(quoted.stdout)
    assert quote["predictor"] == "model"
    assert quote["model_version"] == facts["version"]
    assert httpx.get(facts["quotes_documentation"], follow_redirects=True).is_success


def _operators_airflow(facts: dict[str, Any]) -> httpx.Client:
    login = {"username": "admin", "password": facts["logins"]["admin"]}
    token = httpx.post(f"{facts['airflow']}/auth/token", json=login).json()["access_token"]
    return httpx.Client(base_url=facts["airflow"], headers={"Authorization": f"Bearer {token}"}, timeout=30)


def _drift_reports_are_there_for_reading(url: str) -> None:
    projects = httpx.get(f"{url}/api/projects/").json()
    assert {project["name"] for project in projects} == {"Drift of policies", "Drift of quotes", "Drift of scores"}
    scores = next(project["id"] for project in projects if project["name"] == "Drift of scores")
    assert len(httpx.get(f"{url}/api/projects/{scores}/snapshots").json()) == 1
    assert httpx.delete(f"{url}/api/projects/{scores}").status_code == 403


def _prometheus_knows_what_panels_and_rules_ask_for(
    prometheus: str, airflow: httpx.Client, home: Path, exporter: StatsdExporter
) -> None:
    assert _scraped(prometheus) == {"motorisk-quotes": "1", "prometheus": "1"}
    targets = home / "prometheus/configuration/targets/airflow.yml"
    targets.write_text(json.dumps([{"targets": [exporter.http]}]))
    impossible = {"logical_date": None, "conf": {"as_of": "1990-01-01"}}
    assert airflow.post("/api/v2/dags/report_drift/dagRuns", json=impossible).is_success
    wanted = _asks_of_airflow()
    assert len(wanted) > 5
    deadline = time.monotonic() + 90
    while wanted and time.monotonic() < deadline:
        time.sleep(1)
        wanted = [name for name in wanted if not _asked(prometheus, name)]
    assert wanted == []
    failed = _asked(prometheus, "airflow_dagrun_duration_failed_count")
    assert [sample["metric"]["dag_id"] for sample in failed] == ["report_drift"]
    took = _asked(prometheus, 'airflow_dagrun_duration_success_sum{dag_id="score_portfolio"}')
    assert 0.1 < float(took[0]["value"][1]) < 600  # seconds


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
    assert processes_of(home) == []
