"""How much disk years of drift reports take, and how long the page of them takes to open.

    .venv/bin/python -m bench.drift_workspace [--nights 1000]

Keeps so many nights of each kind in a temporary workspace (of a dozen reports that Evidently has made, under different
dates: what a report takes does not depend on its date), serves it by the real command, and asks as a browser does: the
projects (which is when Evidently reads all files), then a project's runs and the data of its panels.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from motorisk.monitoring.dashboards import dashboard
from motorisk.monitoring.drift import evidently_report
from motorisk.monitoring.measures import MEASURES, MEASURES_OF, Kind
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.workspace import Night, Workspace, project_id
from motorisk.ports import free_port

LAST = date(2026, 10, 31)
ROWS = 1500
REPORTS = 4
"""Different reports of each kind."""


def _reports(kind: Kind) -> list[Any]:
    random = np.random.default_rng(5)

    def drawn(shift: float) -> dict[str, Any]:
        return {
            name: (random.random(ROWS) < 0.3 + shift).astype(float)
            if MEASURES[name].is_flag
            else random.normal(shift, 1, ROWS)
            for name in MEASURES_OF[kind]
        }

    reference = Reference.of(drawn(0.0), fixed=0.1)
    found = []
    for number in range(REPORTS):
        columns = {name: reference.column(name, values) for name, values in drawn(0.05 * number).items()}
        found.append(evidently_report(columns, reference.columns, dict.fromkeys(columns, 0.1)))
    return found


def _fill(workspace: Workspace, nights: int) -> list[float]:
    """Keep all nights, the oldest first; return the seconds that each took."""
    seconds = []
    reports = {kind: _reports(kind) for kind in Kind}
    for number in range(nights):
        as_of = LAST - timedelta(days=nights - 1 - number)
        for kind in Kind:
            says = [
                f"{name} is as in the reference (score 0.031, chance alone stays below 0.087)."
                for name in MEASURES_OF[kind]
            ]
            start = time.monotonic()
            workspace.keep(Night(kind, as_of, 1, ROWS, [], says), reports[kind][number % REPORTS])
            seconds.append(time.monotonic() - start)
    return seconds


def _timed(client: httpx.Client, method: str, path: str, **options: Any) -> tuple[float, int]:
    start = time.monotonic()
    answer = client.request(method, path, **options)
    answer.raise_for_status()
    return time.monotonic() - start, len(answer.content)


def _ask(url: str, nights: int) -> None:
    project = project_id(Kind.POLICIES)
    client = httpx.Client(base_url=url, timeout=600)
    for what, path in (
        ("first page (reads all files)", "/api/projects/"),
        ("first page again", "/api/projects/"),
        ("a project's runs", f"/api/projects/{project}/snapshots"),
    ):
        seconds, size = _timed(client, "GET", path)
        print(f"{what}: {seconds:.2f} s, {size / 1000:,.0f} kB")
    for panel in dashboard(Kind.POLICIES, project)["panels"]:
        asked = {
            "series_filter": [
                {key: value[key] for key in ("tags", "metadata", "metric", "metric_labels")}
                for value in panel["values"]
            ]
        }
        seconds, size = _timed(client, "POST", f"/api/v2/snapshots/{project}/data_series_batch", json=asked)
        print(f"panel {panel['title']!r} over {nights:,} nights: {seconds:.2f} s, {size / 1000:,.0f} kB")


def main() -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=1000)
    nights = parser.parse_args().nights
    with tempfile.TemporaryDirectory(prefix="motorisk-bench-") as name:
        place = Path(name) / "evidently"
        seconds = _fill(Workspace(str(place)), nights)
        print(f"keeping a snapshot: median {np.median(seconds) * 1000:.0f} ms, longest {max(seconds) * 1000:.0f} ms")
        sizes = {
            kind: sorted(path.stat().st_size for path in place.glob(f"{project_id(kind)}/snapshots/*.json"))
            for kind in Kind
        }
        for kind, found in sizes.items():
            print(f"{kind.value}: {found[-1] / 1000:.0f} kB a night, {found[0] / 1000:.0f} kB without its drawings")
        print(f"{nights:,} nights of {len(sizes)} kinds: {sum(map(sum, sizes.values())) / 1e6:.0f} MB")
        port = free_port()
        own = {"MOTORISK_HOME": name, "MOTORISK_DRIFT_UI_PORT": str(port)}
        start = time.monotonic()
        command = [sys.executable, "-m", "motorisk", "drift-ui"]
        process = subprocess.Popen(
            command, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while process.poll() is None:
                with suppress(httpx.TransportError):
                    httpx.get(f"http://127.0.0.1:{port}/", timeout=60)
                    break
                time.sleep(0.1)
            print(f"listens after {time.monotonic() - start:.1f} s")
            _ask(f"http://127.0.0.1:{port}", nights)
            print(f"memory: {psutil.Process(process.pid).memory_info().rss / 2**20:.0f} MB")
        finally:
            process.terminate()
            process.wait(20)


if __name__ == "__main__":
    main()
