"""The page about the ML Test Score names what exists, and adds up."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.ml_test_score import PAGE, PROJECT, SECTIONS, named, read_page


@lru_cache
def functions(path: str) -> set[str]:
    tree = ast.parse((PROJECT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_all_28_tests_of_the_rubric_are_there_once() -> None:
    found = [(rubric_test.section, rubric_test.number) for rubric_test in read_page()]
    assert found == [(section, number) for section in SECTIONS for number in range(1, 8)]


def test_the_score_is_the_lowest_section_s_sum() -> None:
    sums = [sum(one.score for one in read_page() if one.section == section) for section in SECTIONS]
    (row,) = re.findall(
        r"^\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| \*\*([\d.]+)\*\* \|$", PAGE.read_text(), re.M
    )
    assert [float(figure) for figure in row] == [*sums, min(sums)]


def test_what_counts_as_automated_is_tested_on_every_change_and_runs_in_production() -> None:
    for rubric_test in read_page():
        if rubric_test.score == 1:
            assert rubric_test.tests, rubric_test
            assert rubric_test.runs, rubric_test


def test_every_named_test_exists() -> None:
    for rubric_test in read_page():
        for test in rubric_test.tests:
            path, name = test.split("::")
            assert name in functions(path), test


def test_every_named_alert_exists() -> None:
    rules = (PROJECT / "observability" / "prometheus" / "rules").glob("*.yml")
    groups = [group for file in rules for group in yaml.safe_load(file.read_text())["groups"]]
    assert named("alert") <= {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


def test_every_named_gate_exists() -> None:
    """Gates are made by `at_least` and `at_most`, whose first argument is the name."""
    found = set()
    for path in ("include/motorisk/modelling/gates.py", "include/motorisk/pipelines/training/register.py"):
        for node in ast.walk(ast.parse((PROJECT / path).read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"at_least", "at_most"}
            ):
                found |= {argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)}
    assert named("gate") <= found


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A small suite with a page of its own that names `test_a` and `test_b`, run with two workers."""
    (tmp_path / "tests").mkdir()
    page = tmp_path / "page.md"
    page.write_text("### Data 1. Anything (1)\n`tests/test_a.py::test_a`, `tests/test_b.py::test_b`\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(PROJECT)!r})\n"
        "from pathlib import Path\nfrom tests import ml_test_score\n"
        f"ml_test_score.PAGE, ml_test_score.PROJECT = Path({str(page)!r}), Path({str(tmp_path)!r})\n"
        "def pytest_configure(config):\n    config.pluginmanager.register(ml_test_score.RanAll())\n"
    )
    (tmp_path / "tests" / "test_a.py").write_text(
        "import pytest\n@pytest.mark.parametrize('x', [1, 2])\ndef test_a(x): pass\n"
    )

    def run(b: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "tests" / "test_b.py").write_text(f"import pytest\n{b}\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", "2", "--dist", "loadfile", *arguments]
        # Of the plugins that are installed it needs the one: others take seconds to import, in each of three processes.
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p no:cacheprovider"}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_a_whole_run_in_which_all_named_tests_passed_is_green(suite: Callable[..., Any]) -> None:
    done = suite("def test_b(): pass")
    assert done.returncode == 0, done.stdout
    assert "ML Test Score" not in done.stdout


@pytest.mark.parametrize("b", ["@pytest.mark.skip\ndef test_b(): pass", "def test_other(): pass"])
def test_a_whole_run_fails_where_a_named_test_was_skipped_or_is_not_there(suite: Callable[..., Any], b: str) -> None:
    done = suite(b)
    assert done.returncode == 1, done.stdout
    assert "tests/test_b.py::test_b" in done.stdout
    assert "tests/test_a.py::test_a" not in done.stdout


def test_who_runs_a_part_of_the_suite_is_not_judged(suite: Callable[..., Any]) -> None:
    for part in (["-k", "test_a"], ["tests/test_a.py"]):
        assert suite("@pytest.mark.skip\ndef test_b(): pass", *part).returncode == 0
