"""A red task says in one line what is wrong and what to do; no statement, parameter or password is in its log."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, make_url, text

from motorisk.errors import SchemaOutdated, SettingsError
from motorisk.registry import transitions
from motorisk.settings import Settings
from motorisk.settings import settings as process_settings

RunDag = Callable[..., Any]
PASSWORD = "Eule-9090"
ROLE = "night_watch"


@pytest.fixture
def as_reader(platform: Settings, warehouse: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let tasks work as a role that may only read."""
    with warehouse.begin() as connection:
        connection.execute(text(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'"))
        for schema in ("motorisk", "insurance"):
            connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {ROLE}"))
            connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {ROLE}"))
        connection.execute(text(f"GRANT SELECT ON public.alembic_version TO {ROLE}"))
    url = warehouse.url.set(username=ROLE, password=PASSWORD).render_as_string(hide_password=False)
    monkeypatch.setenv("MOTORISK_DATABASE_URL", url)
    process_settings.cache_clear()
    yield
    from motorisk.warehouse.database import open_warehouse

    open_warehouse(process_settings()).dispose()
    with warehouse.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}"))


@pytest.mark.fault("missing permission")
@pytest.mark.usefixtures("as_reader")
def test_a_task_that_may_not_write_fails_at_once_and_says_what_to_do(
    warehouse: Engine, offer: Callable[..., int], run_dag: RunDag, capfd: Any, caplog: Any
) -> None:
    version = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, version, by="uma")
    run = run_dag("report_performance", as_of="2024-03-31")
    assert str(run.state) == "failed"
    (measure,) = [task for task in run.get_task_instances() if task.task_id == "measure"]
    assert measure.try_number == 1
    captured = capfd.readouterr()
    log = caplog.text + captured.out + captured.err
    assert "permission denied for" in log
    assert "let MOTORISK_DATABASE_URL name a login that may, or have it granted (`motorisk db grant`)" in log
    assert PASSWORD not in log
    assert "[parameters:" not in log


@pytest.mark.parametrize(
    ("change", "error", "line"),
    [
        pytest.param(
            {"database": "motorsik"},
            SettingsError,
            "check user and database name in MOTORISK_DATABASE_URL",
            marks=pytest.mark.fault("wrong database"),
        ),
        pytest.param({}, SchemaOutdated, "run `motorisk db upgrade`", marks=pytest.mark.fault("migrations behind")),
    ],
    ids=["wrong database", "migrations behind"],
)
def test_what_a_task_opens_is_looked_at_first(
    platform: Settings,
    warehouse: Engine,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    error: type[Exception],
    line: str,
) -> None:
    from motorisk_airflow.opening import warehouse as opened

    with warehouse.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    url = make_url(warehouse.url.render_as_string(hide_password=False)).set(password=PASSWORD, **change)
    monkeypatch.setenv("MOTORISK_DATABASE_URL", url.render_as_string(hide_password=False))
    process_settings.cache_clear()
    with pytest.raises(error) as refused:
        opened()
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert PASSWORD not in str(refused.value)
