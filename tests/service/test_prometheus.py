"""A real Prometheus on a running service: every panel's and every rule's query is executed."""

import json
import math
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import Engine, insert, select

from motorisk.domain.policy import FEATURES
from motorisk.warehouse.tables import (
    alarm,
    drift_metric,
    drift_run,
    drift_window,
    drift_window_metric,
    performance,
    score_run,
)

FOLDER = Path(__file__).parents[2] / "observability"
SECONDS = 45
"""Within which every query has data."""

NIGHT = "2026-10-31"


def _fill(engine: Engine, version: int) -> None:
    """A night, a drift report and a monitored window, with everything that they can tell."""
    month = "2026-10-01"
    scores = {"as_of": NIGHT, "version": version, "tariff": "standard", "rows": 1000, "net_total": 1, "seconds": 2.5}
    scores |= {"by_predictor": {"model": 990, "rules": 10}, "by_class": {}, "run_id": 1, "quarantined": 5}
    scores |= {"partitions": 1, "renewals": 0, "capped": 0, "class_changed": 0}
    found = {"dataset_drift": True, "drifted_share": 0.5, "rows": 1500, "version": version}
    metric = {"method": "wasserstein", "score": 0.2, "threshold": 0.1, "drifted": True, "rows": 1500, "missing": 3}
    metric |= {"more_missing": False, "outliers": 20, "evidence": 500.0, "evidence_threshold": 240.0, "says": "so"}
    window = found | {"size": 1500, "first_quoted_at": NIGHT, "last_quoted_at": NIGHT, "figures": {}}
    window |= {"quote_ids": [uuid.uuid4() for _ in range(1500)]}
    realised = {"version": version, "as_of": NIGHT, "policies": 500, "rows": 400, "by_model": 0}
    realised |= {"month": "2026-02-01", "accuracy": 0.9, "log_loss": 0.3, "estimated_accuracy": 0.92}
    told = {"version": version, "as_of": NIGHT, "since": NIGHT, "last_seen": NIGHT, "reason": "so it is"}
    with engine.begin() as connection:
        connection.execute(insert(score_run), scores | {"published_at": f"{NIGHT}T23:00Z"})
        connection.execute(
            insert(drift_run), found | {"as_of": NIGHT, "month": month, "reference_rows": 1500, "report": "r"}
        )
        connection.execute(insert(drift_window), window | {"measured_at": NIGHT})
        window_id = connection.scalars(select(drift_window.c.window_id)).one()
        for name in FEATURES:
            connection.execute(insert(drift_metric), metric | {"as_of": NIGHT, "feature": name})
            connection.execute(insert(drift_window_metric), metric | {"window_id": window_id, "feature": name})
        connection.execute(insert(performance), realised)
        for cause in ("performance", "drift of age"):
            connection.execute(insert(alarm), told | {"cause": cause})


class Prometheus:
    """Asks a running Prometheus."""

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=address, timeout=10)

    def is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def values(self, expression: str) -> list[float]:
        """What an expression says now; fails with Prometheus' own words where it is wrong."""
        answer = self._client.post("/api/v1/query", data={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        return [float(sample["value"][1]) for sample in answer["data"]["result"]]

    def label_values(self, metric: str, label: str) -> list[str]:
        found = self._client.get(f"/api/v1/label/{label}/values", params={"match[]": metric}).json()["data"]
        return list(found)

    def rules(self) -> list[dict[str, Any]]:
        groups = self._client.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
def observed(
    warehouse: Engine, approve: Any, start_service: Any, tmp_path: Path, free_address: Any
) -> Iterator[tuple[Prometheus, Any]]:
    """A Prometheus with the project's configuration, but for a scrape a second, and the service that it scrapes."""
    version = approve(warehouse)
    _fill(warehouse, version)
    service = start_service()
    service.wait_until_served(version)
    folder = tmp_path / "prometheus"
    shutil.copytree(FOLDER / "prometheus", folder)
    configuration = folder / "prometheus.yml"
    configuration.write_text(re.sub(r"(interval|timeout): 1[05]s", r"\1: 1s", configuration.read_text()))
    (folder / "targets" / "quotes.yml").write_text(json.dumps([{"targets": [service.url.removeprefix("http://")]}]))
    address = free_address()
    (folder / "targets" / "prometheus.yml").write_text(json.dumps([{"targets": [address]}]))
    program = shutil.which("prometheus")
    assert program, "scripts/install-system-parts.sh installs it"
    command = [program, f"--config.file={configuration}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    log = tmp_path / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=output, stderr=output)
    try:
        prometheus = Prometheus(f"http://{address}")
        deadline = time.monotonic() + SECONDS
        while not prometheus.is_ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield prometheus, service
    finally:
        process.terminate()
        process.wait(20)


def _panel_queries() -> dict[str, str]:
    queries = {}
    for path in sorted((FOLDER / "grafana" / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                name = f"{path.stem}: {panel['title']} ({target['refId']})"
                queries[name] = _as_grafana_asks(target["expr"])
    return queries


def _as_grafana_asks(expression: str) -> str:
    asked = expression.replace("$__rate_interval", "1m").replace('"$kind"', '".*"').replace('"$feature"', '".*"')
    assert "$" not in asked, asked
    return asked


def _metrics_of(expression: str) -> set[str]:
    """The metrics that an expression names."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"\b(?:motorisk_\w+|(?:motorisk|job):[\w:]+|up)\b", bare))


def _traffic(service: Any, body: dict[str, Any], key: str) -> None:
    outside = {**body, "driver": {**body["driver"], "age": 100}}
    with service.client() as client:
        for asked in (body, outside, body):
            assert (
                client.post("/v1/quotes", json=asked, headers={"Idempotency-Key": uuid.uuid4().hex}).status_code == 201
            )
        for _ in range(3):
            client.post("/v1/quotes", json=body, headers={"X-API-Key": key})


def test_every_panel_and_every_rule_has_data(
    observed: tuple[Prometheus, Any], warehouse: Engine, give_key: Any, body: dict[str, Any]
) -> None:
    prometheus, service = observed
    key = give_key(warehouse, rate=0.1)
    wanted = {name: query for name, query in _panel_queries().items() if "airflow_" not in query}
    assert len(wanted) > 50
    rules = [rule for path in (FOLDER / "prometheus" / "rules").glob("*.yml") for rule in _rules(path)]
    for rule in rules:
        if "airflow_" not in rule["expr"]:
            wanted |= {metric: metric for metric in _metrics_of(rule["expr"])}
        if "record" in rule:
            wanted[f"recorded: {rule['record']}"] = rule["expr"]
    deadline = time.monotonic() + SECONDS
    empty = dict(wanted)
    while empty and time.monotonic() < deadline:
        _traffic(service, body, key)
        time.sleep(1)  # a scrape
        empty = {name: query for name, query in empty.items() if not _has_data(prometheus, query)}
    assert empty == {}

    for rule in rules:  # also those of Airflow, whose metrics nobody sends here
        prometheus.values(rule["expr"])
    for name, query in _panel_queries().items():
        assert prometheus.values(query) or "airflow_" in query, name
    for rule in prometheus.rules():
        assert (rule["health"], rule.get("lastError", "")) == ("ok", ""), rule["name"]
    for variable, label in (("kind", "kind"), ("feature", "feature")):
        assert prometheus.label_values("motorisk_drift_score", label), variable


def _rules(path: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def _has_data(prometheus: Prometheus, query: str) -> bool:
    return any(not math.isnan(value) for value in prometheus.values(query))
