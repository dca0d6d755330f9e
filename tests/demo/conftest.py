"""A home and ports of a demo's own, and what receives Airflow's metrics."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.demo.statsd import StatsdExporter

from motorisk.ports import free_port
from motorisk.settings import PREFIX


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "AIRFLOW"))}
    return {
        **inherited,
        "MOTORISK_HOME": str(tmp_path / "home"),
        "MOTORISK_AIRFLOW_PORT": str(free_port()),
        "MOTORISK_QUOTE_PORT": str(free_port()),
        "MOTORISK_PROMETHEUS_PORT": str(free_port()),
        "MOTORISK_DRIFT_UI_PORT": str(free_port()),
    }


@pytest.fixture
def home(environment: dict[str, str]) -> Iterator[Path]:
    home = Path(environment["MOTORISK_HOME"])
    yield home
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("MOTORISK_HOME") == str(home):
                process.kill()


@pytest.fixture
def statsd_exporter() -> Iterator[StatsdExporter]:
    with StatsdExporter(Path(__file__).parents[2] / "observability/statsd/mapping.yml") as exporter:
        yield exporter
