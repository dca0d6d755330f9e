"""Fixtures for all tests: a real Postgres, built by the migrations, with a database of its own for every test."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from motorisk.settings import PREFIX, Settings
from motorisk.warehouse.embedded import EmbeddedPostgres
from motorisk.warehouse.migrate import upgrade

TEMPLATE = "motorisk_template"
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Give every run a temporary folder of its own.

    Pytest's shared one is closed to other users again whenever another run begins; as root, the database server
    runs as another user.
    """
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="motorisk-tests-")
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running server, with `{database}` in the database's place."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("server") / "postgres")
    address = server.ensure_running()
    try:
        _execute(address, f"CREATE DATABASE {TEMPLATE}")
        engine = create_engine(address.format(database=TEMPLATE), poolclass=NullPool)
        upgrade(engine)
        engine.dispose()
        yield address
    finally:
        server.stop()


def _execute(address: str, statement: str) -> None:
    engine = create_engine(address.format(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """Address of a freshly migrated, empty database."""
    name = f"test_{next(_numbers)}"
    _execute(postgres, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
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
