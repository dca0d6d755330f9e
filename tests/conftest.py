"""Fixtures for all tests: a real Postgres, built by the migrations, with a database of its own for every test.

How many examples the properties try, and how many steps the stateful tests take, says `HYPOTHESIS_PROFILE`:

- `motorisk` (default): Hypothesis' 100 examples, fewer where each needs a database;
- `night`: thirty times as many, for a night: `HYPOTHESIS_PROFILE=night make test PYTEST_ARGUMENTS=tests/unit`;
- `mutation`: a few, always the same ones, for `make mutation`.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, sync_playwright
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool
from tests.ml_test_score import RanAll
from tests.scheduling import Together

from motorisk.domain.gate import GateResult
from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic, RatingPlan, Support
from motorisk.ports import free_port
from motorisk.registry import transitions
from motorisk.registry.versions import register
from motorisk.settings import PREFIX, Settings
from motorisk.warehouse.embedded import EmbeddedPostgres
from motorisk.warehouse.migrate import upgrade

TEMPLATE = "motorisk_template"
ALERTS = Path(__file__).parents[1] / "observability" / "alertmanager" / "alertmanager.yml"
LONG = ("demo", "shipping", "plugins", "dags", "monitoring", "drift_ui", "helm")
"""Folders of the tests that take minutes each, or that one worker runs alone, the longest first."""
ROOMY_BYTES = 4 * 2**30
POSTGRES = "TEST_POSTGRES"
"""Environment variable: address of a server that runs already, with `{database}` in the database's place.

Whoever runs pytest a thousand times does not want to start a server each time (`scripts/mutation.py`).
"""

_numbers = itertools.count(1)

# A shared machine may be busy: how long one example takes says nothing.
hypothesis_settings.register_profile("motorisk", deadline=None)
hypothesis_settings.register_profile("night", deadline=None, max_examples=3000)
hypothesis_settings.register_profile("mutation", deadline=None, max_examples=20, derandomize=True, database=None)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "motorisk"))


def pytest_configure(config: pytest.Config) -> None:
    """Give every run a temporary folder of its own.

    Pytest's shared one is closed to other users again whenever another run begins; as root, the database server
    runs as another user.
    """
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="motorisk-tests-")
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))
    config.pluginmanager.register(RanAll())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that it is not waited for at the end; let reports say what a test breaks.

    `scripts/fault_table.py` counts what is broken.
    """
    turns = {folder: turn for turn, folder in enumerate(LONG)}
    items.sort(key=lambda item: turns.get(item.path.parent.name, len(LONG)))
    for item in items:
        for kind in ("fault", "bad_input"):
            item.user_properties.extend((kind, name) for marker in item.iter_markers(kind) for name in marker.args)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """Let folders that share what is dear to start run on one worker."""
    return Together(config, log)


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running server, with `{database}` in the database's place."""
    if shared := os.environ.get(POSTGRES):
        _make_template(shared)
        yield shared
        return
    with _folder_in_memory() as memory:
        server = EmbeddedPostgres((memory or tmp_path_factory.mktemp("server")) / "postgres")
        address = server.ensure_running()
        try:
            _make_template(address)
            yield address
        finally:
            _maintenance(address).dispose()
            server.stop()


