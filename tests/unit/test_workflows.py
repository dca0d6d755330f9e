"""The pipeline of every push, as far as it can be read without a runner."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / ".gitea" / "workflows"
PINNED = re.compile(r"^[\w.-]+/[\w.-]+@(v\d[\w.]*|[0-9a-f]{40})$")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (PROJECT / "Makefile").read_text(), re.MULTILINE))


def _jobs(path: Path) -> dict[str, dict[str, Any]]:
    workflow = yaml.safe_load(path.read_text())
    assert set(workflow) - {True} == {"name", "permissions", "concurrency", "jobs"}  # YAML reads the key `on` as true
    assert set(workflow[True]) == {"push", "pull_request"}
    return dict(workflow["jobs"])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_workflow_is_bounded_pinned_and_runs_what_there_is(path: Path) -> None:
    for name, job in _jobs(path).items():
        assert set(job) <= {"needs", "runs-on", "timeout-minutes", "strategy", "steps"}, name
        assert 0 < job["timeout-minutes"] <= 60
        assert set(job.get("needs", [])) <= set(_jobs(path))
        for step in job["steps"]:
            assert set(step) <= {"uses", "with", "run", "if", "name"}
            assert ("uses" in step) != ("run" in step)
            if "uses" in step:
                assert PINNED.match(step["uses"]), step["uses"]
            for target in re.findall(r"^make ([\w-]+)", step.get("run", ""), re.MULTILINE):
                assert target in TARGETS, f"make {target}"


def test_a_push_is_linted_tested_and_built_in_this_order() -> None:
    jobs = _jobs(FOLDER / "ci.yaml")
    runs = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert runs["lint"] == ["make lint", "make audit"]
    assert runs["test"] == ["make test"]
    assert runs["images"] == ["make images"]
    assert any(command.startswith("helm lint --strict") for command in runs["helm"])
    assert set(jobs["images"]["needs"]) == set(jobs) - {"images"}


def test_a_push_has_to_pass_whatever_a_change_has_to_pass_before_it_lands() -> None:
    wanted = re.findall(r"^make .+$", (PROJECT / ".ci" / "run").read_text(), re.MULTILINE)
    jobs = _jobs(FOLDER / "ci.yaml").values()
    assert len(wanted) > 3
    assert set(wanted) <= {step.get("run") for job in jobs for step in job["steps"]}


def test_every_python_that_the_project_allows_at_its_ends_is_tested() -> None:
    tested = _jobs(FOLDER / "ci.yaml")["test"]["strategy"]["matrix"]["python"]
    allowed = re.search(r'requires-python = ">=(3\.\d+),<3\.(\d+)"', (PROJECT / "pyproject.toml").read_text())
    assert allowed is not None
    assert tested == [allowed[1], f"3.{int(allowed[2]) - 1}"]
