"""A real API server of Airflow with this checkout's plugins, on a warehouse with two versions."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from motorisk.demo.airflow import LocalAirflow
from motorisk.demo.processes import last_words
from motorisk.ports import free_port
from motorisk.registry import transitions
from motorisk.settings import Settings

SECONDS = 1000
expect.set_options(timeout=60 * SECONDS)

WAREHOUSE = "plugin_warehouse"
START_SECONDS = 120
NASTY = "tess <script>alert(1)</script> [x](http://evil.example)"
FACTS = Path(__file__).parents[1] / "data" / "evaluation.json"


@dataclass(frozen=True)
class Platform:
    """Airflow's address and passwords, the environment of its processes, the warehouse and its two versions."""

    url: str
    passwords: dict[str, str]
    environment: dict[str, str]
    warehouse: Engine
    maintenance: Engine
    champion: int
    offered: int

    def client(self, user: str | None = None) -> httpx.Client:
        """Somebody who is logged in, or nobody."""
        client = httpx.Client(base_url=self.url, timeout=60)
        if user is not None:
            login = client.post("/auth/token", json={"username": user, "password": self.passwords[user]})
            client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        return client


@pytest.fixture(scope="session")
def platform(
    postgres: str,
    airflow_database: Callable[[str], str],
    offer: Callable[..., int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Platform]:
    """The running server; the second version waits to be decided."""
    maintenance = create_engine(postgres.format(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with maintenance.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {WAREHOUSE} TEMPLATE motorisk_template"))
    address = postgres.format(database=WAREHOUSE)
    warehouse = create_engine(address, poolclass=NullPool)
    champion = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, champion, by="uma", comment="fine")
    offered = offer(warehouse, 2.0, json.loads(FACTS.read_text())["evaluation"], NASTY)
    settings = Settings(
        home=tmp_path_factory.mktemp("platform"), database_url=SecretStr(address), airflow_port=free_port()
    )
    airflow = LocalAirflow(settings)
    environment = {
        **airflow.environment(),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow_database("airflow_pages"),
        "MOTORISK_DATABASE_URL": address,
        "MOTORISK_APPROVAL": "human",
    }
    server = next(component for component in airflow.components(environment) if component.name.endswith("api-server"))
    server.log.parent.mkdir(parents=True)
    with server.log.open("wb") as log:
        process = subprocess.Popen(server.command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_until_up(airflow.url, process, server.log)
        yield Platform(airflow.url, airflow.passwords(), environment, warehouse, maintenance, champion, offered)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/api/v2/version", timeout=5).is_success:
                return
        time.sleep(0.3)
    raise AssertionError(f"the API server did not start: {last_words(log)}")


@pytest.fixture(scope="session")
def cookies() -> dict[str, Any]:
    """Where the underwriter's browser keeps its login from test to test: Airflow's first page is dear to draw."""
    return {}


@pytest.fixture
def uma(platform: Platform, browser: Browser, cookies: dict[str, Any]) -> Iterator[Callable[..., Page]]:
    """Opens an empty window of the underwriter's, logged in; fails where a page broke its Content-Security-Policy."""
    contexts: list[BrowserContext] = []
    refused: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            refused.append(message.text)

    def open_window(**options: Any) -> Page:
        if not cookies:
            with closing(browser.new_context(base_url=platform.url)) as first:
                cookies.update(_log_in(first.new_page(), platform.passwords["uma"]))
        context = browser.new_context(base_url=platform.url, storage_state=cookies, **options)
        context.set_default_timeout(60 * SECONDS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert refused == []


def _log_in(page: Page, password: str) -> Any:
    """Log in as a person does; returns what the browser keeps of it."""
    page.goto("/", timeout=60 * SECONDS)
    page.locator("input[name=username]").fill("uma")
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit]").click()
    expect(page.get_by_role("link", name="Motorisk", exact=True)).to_be_visible()
    return page.context.storage_state()
