"""Fixtures of tests that run commands."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from motorisk.cli import main
from motorisk.settings import settings


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Ended]


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run a command in this process: `(environment, *arguments)`; a process of its own takes seconds to start."""

    def run(environment: dict[str, str], *arguments: str) -> Ended:
        capsys.readouterr()
        code: int | str | None = 0
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["motorisk", *arguments])
            for name, value in environment.items():
                patch.setenv(name, value)
            settings.cache_clear()
            try:
                main()
            except SystemExit as ended:
                code = ended.code
        printed = capsys.readouterr()
        return Ended(int(code or 0), printed.out, printed.err)

    yield run
    settings.cache_clear()


@pytest.fixture
def command(in_process: Command) -> Command:
    """The same, under the name that most tests know."""
    return in_process


@pytest.fixture
def motorisk(
    in_process: Command, server_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """Run a command as its users do, on the test's database: `(*arguments, **environment)`."""
    monkeypatch.chdir(tmp_path)
    for name, value in server_environment.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments, **environment: in_process(environment, *arguments)


@pytest.fixture
def as_json(motorisk: Callable[..., Ended]) -> Callable[..., Any]:
    """The same for a command that has to succeed; answers what it printed for programs."""

    def run(*arguments: str, **environment: str) -> Any:
        done = motorisk(*arguments, "--json", **environment)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    return run
