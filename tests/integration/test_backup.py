"""Backup and restore: both databases, whole or not at all."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from motorisk.errors import BackupRefused, DatabaseUnavailable
from motorisk.pipelines.backup import AIRFLOW_ADDRESS, MANIFEST, back_up, restore
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.registry import transitions
from motorisk.registry.versions import all_versions, load_plan
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.dumping import row_counts
from motorisk.warehouse.schema import LATEST_REVISION, require_current


@pytest.fixture
def airflow(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A database in Airflow's place, with an enumeration and a sequence as Airflow's has them."""
    maintenance = create_engine(postgres.format(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with maintenance.connect() as connection:
        connection.execute(text("CREATE DATABASE airflow_kept"))
    address = postgres.format(database="airflow_kept")
    monkeypatch.setenv(AIRFLOW_ADDRESS, address)
    engine = create_engine(address, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TYPE state AS ENUM ('success', 'failed')"))
        connection.execute(text("CREATE TABLE dag_run (id serial PRIMARY KEY, state state, note text)"))
        connection.execute(text("INSERT INTO dag_run (state, note) VALUES ('success', E'a\\\\b\\n€')"))
    yield engine
    with maintenance.connect() as connection:
        connection.execute(text("DROP DATABASE airflow_kept WITH (FORCE)"))


@pytest.fixture
def portfolio(warehouse: Engine, offer: Callable[..., int]) -> Engine:
    """Policies, a champion and a quote."""
    simulate_portfolio(
        warehouse, Simulation(start=date(2024, 1, 1), months=1, policies_a_month=50, label_delay_months=1)
    )
    version = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, version, by="uma", comment="fine")
        _quote(connection)
    return warehouse


def _quote(connection: Connection) -> None:
    connection.execute(
        text(
            "INSERT INTO motorisk.quote (quote_id, channel, effective_date, training, age, emergency_braking, "
            "braking_distance, power, miles) "
            "VALUES (gen_random_uuid(), 'mock', now(), false, 35, false, 40, 90, 20)"
        )
    )


def _counts(*engines: Engine) -> list[dict[str, int]]:
    found = []
    for engine in engines:
        with engine.connect() as connection:
            found.append(row_counts(connection))
    return found


def _rights(engine: Engine) -> list[tuple[str, str, str | None]]:
    """Owner and access rights of every relation, in no order."""
    query = text(
        "SELECT oid::regclass::text, pg_get_userbyid(relowner), "
        "(SELECT string_agg(item::text, ' ' ORDER BY item::text) FROM unnest(relacl) AS item) FROM pg_class "
        "WHERE relnamespace IN ('motorisk'::regnamespace, 'insurance'::regnamespace) ORDER BY 1"
    )
    with engine.connect() as connection:
        return [(str(name), str(owner), rights) for name, owner, rights in connection.execute(query)]


def test_what_was_backed_up_comes_back_and_what_came_since_goes(
    portfolio: Engine, airflow: Engine, settings: Settings, tmp_path: Path
) -> None:
    before, rights = _counts(portfolio, airflow), _rights(portfolio)
    assert ("motorisk.score", "motorisk_pipeline") in {(name, owner) for name, owner, _ in rights}
    with portfolio.connect() as connection:
        (champion,) = all_versions(connection)
        plan = load_plan(connection, champion.version)
    folder = tmp_path / "backup"
    manifest = back_up(settings, folder)
    assert folder.stat().st_mode & 0o077 == 0
    assert [dump.rows for dump in manifest.databases.values()] == before
    assert (manifest.databases["motorisk"].migration, before[0]["insurance.policy"]) == (LATEST_REVISION, 50)

    with portfolio.begin() as connection:
        _quote(connection)
        connection.execute(text("DELETE FROM insurance.outcome"))
        connection.execute(text("CREATE SCHEMA later CREATE TABLE later.added (number integer)"))
    with airflow.begin() as connection:
        connection.execute(text("DROP TABLE dag_run"))
    with pytest.raises(BackupRefused, match=r"holds \d+ tables with [\d,]+ rows: --replace drops them"):
        restore(settings, folder)
    done = restore(settings, folder, replace=True)
    assert _counts(portfolio, airflow) == before
    assert _rights(portfolio) == rights
    assert done.rows == {"motorisk": sum(before[0].values()), "airflow": 1}

    require_current(portfolio)
    with portfolio.connect() as connection:
        assert all_versions(connection) == [champion]
        assert load_plan(connection, champion.version) == plan
    with portfolio.begin() as connection:
        _quote(connection)
        assert connection.scalar(text("SELECT count(*) FROM motorisk.drift_inbox")) == 2  # triggers work again
    with pytest.raises(Exception, match="append-only"), portfolio.begin() as connection:
        connection.execute(text("DELETE FROM motorisk.quote"))
    with airflow.begin() as connection:
        row = connection.execute(text("INSERT INTO dag_run (state) VALUES ('failed') RETURNING id")).scalar()
        assert row == 2  # the sequence goes on
        assert connection.scalar(text("SELECT note FROM dag_run WHERE id = 1")) == "a\\b\n€"


def test_a_backup_that_is_not_what_was_written_changes_nothing(
    portfolio: Engine, airflow: Engine, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    manifest = back_up(settings, folder)
    before = _counts(portfolio, airflow)
    with pytest.raises(BackupRefused, match="is there already"):
        back_up(settings, folder)

    name = max(manifest.files, key=lambda name: (folder / name).stat().st_size)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BackupRefused, match="SHA-256 has changed"):
        restore(settings, folder, replace=True)
    (folder / name).unlink()
    with pytest.raises(BackupRefused, match="is missing"):
        restore(settings, folder, replace=True)
    (folder / name).write_bytes(content)

    told = json.loads((folder / MANIFEST).read_text())
    told["databases"]["motorisk"]["rows"]["insurance.policy"] += 1
    (folder / MANIFEST).write_text(json.dumps(told))
    with pytest.raises(BackupRefused, match=r"stays as it was: .*has 51 rows of insurance.policy, restored were 50"):
        restore(settings, folder, replace=True)
    told["databases"]["motorisk"]["server"] = 99
    (folder / MANIFEST).write_text(json.dumps(told))
    with pytest.raises(BackupRefused, match=r"comes from PostgreSQL 99, the server is \d+: upgrade it first"):
        restore(settings, folder, replace=True)
    (folder / MANIFEST).write_text(json.dumps({**told, "format": 2}))
    with pytest.raises(BackupRefused, match=r"manifest.json cannot be read: format: Input should be 1"):
        restore(settings, folder, replace=True)
    with pytest.raises(BackupRefused, match=r"there is no manifest.json"):
        restore(settings, tmp_path, replace=True)
    assert _counts(portfolio, airflow) == before


def test_a_backup_is_of_one_moment_while_quotes_go_on(
    portfolio: Engine, airflow: Engine, settings: Settings, tmp_path: Path
) -> None:
    def quote_meanwhile(what: str) -> None:
        with portfolio.begin() as connection:
            _quote(connection)

    manifest = back_up(settings, tmp_path / "backup", tell=quote_meanwhile)  # before each database is dumped
    assert sum(rows for name, rows in manifest.databases["motorisk"].rows.items() if ".quote_" in name) == 1
    restore(settings, tmp_path / "backup", replace=True)
    with portfolio.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM motorisk.quote")) == 1


def test_a_database_that_is_in_use_stays_as_it_was(
    portfolio: Engine, airflow: Engine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(settings, tmp_path / "backup")
    before = _counts(portfolio)
    monkeypatch.setattr("motorisk.warehouse.dumping.LOCK_SECONDS", 1)
    with portfolio.connect() as connection:
        connection.execute(text("SELECT 1 FROM motorisk.quote"))
        with pytest.raises(BackupRefused, match=r"lock timeout.*stop the services that use it"):
            restore(settings, tmp_path / "backup", replace=True)
    assert _counts(portfolio) == before


def test_two_commands_move_a_platform_to_another_server(
    portfolio: Engine,
    settings: Settings,
    tmp_path: Path,
    in_process: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(AIRFLOW_ADDRESS, raising=False)
    assert settings.database_url is not None
    here = {"MOTORISK_DATABASE_URL": settings.database_url.get_secret_value()}
    there = {"MOTORISK_HOME": str(tmp_path / "there")}

    def run(environment: dict[str, str], *arguments: str) -> Any:
        return in_process(environment, "db", *arguments)

    made = run(here, "backup", str(tmp_path / "backup"), "--json")
    assert made.returncode == 0, made.stderr
    assert "motorisk" in json.loads(made.stdout)["rows"]  # and Airflow's, where other tests have left one
    try:
        done = run(there, "restore", str(tmp_path / "backup"))
        assert done.returncode == 0, done.stderr
        assert "Restored the backup of" in done.stdout
        again = run(there, "restore", str(tmp_path / "backup"))
        assert again.returncode == 1
        assert "--replace drops them" in again.stderr
        address = json.loads(run(there, "url", "--json").stdout)["url"]
        moved = create_engine(address.replace("postgresql://", "postgresql+psycopg2://"), poolclass=NullPool)
        assert _counts(moved) == _counts(portfolio)
    finally:
        run(there, "stop")


@pytest.mark.fault("wrong database")
def test_a_login_that_is_not_there_does_not_leave_airflows_database_out(
    portfolio: Engine, airflow: Engine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(AIRFLOW_ADDRESS, airflow.url.set(username="nobody").render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnavailable, match='role "nobody" does not exist'):
        back_up(settings, tmp_path / "backup")
    assert list(tmp_path.glob("*backup*")) == []


@pytest.mark.parametrize(
    ("installed", "server", "message"),
    [
        (15, 18, "pg_dump 15 cannot work with PostgreSQL 18: install the client programs of 18"),
        (18, 14, "the server is PostgreSQL 14; backups need 15 or newer"),
    ],
)
def test_programs_that_do_not_fit_a_server_are_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, installed: int, server: int, message: str
) -> None:
    from motorisk.warehouse import dumping

    monkeypatch.setattr(dumping, "_major", lambda program: installed)
    with pytest.raises(BackupRefused) as refusal:
        dumping.Programs(settings).require(server)
    assert str(refusal.value) == message
