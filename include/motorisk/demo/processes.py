"""Run programs side by side: restart what dies, and leave nothing behind at the end."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from motorisk.errors import ComponentFailed

STOP_SECONDS = 20
MAX_RESTARTS = 5
STABLE_SECONDS = 60
"""A component that ran for so long has recovered: its earlier restarts are forgotten."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclass(slots=True)
class Component:
    """A program that has to run all the time; its output goes to `log`."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0


def _linux_prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _in_child() -> None:
    # Should the supervisor itself be killed, its components end too.
    _linux_prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Starts components, starts them again when they die, and stops them all."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._components: list[Component] = []
        self._tell = tell
        # Become the parent of every descendant whose own parent ends, so that none escapes.
        _linux_prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def start(self, component: Component) -> None:
        """Start a component in a session of its own, so that Ctrl-C reaches only the supervisor."""
        component.log.parent.mkdir(parents=True, exist_ok=True)
        with component.log.open("ab") as log:
            component.process = subprocess.Popen(
                component.command,
                env=dict(component.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_in_child,  # noqa: PLW1509  no threads of ours run yet
            )
        component.started = time.monotonic()
        if component not in self._components:
            self._components.append(component)

    def check(self) -> None:
        """Restart components that died; `ComponentFailed` for one that keeps dying."""
        self._reap()
        for component in self._components:
            if component.process is None or component.process.poll() is None:
                continue
            if time.monotonic() - component.started > STABLE_SECONDS:
                component.restarts = 0
            if component.restarts >= MAX_RESTARTS:
                said = last_words(component.log)
                raise ComponentFailed(f"{component.name} keeps dying: {said} (log: {component.log})")
            component.restarts += 1
            self._tell(f"{component.name} ended with {component.process.returncode}, starting it again")
            # What it leaves behind would hold its port or its database connections.
            _kill_session(component.process.pid)
            self.start(component)

    def stop(self) -> None:
        """Ask every process to end, the last started first, and kill what does not; then nothing is left."""
        for component in reversed(self._components):
            if component.process is not None and component.process.poll() is None:
                component.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for component in self._components:
            if component.process is not None:
                with suppress(subprocess.TimeoutExpired):
                    component.process.wait(max(0.0, deadline - time.monotonic()))
        self._kill_descendants()
        self._components.clear()

    def _kill_descendants(self) -> None:
        """Kill what the components started and did not stop themselves, except the database server."""
        left = [process for process in psutil.Process().children(recursive=True) if not _is_postgres(process)]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(left, timeout=5)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=5)
        self._reap()

    def _reap(self) -> None:
        """Collect adopted processes that have ended; the components themselves are their `Popen`'s to collect."""
        started = {component.process.pid for component in self._components if component.process is not None}
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess, ChildProcessError):
                if child.pid not in started and child.status() == psutil.STATUS_ZOMBIE:
                    os.waitpid(child.pid, os.WNOHANG)


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return bool(process.name().startswith("postgres"))
    except psutil.NoSuchProcess:
        return False


def _kill_session(leader: int) -> None:
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader:
                process.kill()


def last_words(log: Path) -> str:
    """The last line that says something in a log file."""
    with suppress(OSError):
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[-1][-300:]
    return "it said nothing"
