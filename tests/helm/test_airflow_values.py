"""The values for Airflow's own chart fit what they name: our Secrets, our image, Airflow's options and programs.

The chart itself is not here; its keys were compared with its documentation.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from motorisk.settings import PREFIX, Settings

PROJECT = Path(__file__).parents[2]
ASK_AIRFLOW = """
import importlib, inspect, json, sys
from airflow.cli.cli_parser import get_parser
from airflow.configuration import retrieve_configuration_description
from airflow.dag_processing.bundles.base import BaseDagBundle
module, _, name = sys.argv[1].rpartition(".")
bundle = getattr(importlib.import_module(module), name)
described = retrieve_configuration_description(include_providers=False)
asked = [get_parser().parse_args(arguments) for arguments in json.loads(sys.argv[2])]
print(json.dumps({
    "bundle": [*inspect.signature(bundle).parameters, *inspect.signature(BaseDagBundle).parameters],
    "options": {section: list(content["options"]) for section, content in described.items()},
    "asked": [[arguments.job_type, arguments.local] for arguments in asked],
}))
"""
BY_PROVIDERS = {"kubernetes_executor"}
"""Sections that Airflow knows only where the provider is installed."""


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROJECT / "helm" / "airflow-values.yaml").read_text())
    return found


def _probes(values: dict[str, Any]) -> list[list[str]]:
    """The arguments with which the probes call `airflow`, in the order scheduler, triggerer, DAG processor."""
    scheduler = [values["scheduler"]["livenessProbe"], values["scheduler"]["startupProbe"]]
    asked = [*scheduler, values["triggerer"]["livenessProbe"], values["dagProcessor"]["livenessProbe"]]
    commands = []
    for probe in asked:
        shell, option, command = probe["command"]
        assert (shell, option, command.split()[:2]) == ("sh", "-c", ["exec", "airflow"])
        commands.append(command.split()[2:])
    return commands


@pytest.fixture(scope="module")
def airflow_tells(values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow knows; asked in a process of its own, since it reads its configuration when it is imported."""
    (bundle,) = values["dagProcessor"]["dagBundleConfigList"]
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow"))}
    command = [sys.executable, "-c", ASK_AIRFLOW, bundle["classpath"], json.dumps(_probes(values))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_the_image_is_ours_and_has_the_airflow_that_is_locked(values: dict[str, Any]) -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert values["images"]["airflow"]["repository"] == "motorisk-airflow"
    assert values["images"]["airflow"]["tag"] == values["defaultAirflowTag"] == version
    locked = re.search(r"^apache-airflow==(\S+)", (PROJECT / "requirements" / "airflow.txt").read_text(), re.M)
    assert locked
    assert values["airflowVersion"] == locked[1]


def test_secrets_and_claim_are_those_of_our_chart(values: dict[str, Any], render: Any, named: Any) -> None:
    manifests = render()
    keys = {
        values["fernetKeySecretName"]: "fernet-key",
        values["apiSecretKeySecretName"]: "api-secret-key",
        values["jwtSecretName"]: "jwt-secret",
        values["data"]["metadataSecretName"]: "connection",
    } | {entry["secretName"]: entry["secretKey"] for entry in values["secret"]}
    for name, key in keys.items():
        assert key in named(manifests, "Secret", name)["stringData"]
    (volume,) = values["volumes"]
    named(manifests, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
    (mount,) = values["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert {"name": "MOTORISK_HOME", "value": mount["mountPath"]} in values["env"]


def test_settings_are_known(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in values["env"]:
        monkeypatch.setenv(entry["name"], entry["value"])
    for entry in values["secret"]:
        monkeypatch.setenv(entry["envName"], "postgresql://someone@somewhere/motorisk")
    assert all(entry["name"].startswith(PREFIX) for entry in values["env"])
    assert Settings.from_environment().approval == "human"


def test_the_bundle_is_one_that_airflow_can_make(values: dict[str, Any], airflow_tells: dict[str, Any]) -> None:
    (bundle,) = values["dagProcessor"]["dagBundleConfigList"]
    assert bundle["kwargs"].keys() <= set(airflow_tells["bundle"])
    assert "repo_url" not in bundle["kwargs"], "the connection's credentials would go unused"
    given = {entry["name"] for entry in yaml.safe_load(values["extraEnv"])}
    for connection in (bundle["kwargs"]["git_conn_id"], values["config"]["logging"]["remote_log_conn_id"]):
        assert f"AIRFLOW_CONN_{connection.upper()}" in given
    assert (PROJECT / bundle["kwargs"]["subdir"] / "train_model.py").exists()


def test_airflow_knows_every_option(values: dict[str, Any], airflow_tells: dict[str, Any]) -> None:
    for section, options in values["config"].items():
        if section not in BY_PROVIDERS:
            assert options.keys() <= set(airflow_tells["options"].get(section, [])), section


def test_probes_ask_what_airflow_can_tell(values: dict[str, Any], airflow_tells: dict[str, Any]) -> None:
    assert airflow_tells["asked"] == [
        ["SchedulerJob", True],
        ["SchedulerJob", True],
        ["TriggererJob", True],
        ["DagProcessorJob", True],
    ]


def test_what_only_the_official_image_has_is_not_used(values: dict[str, Any]) -> None:
    for part in ("scheduler", "triggerer", "dagProcessor", "workers"):
        assert values[part]["logGroomerSidecar"] == {"enabled": False}


def test_metrics_are_named_as_everywhere_else(values: dict[str, Any]) -> None:
    mapping = yaml.safe_load((PROJECT / "observability" / "statsd" / "mapping.yml").read_text())
    assert values["statsd"]["overrideMappings"] == mapping["mappings"]


def test_everything_of_airflow_is_bounded(values: dict[str, Any]) -> None:
    for part in ("apiServer", "scheduler", "triggerer", "dagProcessor", "workers", "statsd"):
        for bound in ("requests", "limits"):
            assert {"cpu", "memory"} <= values[part]["resources"][bound].keys(), part
    pod = values["securityContexts"]["pod"]
    assert (pod["runAsNonRoot"], pod["runAsUser"], pod["seccompProfile"]) == (
        True,
        values["uid"],
        {"type": "RuntimeDefault"},
    )
    assert values["multiNamespaceMode"] is False, "else it would have rights in the whole cluster"
    assert values["createUserJob"]["enabled"] is False, "else there would be an admin whose password is admin"
