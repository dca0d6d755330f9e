"""A server opens the platform's database once, and again when it has moved."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, text

from motorisk.settings import settings
from motorisk_airflow.opening import Pool, warehouse


@pytest.fixture
def embedded(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The session's server as the embedded one of this process."""
    asking = create_engine(postgres.format(database="postgres"))
    with asking.connect() as connection:
        folder = Path(str(connection.scalar(text("SHOW data_directory"))))
    asking.dispose()
    monkeypatch.setenv("MOTORISK_HOME", str(folder.parent))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def opened() -> Iterator[list[object]]:
    """Every connection that the process opens."""
    found: list[object] = []

    def note(connection: object, record: object) -> None:
        found.append(connection)

    event.listen(Engine, "connect", note)
    yield found
    event.remove(Engine, "connect", note)


@pytest.mark.usefixtures("embedded")
def test_requests_share_one_pool(opened: list[object]) -> None:
    pool = Pool()
    with pool.connect() as connection:
        assert connection.scalar(text("SELECT current_database()")) == "motorisk"
    at_first = len(opened)
    for _ in range(5):
        with pool.connect() as connection:
            connection.scalar(text("SELECT 1"))
    assert len(opened) == at_first
    warehouse()
    assert len(opened) > at_first  # what each request would cost without it: the embedded server is asked anew


@pytest.mark.fault("Postgres restarted")
def test_a_database_that_comes_back_is_opened_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch, postgres: str
) -> None:
    monkeypatch.setenv("MOTORISK_DATABASE_URL", database_url)
    settings.cache_clear()
    pool = Pool()
    with pool.connect() as connection:
        own = connection.scalar(text("SELECT pg_backend_pid()"))
    maintenance = create_engine(postgres.format(database="postgres"))
    with maintenance.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
    maintenance.dispose()
    with pool.connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != own
    settings.cache_clear()
