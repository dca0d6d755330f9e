"""The page of the drift reports, served by the real command and read in the system's Chromium."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect
from tests.browsing import keep

from motorisk.domain.policy import FEATURES
from motorisk.monitoring.drift import evidently_report
from motorisk.monitoring.measures import Kind
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.workspace import Night, Workspace, page, project_id, snapshot_id
from motorisk.ports import free_port
from motorisk.settings import PREFIX
from motorisk.simulation.portfolio import draw_features

ARTIFACTS = "drift-ui"
NIGHT = date(2026, 3, 31)
NIGHTS = 6
START_SECONDS = 120
PROJECT, SNAPSHOT = project_id(Kind.POLICIES), snapshot_id(Kind.POLICIES, NIGHT)


class _Nights:
    """Reports of a world that drifts by a month each night."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._reference = Reference.of(draw_features(np.random.default_rng([3, 0]), 0, 600), fixed=0.1)

    def keep(self, number: int) -> None:
        month = 3 * number
        values = draw_features(np.random.default_rng([3, month]), month, 600)
        columns = {name: self._reference.column(name, values[name]) for name in FEATURES}
        report = evidently_report(columns, self._reference.columns, dict.fromkeys(FEATURES, 0.1))
        as_of = NIGHT - timedelta(days=NIGHTS - 1 - number)
        says = ["miles drifts since about 2026-01."]
        self._workspace.keep(Night(Kind.POLICIES, as_of, 7, 600 + number, ["miles"], says), report)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[_Nights, Path]:
    folder = tmp_path_factory.mktemp("reports") / "evidently"
    found = _Nights(Workspace(str(folder)))
    for number in range(NIGHTS):
        found.keep(number)
    return found, folder


@pytest.fixture(scope="module")
def url(nights: tuple[_Nights, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {
        "MOTORISK_HOME": str(tmp_path_factory.mktemp("home")),
        "MOTORISK_DRIFT_WORKSPACE": str(nights[1]),
        "MOTORISK_DRIFT_UI_PORT": str(port),
    }
    log = tmp_path_factory.mktemp("log") / "drift-ui.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "motorisk", "drift-ui"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"{address}/api/projects/", timeout=60).is_success:
                    break
            time.sleep(0.2)
        else:
            raise AssertionError(log.read_text())
        yield address
    finally:
        process.terminate()
        assert process.wait(20) in {0, -15}, log.read_text()


@pytest.fixture
def window(url: str, browser: Browser) -> Iterator[Page]:
    """A window that fails where a script complained or another host was asked."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    def only_here(route: Route) -> None:
        if not route.request.url.startswith(url):
            complaints.append(f"asked for {route.request.url}")
            route.abort()
        else:
            route.continue_()

    context = browser.new_context(base_url=url, viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(20_000)
    context.route("**/*", only_here)
    found = context.new_page()
    found.on("console", note)
    found.on("pageerror", lambda error: complaints.append(str(error)))
    yield found
    context.close()
    assert complaints == []


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _series(url: str) -> Any:
    asked = {
        "series_filter": [{"tags": [], "metadata": {}, "metric": "evidently:metric_v2:RowCount", "metric_labels": {}}]
    }
    answer = httpx.post(f"{url}/api/v2/snapshots/{PROJECT}/data_series_batch", json=asked, timeout=30)
    assert answer.is_success, answer.text
    (series,) = answer.json()["series"]
    return series["values"]


def test_nothing_can_be_changed(url: str, nights: tuple[_Nights, Path]) -> None:
    before = _files(nights[1])
    client = httpx.Client(base_url=url, timeout=30)
    for method, path in (
        ("DELETE", f"/api/projects/{PROJECT}"),
        ("DELETE", f"/api/v2/projects/{PROJECT}"),
        ("DELETE", f"/api/projects/{PROJECT}/{SNAPSHOT}"),
        ("POST", "/api/projects/"),
        ("POST", f"/api/projects/{PROJECT}/info"),
        ("PATCH", f"/api/v2/projects/{PROJECT}"),
        ("POST", f"/api/v2/dashboards/{PROJECT}"),
        ("POST", f"/api/v2/snapshots/{PROJECT}"),
        ("POST", f"/api/v2/snapshots/{PROJECT}/data_series_batch/../.."),
        ("GET", f"/api/projects/{PROJECT}/reload"),
        ("PUT", "/"),
    ):
        answer = client.request(method, path, json={"id": str(PROJECT), "name": "mine", "tabs": [], "panels": []})
        assert answer.status_code == 403, f"{method} {path}"
        assert "for reading" in answer.json()["detail"]
    assert _files(nights[1]) == before
    assert len(client.get(f"/api/projects/{PROJECT}/snapshots").json()) >= NIGHTS


def test_of_evidentlys_own_routes_only_those_pass_that_read(url: str, nights: tuple[_Nights, Path]) -> None:
    """Every route that the installed version has, also those that nobody knew of when the guard was written."""
    from motorisk.monitoring.workspace_page import application

    asked = {
        (method, re.sub(r"\{[^}]+:uuid\}", str(PROJECT), re.sub(r"\{[^}]+:(str|path)\}", "x", route.path)))
        for route in application(str(nights[1])).routes
        for method in getattr(route, "methods", ())
        if method not in {"GET", "HEAD", "OPTIONS"}
    }
    assert len(asked) > 20
    with httpx.Client(base_url=url, timeout=30) as client:
        passed = {(method, path) for method, path in asked if client.request(method, path).status_code != 403}
    assert passed == {("POST", f"/api/v2/snapshots/{PROJECT}/data_series_batch")}


def test_a_page_of_a_night_can_be_taken_away(url: str) -> None:
    answer = httpx.get(f"{url}/api/projects/{PROJECT}/{SNAPSHOT}/download", timeout=60)
    assert answer.is_success
    assert "miles drifts since about 2026-01." in answer.text


def test_a_project_shows_its_panels_with_data(window: Page) -> None:
    window.goto("/")
    expect(window.get_by_text("Drift of policies")).to_be_visible()
    expect(window.get_by_text("Drift of scores")).to_be_visible()
    keep(window, ARTIFACTS, "projects")
    window.goto(f"/projects/{PROJECT}")
    expect(window.get_by_text("Drift of each column")).to_be_visible()
    keep(window, ARTIFACTS, "dashboard")


def test_a_report_begins_with_our_words(window: Page) -> None:
    window.goto(page(Kind.POLICIES, NIGHT))
    expect(window.get_by_text("miles drifts since about 2026-01.")).to_be_visible()
    keep(window, ARTIFACTS, "report")


def test_a_night_that_ends_while_the_page_is_served_is_there_at_once(url: str, nights: tuple[_Nights, Path]) -> None:
    before = _series(url)
    nights[0].keep(NIGHTS)
    deadline = time.monotonic() + 20
    while (found := _series(url)) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == [*before, 600 + NIGHTS]
    assert httpx.get(f"{url}/api/projects/{uuid4()}/info").status_code == 404
