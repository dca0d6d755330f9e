"""The chart is what helm and Kubernetes take, says what is wrong with values, and writes nothing twice."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

PROJECT = Path(__file__).parents[2]
CHART = PROJECT / "helm" / "motorisk"
KUBERNETES = "1.37"
PROMETHEUS_OPERATOR = {"ServiceMonitor", "PrometheusRule"}

Manifest = dict[str, Any]


@pytest.mark.parametrize("values", ["values.yaml", "values-kind.yaml", "ci/production-values.yaml"])
def test_helm_finds_nothing_to_complain_about(helm: Any, values: str) -> None:
    done = helm("lint", "--strict", CHART, "--values", CHART / values)
    assert "0 chart(s) failed" in done.stdout


def test_kubernetes_knows_every_field(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        if manifest["kind"] not in PROMETHEUS_OPERATOR:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_kubernetes_knows_every_field_of_the_database_for_kind() -> None:
    manifests = list(yaml.safe_load_all((PROJECT / "helm" / "kind" / "postgres.yaml").read_text()))
    assert [manifest["kind"] for manifest in manifests] == ["ConfigMap", "Service", "StatefulSet"]
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_schemas_refuse_what_is_no_field() -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"port": 80}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_names_are_unique(manifests: list[Manifest]) -> None:
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("setting", "refusal"),
    [
        ("quotes.replcias=3", "at '/quotes': additional properties 'replcias' not allowed"),
        ("images.webservice.tag=latest", "images.webservice.tag: `latest` names no version"),
        ("images.airflow.digest=abc", "at '/images/airflow/digest'"),
        ("quotes.resources.limits.memory=null", "at '/quotes/resources/limits': missing property 'memory'"),
        ("quotes.ingress.enabled=true", "at '/quotes/ingress/hosts': minItems: got 0, want 1"),
        ("quotes.service.nodePort=80", "at '/quotes/service/nodePort': minimum: got 80, want 30,000"),
        ("quotes.service.nodePort=30080", "quotes.service.nodePort: 30080 is for type NodePort"),
        ("quotes.autoscaling.minReplicas=9", "quotes.autoscaling.minReplicas: 9 are more than maxReplicas, 8"),
        ("quotes.access=somebody", "at '/quotes/access': value must be one of 'keys', 'open'"),
        ("quotes.settings.WORKERS=3", "'WORKERS' does not match pattern '^MOTORISK_[A-Z_]+$'"),
        ("quotes.containerPort=80", "at '/quotes/containerPort': minimum: got 80, want 1,024"),
        ("quotes.adminPort=8080", "quotes.adminPort: 8080 is containerPort as well"),
        ("database.host=", "database.host is missing"),
        ("monitor.replicas=0", "at '/monitor/replicas': minimum: got 0, want 1"),
    ],
)
def test_wrong_values_are_refused_by_name(helm: Any, setting: str, refusal: str) -> None:
    done = helm("template", "motorisk", CHART, "--set", setting, check=False)
    assert done.returncode != 0
    assert refusal in done.stderr


def test_the_schema_lets_nothing_else_through() -> None:
    """Else a typing mistake would pass."""

    def closed(schema: dict[str, Any], where: str) -> None:
        for name, part in schema.get("properties", {}).items():
            if part.get("type") == "object" and "properties" in part:
                assert part.get("additionalProperties") is False, f"{where}.{name}"
                closed(part, f"{where}.{name}")

    closed(json.loads((CHART / "values.schema.json").read_text()), "values")


def test_the_readme_tells_of_every_value() -> None:
    program = PROJECT / "scripts" / "chart_readme.py"
    done = subprocess.run([sys.executable, program, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_has_the_version_of_the_library() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == project["version"]


def test_prometheus_gets_the_rules_that_are_tested(render: Any, named: Any) -> None:
    rule = named(render("ci/production-values.yaml"), "PrometheusRule", "motorisk")
    paths = sorted((PROJECT / "observability" / "prometheus" / "rules").glob("*.yml"))
    expected = [group for path in paths for group in yaml.safe_load(path.read_text())["groups"]]
    assert rule["spec"]["groups"] == expected


def test_prometheus_finds_the_quote_service_under_the_job_that_the_rules_name(render: Any, named: Any) -> None:
    manifests = render("ci/production-values.yaml")
    monitor = named(manifests, "ServiceMonitor", "motorisk-quotes")["spec"]
    service = named(manifests, "Service", "motorisk-quotes-admin")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    others = [each for each in manifests if each["kind"] == "Service" and each is not service]
    assert not any(
        monitor["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items() for each in others
    ), "only the admin port is read"
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    configured = yaml.safe_load((PROJECT / "observability" / "prometheus" / "prometheus.yml").read_text())
    (job,) = [job for job in configured["scrape_configs"] if job["job_name"] == "motorisk-quotes"]
    assert endpoint["path"] == job["metrics_path"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": job["job_name"]}]


def test_grafana_gets_the_dashboards(manifests: list[Manifest], named: Any) -> None:
    for path in sorted((PROJECT / "observability" / "grafana" / "dashboards").glob("*.json")):
        configured = named(manifests, "ConfigMap", f"motorisk-dashboard-{path.stem}")
        assert configured["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(configured["data"][path.name]) == json.loads(path.read_text())


def test_a_packed_chart_is_complete(helm: Any, named: Any, tmp_path: Path) -> None:
    """Links lead out of the chart's folder: what is in the package has to be the files themselves."""
    helm("package", CHART, "--destination", tmp_path)
    (package,) = tmp_path.glob("*.tgz")
    done = helm("template", "motorisk", package, "--set", "monitoring.prometheusRule.enabled=true")
    made = [document for document in yaml.safe_load_all(done.stdout) if document]
    assert named(made, "PrometheusRule", "motorisk")["spec"]["groups"]
    assert named(made, "ConfigMap", "motorisk-dashboard-quotes")["data"]["quotes.json"]
