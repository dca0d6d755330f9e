"""A real gunicorn on a free port, with two workers, on a real Postgres with an approved model."""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic, RatingPlan, Support
from motorisk.ports import free_port
from motorisk.registry import transitions, versions
from motorisk.registry.clients import add_key
from motorisk.settings import PREFIX, Settings
from motorisk_web.app import create_app

START_SECONDS = 60
SWAP_SECONDS = 5
"""A new champion has to be served by every worker within this time."""

Approve = Callable[..., int]
ApproveIn = Callable[..., int]


@dataclass(frozen=True)
class Service:
    """A running quote service; each `client` has connections of its own."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    operations_url: str
    """Where metrics and health are: the same, unless there is an admin port."""
    workers: int

    def client(self) -> httpx.Client:
        # The context without certificates: reading them takes longer than all else in a test.
        return httpx.Client(base_url=self.url, timeout=30, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def get(self, path: str) -> httpx.Response:
        """Ask on a connection of its own, which either worker may accept."""
        with self.client() as client:
            return client.get(path)

    def post(self, path: str, body: Any) -> httpx.Response:
        """Post JSON on a connection of its own, which either worker may accept."""
        with self.client() as client:
            return client.post(path, json=body)

    def served_versions(self) -> set[float]:
        """What the worker processes serve, as far as they have told; 0 stands for no model."""
        return set(self._told_versions())

    def _told_versions(self) -> list[float]:
        with httpx.Client(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as client:
            lines = client.get(f"{self.operations_url}/metrics", timeout=30).text.splitlines()
        return [float(line.split()[-1]) for line in lines if line.startswith("motorisk_model_version{")]

    def wait_until_served(self, version: int) -> None:
        """Wait until every worker serves the version; fail after the time in which they have to.

        One that has only just been started tells nothing before it has looked for a champion.
        """
        deadline = time.monotonic() + START_SECONDS
        while len(self._told_versions()) < self.workers:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        deadline = time.monotonic() + SWAP_SECONDS
        while self.served_versions() != {version}:
            assert time.monotonic() < deadline, f"{self.served_versions()} instead of {version}\n{self.log.read_text()}"
            time.sleep(0.1)

    def wait_for_status(self, path: str, status: int) -> httpx.Response:
        """Ask until the status is answered; fail after the time in which it has to be."""
        deadline = time.monotonic() + SWAP_SECONDS
        while (response := self.get(path)).status_code != status:
            assert time.monotonic() < deadline, f"{response.status_code} {response.text}\n{self.log.read_text()}"
            time.sleep(0.1)
        return response


StartService = Callable[..., Service]


def gunicorn(environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "python:motorisk_web.gunicorn_conf"],
            env=environment,
            cwd=log.parent,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def running(environment: Mapping[str, str], folder: Path) -> Iterator[Service]:
    port = free_port()
    log = folder / f"gunicorn-{port}.log"
    own = {"MOTORISK_QUOTE_WORKERS": "2", **environment, "MOTORISK_QUOTE_PORT": str(port)}
    process = gunicorn(own, log)
    operations_url = f"http://127.0.0.1:{own.get('MOTORISK_QUOTE_ADMIN_PORT', port)}"
    service = Service(f"http://127.0.0.1:{port}", process, log, operations_url, int(own["MOTORISK_QUOTE_WORKERS"]))
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if len(service.served_versions()) > 0:
                    break
            except httpx.TransportError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield service
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def make_plan() -> Callable[..., RatingPlan]:
    """Build small rating plans by hand; `intercept` tells one from the other."""

    def straight(at: float, slope: float, average: float) -> NumberTerm:
        line = (0.0, slope, 0.0, 0.0)
        return NumberTerm(level=PiecewiseCubic(breakpoints=(at,), coefficients=(line, line)), average=average)

    def build(intercept: float = 1.0) -> RatingPlan:
        bowl = PiecewiseCubic(
            breakpoints=(20.0, 35.0, 60.0),
            coefficients=(
                (1.5, -0.1, 0.0, 0.0),
                (1.5, -0.1, 0.0, 0.0),
                (0.0, 0.04, 0.001, 0.0),
                (1.625, 0.09, 0.0, 0.0),
            ),
        )
        flatter = PiecewiseCubic(breakpoints=(35.0,), coefficients=((0.0, 0.001, 0.0, 0.0), (0.0, -0.001, 0.0, 0.0)))
        return RatingPlan(
            candidate="by hand",
            as_of=date(2026, 1, 1),
            snapshot_digest="5" * 64,
            intercept=intercept,
            spread=0.4,
            class_bounds=(1.0, 3.0),
            trend_months=(0.0, 24.0),
            terms={
                "training": FlagTerm(level=(0.0, -4.0), trend=(0.0, 0.1), average=-0.8),
                "age": NumberTerm(level=bowl, trend=flatter, average=0.45),
                "emergency_braking": FlagTerm(level=(0.0, -1.0), average=-0.4),
                "braking_distance": straight(40.0, 0.2, 0.02),
                "power": straight(100.0, 0.02, 0.6),
                "miles": straight(50.0, 0.025, 0.55),
            },
            support={
                "training": Support(0.0, 1.0),
                "age": Support(16.0, 95.0),
                "emergency_braking": Support(0.0, 1.0),
                "braking_distance": Support(22.0, 58.0),
                "power": Support(40.0, 290.0),
                "miles": Support(5.0, 180.0),
            },
        )

    return build


@pytest.fixture(scope="session")
def approve_in(make_plan: Callable[..., RatingPlan]) -> ApproveIn:
    """Register a plan and make it the champion, in the caller's transaction; answers its version number."""

    def make_champion(connection: Connection, intercept: float = 1.0) -> int:
        registered = versions.register(
            connection,
            make_plan(intercept),
            rows=1500,
            metrics={"accuracy": 0.9, "log_loss": 0.25, "rmse": 0.42},
            gates=[],
            parameters={},
            provenance={},
            trained_by="tess",
        )
        transitions.validate(connection, registered.version, by="tess")
        return transitions.approve(connection, registered.version, by="uma").version

    return make_champion


