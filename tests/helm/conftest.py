"""The chart through a real helm, with the values of three kinds of cluster."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
CHART = PROJECT / "helm" / "motorisk"
VALUES = ("values.yaml", "values-kind.yaml", "ci/production-values.yaml")
KINDS_WITH_PODS = ("Deployment", "StatefulSet", "Job", "Pod")

Manifest = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., list[Manifest]]


class Container(NamedTuple):
    """A container with the manifest and the pod that it is in."""

    manifest: Manifest
    pod: Manifest
    spec: Manifest

    @property
    def environment(self) -> dict[str, Any]:
        """Its variables: values, or where they come from."""
        return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in self.spec.get("env", [])}


@pytest.fixture(scope="session")
def containers() -> Callable[[list[Manifest]], list[Container]]:
    """All containers of all pods that manifests make."""

    def find(manifests: list[Manifest]) -> list[Container]:
        found = []
        for manifest in manifests:
            if manifest["kind"] in KINDS_WITH_PODS:
                pod = manifest if manifest["kind"] == "Pod" else manifest["spec"]["template"]
                specs = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
                found += [Container(manifest, pod, spec) for spec in specs]
        return found

    return find


@pytest.fixture(scope="session")
def named() -> Callable[[list[Manifest], str, str], Manifest]:
    """The one manifest of a kind and a name."""

    def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
        (found,) = [each for each in manifests if (each["kind"], each["metadata"]["name"]) == (kind, name)]
        return found

    return find


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Run helm; `check=False` where it is to refuse."""
    beside = Path(sys.executable).parent / "helm"
    program = str(beside) if beside.exists() else shutil.which("helm")
    assert program, "helm is missing: scripts/install-helm.sh installs it"

    def run(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def render(helm: Helm) -> Render:
    """The manifests of a release `motorisk`, hooks and test included: `(values_file, *options)`."""

    @cache
    def template(values: str = "values.yaml", *options: str) -> list[Manifest]:
        done = helm("template", "motorisk", CHART, "--namespace", "motorisk", "--values", CHART / values, *options)
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return template


@pytest.fixture(scope="session", params=VALUES)
def manifests(render: Render, request: pytest.FixtureRequest) -> list[Manifest]:
    """The manifests of each kind of cluster."""
    return render(request.param)
