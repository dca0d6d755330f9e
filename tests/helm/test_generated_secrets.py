"""Generated Secrets are made once: helm asks a cluster whether they are there (here as much of one as it asks)."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

CHART = Path(__file__).parents[2] / "helm" / "motorisk"
KINDS = {
    "v1": ["Secret", "ServiceAccount", "ConfigMap", "PersistentVolumeClaim", "Service", "Pod"],
    "apps/v1": ["Deployment"],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "batch/v1": ["Job"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
    "policy/v1": ["PodDisruptionBudget"],
}
"""What the chart makes with its usual values, by API."""


def _discovery() -> dict[str, dict[str, Any]]:
    """What a cluster tells of its version and of the kinds that it knows."""
    groups = []
    told: dict[str, dict[str, Any]] = {
        "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.1"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
    }
    for api, kinds in KINDS.items():
        group, _, version = api.rpartition("/")
        if group:
            names = {"groupVersion": api, "version": version}
            groups.append({"name": group, "versions": [names], "preferredVersion": names})
        plurals = {kind: "networkpolicies" if kind == "NetworkPolicy" else f"{kind.lower()}s" for kind in kinds}
        resources = [
            {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get"]}
            for kind, plural in plurals.items()
        ]
        told[f"/apis/{api}" if group else f"/api/{api}"] = {
            "kind": "APIResourceList",
            "groupVersion": api,
            "resources": resources,
        }
    return {**told, "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}}


DISCOVERY = _discovery()


class Cluster:
    """The API of a cluster that holds nothing but Secrets."""

    def __init__(self, folder: Path) -> None:
        self.secrets: dict[str, Any] = {}
        self.asked: list[str] = []
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                cluster.asked.append(path)
                found = DISCOVERY.get(path) or cluster.secrets.get(
                    path.removeprefix("/api/v1/namespaces/motorisk/secrets/")
                )
                missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
                content = json.dumps(found or missing).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.kubeconfig = folder / "kubeconfig"
        address = f"http://127.0.0.1:{self.server.server_port}"
        configuration = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": address}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": ""}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(configuration))

    def keep(self, secret: dict[str, Any]) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in secret["stringData"].items()}
        kept = {name: part for name, part in secret.items() if name != "stringData"}
        self.secrets[secret["metadata"]["name"]] = {**kept, "data": data}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster without Secrets."""
    made = Cluster(tmp_path)
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def _secrets(helm: Any, cluster: Cluster) -> dict[str, dict[str, Any]]:
    where = ("--namespace", "motorisk", "--dry-run=server", "--kubeconfig", cluster.kubeconfig)
    done = helm("template", "motorisk", CHART, "--disable-openapi-validation", *where)
    made = [document for document in yaml.safe_load_all(done.stdout) if document]
    return {each["metadata"]["name"]: each for each in made if each["kind"] == "Secret"}


def test_an_installation_makes_secrets_and_an_upgrade_leaves_them_alone(helm: Any, cluster: Cluster) -> None:
    first = _secrets(helm, cluster)
    assert first.keys() == {"motorisk-database", "motorisk-airflow"}
    for secret in first.values():
        hook = secret["metadata"]["annotations"]
        assert hook["helm.sh/hook"] == "pre-install,pre-upgrade", "the migrations need it"
        assert int(hook["helm.sh/hook-weight"]) < 0, "and come after it"
        cluster.keep(secret)
    assert _secrets(helm, cluster) == {}
    assert "/api/v1/namespaces/motorisk/secrets/motorisk-database" in cluster.asked
    del cluster.secrets["motorisk-airflow"]
    assert _secrets(helm, cluster).keys() == {"motorisk-airflow"}, "each for itself"


def test_airflow_can_use_the_keys(helm: Any, cluster: Cluster) -> None:
    keys = _secrets(helm, cluster)["motorisk-airflow"]["stringData"]
    fernet = Fernet(keys["fernet-key"])
    assert fernet.decrypt(fernet.encrypt(b"a connection's password")) == b"a connection's password"
    assert len(keys["jwt-secret"]) >= 64
    assert len({keys["jwt-secret"], keys["api-secret-key"], keys["airflow-password"]}) == 3
