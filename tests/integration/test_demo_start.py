"""What `motorisk demo` looks at and writes before it starts Airflow, and its end when something fails."""

import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from motorisk.demo.airflow import LocalAirflow
from motorisk.ports import free_port
from motorisk.settings import Settings

PORTS = ("AIRFLOW_PORT", "QUOTE_PORT", "DRIFT_UI_PORT", "PROMETHEUS_PORT")
INTERRUPTED = """
import os, signal, sys, threading, time
from rich.console import Console
from motorisk.demo.platform import Demo
from motorisk.demo.processes import Component
from motorisk.errors import ComponentFailed
from motorisk.settings import settings

COMPONENT = '''
import signal, sys, time
def end(*_):
    time.sleep(1.5)
    print("ended", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(60)
'''
demo = Demo(settings(), Console(stderr=True))

def simulate(engine):
    log = settings().home / "component.log"
    demo._supervisor.start(Component("slow", [sys.executable, "-c", COMPONENT], os.environ, log))
    while "up" not in log.read_text():
        time.sleep(0.05)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    raise ComponentFailed("the simulation broke")

demo.run(simulate, lambda engine: None, stop_when_ready=True)
"""


@pytest.fixture
def environment(server_environment: dict[str, str]) -> dict[str, str]:
    return server_environment | {f"MOTORISK_{name}": str(free_port()) for name in PORTS}


@pytest.mark.fault("port taken")
def test_a_taken_admin_port_is_named_with_the_variable_that_changes_it(environment: dict[str, str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "motorisk", "demo"],
            env={**environment, "MOTORISK_QUOTE_ADMIN_PORT": port},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"port {port} for metrics and health cannot be used" in done.stderr
    assert "MOTORISK_QUOTE_ADMIN_PORT" in done.stderr


def test_what_fails_is_taken_down_whole_also_when_somebody_presses_ctrl_c(
    environment: dict[str, str], settings: Settings
) -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "the simulation broke" in done.stderr
    assert "Stopped" not in done.stderr
    assert (settings.home / "component.log").read_text() == "up\nended\n"


@contextmanager
def _full_disk() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.fault("disk full")
def test_logins_that_a_full_disk_did_not_take_are_made_again(settings: Settings) -> None:
    airflow = LocalAirflow(settings)
    with _full_disk(), pytest.raises(OSError, match="File too large"):
        airflow.passwords()
    made = airflow.passwords()
    assert made.keys() == {"admin", "uma"}
    assert airflow.passwords() == made
    assert airflow.passwords_file.stat().st_mode & 0o777 == 0o600


def test_airflows_components_reach_each_other_past_a_proxy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for listed, wanted in (("insurer.example", "insurer.example,127.0.0.1"), ("", "127.0.0.1")):
        monkeypatch.setenv("NO_PROXY", listed)
        monkeypatch.delenv("no_proxy", raising=False)
        environment = LocalAirflow(settings).environment()
        assert environment["NO_PROXY"] == environment["no_proxy"] == wanted
