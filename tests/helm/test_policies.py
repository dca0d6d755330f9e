"""What a careful cluster asks of everything that runs in it: with whatever values, of every pod."""

import re
import subprocess
import sys
from typing import Any

import pytest

Manifest = dict[str, Any]
RUN_TO_COMPLETION = {"Job", "Pod"}


@pytest.fixture
def all_containers(manifests: list[Manifest], containers: Any) -> list[Any]:
    found: list[Any] = containers(manifests)
    assert {container.spec["name"] for container in found} >= {"quotes", "monitor", "drift-ui", "migrations", "test"}
    return found


def test_nothing_runs_as_root_or_gains_rights(all_containers: list[Any]) -> None:
    for container in all_containers:
        pod, own = container.pod["spec"]["securityContext"], container.spec["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["runAsUser"] > 0
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert not {"privileged", "procMount", "runAsUser"} & own.keys()


def test_nothing_of_the_node_is_shared(all_containers: list[Any]) -> None:
    for container in all_containers:
        spec = container.pod["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert not any("hostPath" in volume for volume in spec.get("volumes", []))
        assert not any("hostPort" in port for port in container.spec.get("ports", []))


def test_root_file_systems_are_read_only_and_what_is_written_is_bounded(all_containers: list[Any]) -> None:
    for container in all_containers:
        assert container.spec["securityContext"]["readOnlyRootFilesystem"] is True
        volumes = {volume["name"]: volume for volume in container.pod["spec"].get("volumes", [])}
        claims = container.manifest["spec"].get("volumeClaimTemplates", [])
        names = volumes.keys() | {claim["metadata"]["name"] for claim in claims}
        assert {mount["name"] for mount in container.spec.get("volumeMounts", [])} <= names
        for volume in volumes.values():
            if "emptyDir" in volume:
                assert volume["emptyDir"]["sizeLimit"]


def test_every_container_has_requests_and_limits(all_containers: list[Any]) -> None:
    for container in all_containers:
        for bound in ("requests", "limits"):
            assert {"cpu", "memory"} <= container.spec["resources"][bound].keys(), container.spec["name"]


def test_what_runs_on_is_watched(all_containers: list[Any]) -> None:
    for container in all_containers:
        if container.manifest["kind"] in RUN_TO_COMPLETION:
            continue
        assert {"startupProbe", "livenessProbe"} <= container.spec.keys(), container.spec["name"]
        ports = {port["name"] for port in container.spec.get("ports", [])}
        assert ("readinessProbe" in container.spec) == bool(ports), "who is asked says when it can answer"
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = container.spec.get(name, {}).get("httpGet")
            assert asked is None or asked["port"] in ports


def test_images_are_named_by_version(all_containers: list[Any]) -> None:
    for container in all_containers:
        image = container.spec["image"]
        assert re.search(r"(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$", image), image
        assert container.spec["imagePullPolicy"]


def test_nobody_gets_a_token_or_rights_in_the_cluster(manifests: list[Manifest], all_containers: list[Any]) -> None:
    accounts = {each["metadata"]["name"]: each for each in manifests if each["kind"] == "ServiceAccount"}
    for account in accounts.values():
        assert account["automountServiceAccountToken"] is False
    for container in all_containers:
        assert container.pod["spec"]["automountServiceAccountToken"] is False
        assert container.pod["spec"]["serviceAccountName"] in accounts
    assert not any("Role" in each["kind"] for each in manifests), "nothing here talks to Kubernetes"


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    fits = selector.get("matchLabels", {}).items() <= labels.items()
    return fits and all(
        each["operator"] == "In" and labels.get(each["key"]) in each["values"]
        for each in selector.get("matchExpressions", [])
    )


def test_every_pod_reaches_and_is_reached_by_only_what_a_policy_names(
    manifests: list[Manifest], all_containers: list[Any]
) -> None:
    policies = [each for each in manifests if each["kind"] == "NetworkPolicy"]
    for container in all_containers:
        labels = container.pod["metadata"]["labels"]
        mine = [each["spec"] for each in policies if _selects(each["spec"]["podSelector"], labels)]
        assert {kind for policy in mine for kind in policy["policyTypes"]} == {"Ingress", "Egress"}
        ports = {port["name"] for port in container.spec.get("ports", [])}
        rules = [rule for policy in mine for rule in policy.get("ingress", [])]
        assert all(port["port"] in ports for rule in rules for port in rule["ports"]), "no more than the ports it has"
        if not ports:
            assert rules == []
        reached = {
            port["port"] for policy in mine for rule in policy.get("egress", []) for port in rule.get("ports", [])
        }
        asks_the_database = "MOTORISK_DATABASE_URL" in container.environment
        assert (5432 in reached) == asks_the_database, container.spec["name"]


def test_metrics_are_not_reached_by_whoever_asks_for_quotes(manifests: list[Manifest], named: Any) -> None:
    policy = named(manifests, "NetworkPolicy", "motorisk-quotes")["spec"]
    admin = [rule for rule in policy["ingress"] if {"protocol": "TCP", "port": "admin"} in rule["ports"]]
    assert [len(rule["ports"]) for rule in admin] == [1]
    assert admin[0]["from"]
    service = named(manifests, "Service", "motorisk-quotes")["spec"]
    assert [port["targetPort"] for port in service["ports"]] == ["http"]
    assert named(manifests, "Service", "motorisk-quotes-admin")["spec"]["type"] == "ClusterIP"


def test_services_and_budgets_select_pods_that_exist(manifests: list[Manifest], all_containers: list[Any]) -> None:
    pods = [container.pod["metadata"]["labels"] for container in all_containers]
    for manifest in manifests:
        if manifest["kind"] == "Service":
            chosen = manifest["spec"]["selector"]
        elif manifest["kind"] == "PodDisruptionBudget":
            chosen = manifest["spec"]["selector"]["matchLabels"]
        else:
            continue
        assert sum(chosen.items() <= labels.items() for labels in pods) == 1, manifest["metadata"]["name"]


def test_secrets_are_referred_to_and_never_written_into_pods(
    manifests: list[Manifest], all_containers: list[Any]
) -> None:
    made = {each["metadata"]["name"]: each["stringData"] for each in manifests if each["kind"] == "Secret"}
    for container in all_containers:
        for name, value in container.environment.items():
            if isinstance(value, dict):
                reference = value["secretKeyRef"]
                assert reference["name"] not in made or reference["key"] in made[reference["name"]], name
            else:
                assert "postgresql://" not in str(value)
                assert not re.search("PASSWORD$|SECRET|_KEY$|TOKEN", name)


def test_a_pod_has_time_to_carry_its_journal_over_before_it_is_killed(all_containers: list[Any]) -> None:
    # In a process of its own: gunicorn's configuration sets up the process that reads it.
    program = "from motorisk_web.gunicorn_conf import graceful_timeout; print(graceful_timeout)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    graceful_timeout = int(told.stdout)
    (quotes,) = [container for container in all_containers if container.spec["name"] == "quotes"]
    command = quotes.spec["lifecycle"]["preStop"]["exec"]["command"]
    waits = sum(int(argument.partition("=")[2]) for argument in command if argument.startswith("--"))
    assert waits > 0
    assert quotes.pod["spec"]["terminationGracePeriodSeconds"] >= waits + graceful_timeout + 5
    if quotes.manifest["kind"] == "Deployment":
        assert quotes.manifest["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    else:
        policy = quotes.manifest["spec"]["persistentVolumeClaimRetentionPolicy"]
        assert policy == {"whenDeleted": "Retain", "whenScaled": "Retain"}
