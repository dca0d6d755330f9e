"""Rules, routes and dashboards: checked by the programs that read them, and against each other."""

import fnmatch
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "observability"
RULES = sorted((FOLDER / "prometheus" / "rules").glob("*.yml"))
RULE_TESTS = sorted((FOLDER / "prometheus" / "tests").glob("*.yml"))
DASHBOARDS = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))


def _run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    found = shutil.which(program)
    assert found, f"{program}: scripts/install-system-parts.sh installs it"
    return subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False)


def _alerts() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    done = _run("promtool", "check", "config", FOLDER / "prometheus" / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rule files found" in done.stdout


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_rules_fire_and_end_when_they_should(path: Path) -> None:
    done = _run("promtool", "test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_firing_in_a_test() -> None:
    told = "".join(path.read_text() for path in RULE_TESTS)
    for rule in _alerts():
        assert re.search(rf'alertname: {rule["alert"]}\b|alertname="{rule["alert"]}"', told), rule["alert"]


def test_every_alert_says_what_to_do() -> None:
    headings = re.findall(r"^## (.+)$", (FOLDER / "runbook.md").read_text(), re.M)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    for rule in _alerts():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, rule["alert"]
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (file, anchor in anchors) == ("observability/runbook.md", True), rule["alert"]


def test_amtool_accepts_the_routes_and_they_lead_to_who_can_help() -> None:
    configuration = FOLDER / "alertmanager" / "alertmanager.yml"
    checked = _run("amtool", "check-config", configuration)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    expected = {
        ("severity=page", "area=quotes"): "on-call",
        ("severity=ticket", "area=quotes"): "operators",
        ("severity=ticket", "area=nights"): "operators",
        ("severity=ticket", "area=drift"): "analysts",
    }
    for labels, receiver in expected.items():
        routed = _run("amtool", "config", "routes", "test", f"--config.file={configuration}", *labels)
        assert routed.stdout.strip() == receiver, labels


def test_inhibitions_name_alerts_that_exist() -> None:
    known = {rule["alert"] for rule in _alerts()} | {"DagFailed"}
    rules = yaml.safe_load((FOLDER / "alertmanager" / "alertmanager.yml").read_text())["inhibit_rules"]
    matchers = [matcher for rule in rules for kind in ("source", "target") for matcher in rule[f"{kind}_matchers"]]
    named = [name for matcher in matchers if "alertname" in matcher for name in matcher.split('"')[1].split("|")]
    assert len(named) > 10
    assert set(named) <= known


def test_the_dashboards_are_what_their_source_makes() -> None:
    command = [sys.executable, "-m", "observability.grafana.build", "--check"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_workshops_link_leads_to_the_drift_dashboard() -> None:
    boards = {board["uid"]: board for board in (json.loads(path.read_text()) for path in DASHBOARDS)}
    assert set(boards) == {"U54hsxv7k", "motorisk-quotes", "motorisk-nights"}
    slug = re.sub("[^a-z0-9]+", "-", boards["U54hsxv7k"]["title"].lower())
    assert f"/d/U54hsxv7k/{slug}" == "/d/U54hsxv7k/evidently-data-drift-dashboard"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_explain_themselves_and_do_not_overlap(path: Path) -> None:
    board = json.loads(path.read_text())
    source = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert len(panel["description"]) > 20, panel["title"]
            assert panel["datasource"]["uid"] == source["uid"]
            assert panel["fieldConfig"]["defaults"]["unit"]


def test_airflows_metrics_that_we_ask_for_are_mapped_from_names_that_airflow_sends() -> None:
    package = importlib.util.find_spec("airflow")  # importing it would read its configuration before other tests set it
    assert package is not None
    assert package.origin is not None
    template = Path(package.origin).parent / "_shared/observability/metrics/metrics_template.yaml"
    sent = {
        "airflow."
        + re.sub(r"\{[a-z_]+\}", "x", metric["legacy_name"] if metric["legacy_name"] != "-" else metric["name"])
        for metric in yaml.safe_load(template.read_text())["metrics"]
    } | {"airflow.executor.running_tasks", "airflow.executor.queued_tasks"}  # of the one executor; Airflow sends both
    mappings = yaml.safe_load((FOLDER / "statsd" / "mapping.yml").read_text())["mappings"]
    named = {mapping["name"]: mapping["match"] for mapping in mappings if mapping.get("action") != "drop"}
    for name, match in named.items():
        assert fnmatch.filter(sent, match), name
    asked = "".join(path.read_text() for path in (*RULES, *DASHBOARDS))
    wanted = {re.sub("_(count|sum)$", "", name) for name in re.findall(r"\bairflow_[a-z_]+", asked)}
    assert len(wanted) > 4
    assert wanted <= set(named)