@pytest.fixture(scope="session")
def approve(approve_in: ApproveIn) -> Approve:
    """The same in a transaction of its own."""

    def make_champion(engine: Engine, intercept: float = 1.0) -> int:
        with engine.begin() as connection:
            return approve_in(connection, intercept)

    return make_champion


@pytest.fixture(scope="session")
def database(postgres: str) -> Iterator[Engine]:
    """The database of the service that most tests share."""
    maintenance = create_engine(postgres.format(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with maintenance.connect() as connection:
        connection.execute(text("CREATE DATABASE shared_service TEMPLATE motorisk_template"))
    engine = create_engine(postgres.format(database="shared_service"))
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def champion(database: Engine, approve: Approve) -> int:
    """The version that the shared service serves."""
    return approve(database)


@pytest.fixture(scope="session")
def service(database: Engine, champion: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The shared service."""
    folder = tmp_path_factory.mktemp("service")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment["MOTORISK_HOME"] = str(folder / "home")
    environment["MOTORISK_DATABASE_URL"] = database.url.render_as_string(hide_password=False)
    with running(environment, folder) as started:
        started.wait_until_served(champion)
        yield started


@pytest.fixture(scope="session")
def client(service: Service) -> Iterator[httpx.Client]:
    """A client of the shared service."""
    with service.client() as opened:
        yield opened


@pytest.fixture
def start_service(server_environment: dict[str, str], tmp_path: Path) -> Iterator[StartService]:
    """Start a service of the test's own, on the test's own database."""
    with ExitStack() as stack:

        def start(**settings: str) -> Service:
            own = {name if name.isupper() else f"{PREFIX}{name}".upper(): value for name, value in settings.items()}
            return stack.enter_context(running({**server_environment, **own}, tmp_path))

        yield start


@pytest.fixture
def run_service() -> Callable[[Mapping[str, str], Path], AbstractContextManager[Service]]:
    """Run a service with an environment of its own until the context is left: `(environment, folder of its log)`."""
    return running


@pytest.fixture
def start_app(settings: Settings) -> Iterator[Callable[..., FlaskClient]]:
    """Start the app in this process, on the test's own database: quicker where gunicorn plays no part."""
    with ExitStack() as stack:

        def start(**changed: Any) -> FlaskClient:
            app = create_app(settings.model_copy(update=changed))
            refresher = app.extensions["motorisk"].refresher
            stack.callback(refresher.stop)
            refresher.start()
            return app.test_client()

        yield start


@pytest.fixture
def give_key() -> Callable[..., str]:
    """Give a client a key: `(engine, client="broker", **how)`; answers the key."""

    def give(engine: Engine, client: str = "broker", **how: Any) -> str:
        with engine.begin() as connection:
            return add_key(connection, client, by="uma", **how)[1]

    return give


@pytest.fixture
def free_address() -> Callable[[], str]:
    """Find an address on this machine where nobody listens."""
    return lambda: f"127.0.0.1:{free_port()}"


@pytest.fixture
def body() -> dict[str, Any]:
    """A request that the model answers."""
    return {
        "driver": {"training": False, "age": 35, "miles": 45.9},
        "vehicle": {"emergency_braking": False, "braking_distance": 45.0, "power": 90.0},
    }