@contextmanager
def _folder_in_memory() -> Iterator[Path | None]:
    """A folder in memory, where a database is copied in a fifth of the time; None where there is no room for it."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
    if not memory.is_dir() or shutil.disk_usage(memory).free < ROOMY_BYTES:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="motorisk-postgres-", dir=memory, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _make_template(address: str) -> None:
    """Build the database that every test gets a copy of, unless it is there."""
    # Nobody needs these data after a power cut, and hundreds of databases are made and dropped faster without it.
    for setting in ("fsync = off", "full_page_writes = off", "max_wal_size = '128MB'"):
        _execute(address, f"ALTER SYSTEM SET {setting}")
    _execute(address, "SELECT pg_reload_conf()")
    with _maintenance(address).connect() as connection:
        if connection.scalar(text("SELECT true FROM pg_database WHERE datname = :name"), {"name": TEMPLATE}):
            return
    _execute(address, f"CREATE DATABASE {TEMPLATE}")
    engine = create_engine(address.format(database=TEMPLATE), poolclass=NullPool)
    upgrade(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def airflow_database(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Makes a database with Airflow's own tables: `(name)`; answers its address. Airflow makes them once a worker."""
    template = "airflow_template"

    def copy(name: str) -> str:
        with _maintenance(postgres).connect() as connection:
            known = connection.scalars(text("SELECT datname FROM pg_database")).all()
        if template not in known:
            _execute(postgres, f"CREATE DATABASE {template}")
            program = Path(sys.executable).parent / "airflow"
            environment = {
                **os.environ,
                "AIRFLOW_HOME": str(tmp_path_factory.mktemp("migrated")),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.format(database=template),
                "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            }
            done = subprocess.run(
                [program, "db", "migrate"], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        _copy_database(postgres, name, template)
        return postgres.format(database=name)

    return copy


def _copy_database(address: str, name: str, template: str) -> None:
    # Files and not the log: the log would be written as well.
    _execute(address, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")


def _execute(address: str, statement: str) -> None:
    with _maintenance(address).connect() as connection:
        connection.execute(text(statement))


@cache
def _maintenance(address: str) -> Engine:
    return create_engine(address.format(database="postgres"), isolation_level="AUTOCOMMIT")


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """Address of a freshly migrated, empty database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    _copy_database(postgres, name, TEMPLATE)
    yield postgres.format(database=name)
    _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings that point at the test's own database and folder; gates approve, and no yardsticks take their time."""
    training = tmp_path / "training.yaml"
    training.write_text("candidates: [rules, gam, trend_gam]\nsearch_trials: 0\n")
    return Settings(
        home=tmp_path / "home",
        database_url=SecretStr(database_url),
        user="tess",
        approval="auto",
        training_config=training,
        drift_min_rows=100,
    )


@pytest.fixture
def warehouse(database_url: str) -> Iterator[Engine]:
    """The test's own database, migrated and empty."""
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


Build = Callable[[Engine, Settings], None]


@pytest.fixture(scope="session")
def _built(postgres: str) -> Iterator[dict[str, tuple[str, Path]]]:
    """Databases and folders that are copied from, by the name of what built them."""
    built: dict[str, tuple[str, Path]] = {}
    yield built
    for name, _ in built.values():
        _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def built_once(
    postgres: str,
    warehouse: Engine,
    settings: Settings,
    _built: dict[str, tuple[str, Path]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Build], Engine]:
    """Fill the test's own database and folder: `(build)`.

    The first test of a worker that asks for a build, by its name, has it run, those that come after get copies: a
    training takes seconds.
    """

    def fill(build: Build) -> Engine:
        own, key = warehouse.url.database, f"{build.__module__}.{build.__qualname__}"
        if key not in _built:
            build(warehouse, settings)
            warehouse.dispose()
            name = f"built_{os.getpid()}_{next(_numbers)}"
            _copy_database(postgres, name, str(own))
            _built[key] = name, tmp_path_factory.mktemp(name)
            if settings.home.exists():
                shutil.copytree(settings.home, _built[key][1], dirs_exist_ok=True)
        else:
            name, home = _built[key]
            warehouse.dispose()
            _execute(postgres, f"DROP DATABASE {own} WITH (FORCE)")
            _copy_database(postgres, str(own), name)
            shutil.copytree(home, settings.home)
        return warehouse

    return fill


@pytest.fixture
def server_environment(settings: Settings) -> dict[str, str]:
    """Environment variables of a process that works on the test's database."""
    assert settings.database_url is not None
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {
        **inherited,
        "MOTORISK_HOME": str(settings.home),
        "MOTORISK_DATABASE_URL": settings.database_url.get_secret_value(),
        "MOTORISK_USER": settings.user,
        "MOTORISK_APPROVAL": settings.approval,
        "MOTORISK_TRAINING_CONFIG": str(settings.training_config),
    }


@pytest.fixture(scope="session")
def offer() -> Callable[..., int]:
    """Register a validated version without training it: `(engine, intercept, evaluation=None, trained_by="tess")`."""
    facts = json.loads((Path(__file__).parent / "data" / "evaluation.json").read_text())
    line = PiecewiseCubic(breakpoints=(50.0,), coefficients=((0.0, 0.01, 0.0, 0.0), (0.0, 0.01, 0.0, 0.0)))

    def register_and_validate(
        engine: Engine, intercept: float, evaluation: Mapping[str, Any] | None = None, trained_by: str = "tess"
    ) -> int:
        plan = RatingPlan(
            candidate="trend_gam",
            as_of=date(2024, 1, 31),
            snapshot_digest="a" * 64,
            intercept=intercept,
            spread=0.4,
            class_bounds=(1.0, 3.0),
            trend_months=(-12.0, 6.0),
            terms={
                name: FlagTerm(level=(0.0, -1.0), trend=(0.0, 0.02), average=-0.3)
                if feature.is_flag
                else NumberTerm(level=line, average=0.0)
                for name, feature in FEATURES.items()
            },
            support={name: Support(0.0, 1.0 if FEATURES[name].is_flag else 100.0) for name in FEATURES},
        )
        with engine.begin() as connection:
            registered = register(
                connection,
                plan,
                rows=1500,
                metrics={"accuracy": 0.9, "log_loss": 0.2},
                gates=[GateResult(name="accuracy", value=0.9, rule=">=", threshold=0.85, passed=True)],
                backtest=facts["backtest"],
                evaluation=evaluation,
                parameters={"knots": 10, "window_months": 3},
                provenance={},
                trained_by=trained_by,
            )
            return transitions.validate(connection, registered.version, by="tess").version

    return register_and_validate


Unreachable = Callable[[Engine], AbstractContextManager[None]]


@contextmanager
def _unreachable(engine: Engine) -> Iterator[None]:
    name = engine.url.database
    maintenance = create_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with maintenance.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        connection.execute(ended, {"name": name})
        try:
            yield
        finally:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
            engine.dispose()  # its connections were ended too


@pytest.fixture
def unreachable() -> Unreachable:
    """Take a database away: end its connections and allow no new ones."""
    return _unreachable


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium.

    It ends with each module: while it runs, its thread has a running event loop, in which neither a second Playwright
    nor `asyncio.run` of other tests could start.
    """
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """Address of an Alertmanager with the project's configuration."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program, "scripts/install-system-parts.sh installs it"
    address = f"127.0.0.1:{free_port()}"
    command = [program, f"--config.file={ALERTS}", f"--storage.path={tmp_path}", "--cluster.listen-address="]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        for _ in range(100):
            try:
                if httpx.get(f"http://{address}/-/ready").is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        else:
            raise AssertionError((tmp_path / "log").read_text())
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)
