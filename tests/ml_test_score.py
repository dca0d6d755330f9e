"""`docs/ml-test-score.md`, read; and, at the end of a run of the whole suite, whether what it names has passed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "ml-test-score.md"
SECTIONS = ("Data", "Model", "Infrastructure", "Monitoring")

_HEADING = re.compile(r"^### (\w+) (\d)\. .+ \((1|0\.5|0)\)$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/.]+\.py::\w+)`")
_RUNS = re.compile(r"\b(task|gate|alert)\s+`([^`]+)`")


@dataclass(frozen=True)
class RubricTest:
    """One of the rubric's 28, with what stands for it."""

    section: str
    number: int
    score: float
    tests: tuple[str, ...]
    """Test functions: `path::name`."""
    runs: tuple[tuple[str, str], ...]
    """What runs in production: kind and name."""


def read_page() -> list[RubricTest]:
    """All that the page tells of."""
    text = PAGE.read_text()
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return [
        RubricTest(
            heading[1],
            int(heading[2]),
            float(heading[3]),
            tuple(_TEST.findall(text, heading.end(), end)),
            tuple(_RUNS.findall(text, heading.end(), end)),
        )
        for heading, end in zip(headings, ends, strict=True)
    ]


def named(kind: str) -> set[str]:
    """Names of a kind of what runs: task, gate or alert."""
    return {name for rubric_test in read_page() for found, name in rubric_test.runs if found == kind}


class RanAll:
    """Plugin: a run of the whole suite fails where a test that the page names was skipped, left out or failed.

    With xdist the reports of all workers arrive in the process that started them, which is where this looks.
    """

    def __init__(self) -> None:
        self.missing: list[str] = []
        self._passed: set[str] = set()
        self._not_passed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        function = report.nodeid.split("[", 1)[0]
        if not report.passed:
            self._not_passed.add(function)
        elif report.when == "call":
            self._passed.add(function)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput") or not ran_everything(session.config):
            return
        self.missing = sorted(set(self._wanted()) - (self._passed - self._not_passed))
        if self.missing and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @staticmethod
    def _wanted() -> Iterator[str]:
        return (test for rubric_test in read_page() for test in rubric_test.tests)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.missing:
            terminalreporter.section("ML Test Score", red=True)
            terminalreporter.line(f"{PAGE.relative_to(PROJECT)} names tests that have not passed in this run:")
            for test in self.missing:
                terminalreporter.line(f"  {test}")


def ran_everything(config: pytest.Config) -> bool:
    """Whether the run was asked for the whole suite, and went through it."""
    option = config.option
    chosen = [option.keyword, option.markexpr, option.collectonly, option.deselect, option.ignore, option.ignore_glob]
    stopped_early = [option.maxfail, getattr(option, "lf", False), getattr(option, "stepwise", False)]
    return not any([*chosen, *stopped_early]) and config.args == config.getini("testpaths")
