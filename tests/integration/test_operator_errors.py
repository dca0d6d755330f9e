"""What a tired operator gets wrong: one line says what it is and what to do, and nothing else happens."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Engine, create_engine, func, make_url, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from motorisk.registry import transitions
from motorisk.warehouse.tables import policy

Run = Callable[..., Any]
PASSWORD = "Schwalbe-4711"
ROLE = "told_off"


@pytest.fixture
def guarded(warehouse: Engine) -> Iterator[str]:
    """Address of the test's database for a role that needs a password and may only read."""
    maintenance = create_engine(warehouse.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with maintenance.connect() as connection:
        rules = Path(str(connection.scalar(text("SHOW hba_file"))))
        former = rules.read_text()
        rules.write_text(f"local all {ROLE} scram-sha-256\n{former}")
        connection.execute(text(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'"))
        for schema in ("motorisk", "insurance"):
            connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {ROLE}"))
            connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {ROLE}"))
        connection.execute(text(f"GRANT SELECT ON public.alembic_version TO {ROLE}"))
        connection.execute(text("SELECT pg_reload_conf()"))
        deadline = time.monotonic() + 30
        while _is_let_in(warehouse.url.set(username=ROLE)):  # the server reads its rules again when it gets to it
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield warehouse.url.set(username=ROLE, password=PASSWORD).render_as_string(hide_password=False)
        rules.write_text(former)
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}"))


def _is_let_in(url: URL) -> bool:
    """Whether a login gets in without its password."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        engine.connect().close()
    except OperationalError:
        return False
    return True


def the_line(done: Any) -> str:
    """The one line of a refusal, in which no password is."""
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert PASSWORD not in done.stderr
    assert "SELECT" not in done.stderr
    assert "parameters" not in done.stderr
    return str(lines[0])


@pytest.mark.fault("wrong database")
@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"password": "Falke-1"}, f'password authentication failed for user "{ROLE}" (check user and password in MOTO'),
        ({"database": "motorsik"}, 'database "motorsik" does not exist (check user and database name in MOTORISK_DATA'),
        ({"username": "told"}, 'role "told" does not exist (check user and database name in MOTORISK_DATABASE_URL'),
        ({"host": "db.invalid", "query": {}}, "could not translate host name"),
        (
            {"host": "127.0.0.1", "port": 1, "query": {}},
            "check that Postgres runs there, and host and port in",
        ),
        ({"host": "127.0.0.1", "port": 99999, "query": {}}, "(correct MOTORISK_DATABASE_URL)"),
        ({"query": {"sslmod": "require"}}, "(correct MOTORISK_DATABASE_URL)"),
        ({"drivername": "mysql"}, "must be a postgresql:// address, got mysql://"),
    ],
    ids=["password", "database", "user", "host", "port", "no port", "option", "scheme"],
)
def test_an_address_that_leads_nowhere(motorisk: Run, guarded: str, change: dict[str, Any], line: str) -> None:
    url = make_url(guarded).set(**change).render_as_string(hide_password=False)
    assert line in the_line(motorisk("models", MOTORISK_DATABASE_URL=url))


@pytest.mark.fault("wrong database")
def test_an_address_that_is_none_is_not_repeated(motorisk: Run) -> None:
    for url in (f"postgresql://u:{PASSWORD}@host:port/motorisk", f"u:{PASSWORD}@host/motorisk"):
        line = the_line(motorisk("models", MOTORISK_DATABASE_URL=url))
        assert line == "Wrong setting: MOTORISK_DATABASE_URL is not a database address (postgresql://…)"


@pytest.mark.fault("wrong database")
@pytest.mark.parametrize("arguments", [["models"], ["db", "upgrade"], ["db", "downgrade", "base", "--yes"]])
def test_the_database_of_another_program_is_left_alone(motorisk: Run, warehouse: Engine, arguments: list[str]) -> None:
    with warehouse.begin() as connection:  # as Airflow's looks
        connection.execute(text("DROP SCHEMA motorisk CASCADE"))
        connection.execute(text("UPDATE alembic_version SET version_num = '686269002441'"))
    line = the_line(motorisk(*arguments))
    assert line.endswith("of another program: let MOTORISK_DATABASE_URL name Motorisk's database")
    with warehouse.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "686269002441"


@pytest.mark.fault("migrations ahead")
@pytest.mark.parametrize("arguments", [["models"], ["db", "upgrade"], ["db", "downgrade", "0001", "--yes"]])
def test_a_database_that_is_ahead_is_left_alone(motorisk: Run, warehouse: Engine, arguments: list[str]) -> None:
    with warehouse.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9000'"))
    assert "use the newer code, or go back with its `motorisk db downgrade`" in the_line(motorisk(*arguments))


@pytest.mark.fault("migrations behind")
def test_a_database_without_tables_may_be_the_wrong_one(motorisk: Run, warehouse: Engine) -> None:
    with warehouse.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    line = the_line(motorisk("score", "--as-of", "2024-01-31"))
    assert "run `motorisk db upgrade`, if MOTORISK_DATABASE_URL names the right one" in line


@pytest.mark.fault("migrations behind")
def test_no_way_leads_to_a_migration_that_does_not_exist(motorisk: Run) -> None:
    assert "no way leads to migration 7777" in the_line(motorisk("db", "downgrade", "7777", "--yes"))


@pytest.fixture
def championed(warehouse: Engine, offer: Callable[..., int], motorisk: Run) -> Engine:
    motorisk("simulate", "--start", "2024-01", "--months", "1", "--policies", "50")
    version = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, version, by="uma")
    return warehouse


WRITING = [
    ["score", "--as-of", "2024-01-31"],
    ["performance", "--as-of", "2024-01-31"],
    ["simulate", "--start", "2024-01", "--months", "2", "--policies", "5"],
    ["clients", "add", "broker"],
]


@pytest.mark.fault("missing permission")
@pytest.mark.parametrize("arguments", WRITING, ids=lambda arguments: arguments[0])
def test_a_role_that_may_not(championed: Engine, motorisk: Run, guarded: str, arguments: list[str]) -> None:
    line = the_line(motorisk(*arguments, MOTORISK_DATABASE_URL=guarded))
    assert line.startswith("Permission missing: permission denied for ")
    assert line.endswith("let MOTORISK_DATABASE_URL name a login that may, or have it granted (`motorisk db grant`)")


@pytest.mark.fault("read-only database")
@pytest.mark.parametrize("arguments", WRITING, ids=lambda arguments: arguments[0])
def test_a_database_that_takes_no_writes(championed: Engine, motorisk: Run, arguments: list[str]) -> None:
    database = championed.url.database
    with championed.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {database} SET default_transaction_read_only = on"))
    line = the_line(motorisk(*arguments, MOTORISK_DATABASE_URL=_another(championed)))
    assert "wait until it does, or point MOTORISK_DATABASE_URL to the primary if it is a standby" in line


def _another(engine: Engine) -> str:
    """The same database at an address that no pool of connections knows yet."""
    query = {**engine.url.query, "connect_timeout": "9"}
    return engine.url.set(query=query).render_as_string(hide_password=False)


@pytest.mark.fault("no champion")
@pytest.mark.parametrize("arguments", ["score", "drift"])
def test_no_champion_says_how_to_get_one(motorisk: Run, arguments: str) -> None:
    line = the_line(motorisk(arguments, "--as-of", "2024-01-31"))
    assert line == "No champion: no model is approved yet: run `motorisk train`, then `motorisk approve`"


@pytest.mark.fault("empty portfolio")
def test_an_empty_portfolio_names_the_date(championed: Engine, motorisk: Run) -> None:
    with championed.begin() as connection:
        connection.execute(text("TRUNCATE insurance.policy CASCADE"))
    assert "no policy is in force on 2024-01-31" in the_line(motorisk("score", "--as-of", "2024-01-31"))


@pytest.mark.fault("port taken")
def test_a_taken_port_of_the_drift_reports_is_named(motorisk: Run) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        line = the_line(motorisk("drift-ui", MOTORISK_DRIFT_UI_PORT=port))
    assert line.startswith(f"Port taken: port {port} for drift reports cannot be used")
    assert line.endswith("set MOTORISK_DRIFT_UI_PORT to another port")


@pytest.mark.fault("expired key")
def test_a_key_cannot_begin_expired(motorisk: Run) -> None:
    line = the_line(motorisk("clients", "add", "broker", "--expires", "2024-01-31"))
    assert "2024-01-31" in line


# --- folders and files, as a user who may not ----------------------------------------------------------------------


def _unprivileged(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program without root's right to write everywhere."""
    command = [str(Path(sys.executable).parent / "motorisk"), *arguments]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MOTORISK_")}
    return subprocess.run(
        command, env=inherited | environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.fault("folder not writable")
@pytest.mark.parametrize("arguments", [["simulate", "--csv", "{home}", "--months", "1", "--policies", "3"], ["models"]])
def test_a_folder_that_cannot_be_written(tmp_path: Path, arguments: list[str]) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    home = str(closed / "home")
    done = _unprivileged(*[part.format(home=home) for part in arguments], cwd=tmp_path, MOTORISK_HOME=home)
    line = the_line(done)
    assert line.startswith(f"Folder not writable: {home}: Permission denied: let user ")
    assert line.endswith("write there, or set another folder (MOTORISK_HOME)")


@pytest.mark.fault("folder not writable")
def test_training_into_a_folder_that_is_a_file_registers_nothing(
    motorisk: Run, warehouse: Engine, tmp_path: Path
) -> None:
    motorisk("simulate", "--start", "2023-01", "--months", "1", "--policies", "600")
    (tmp_path / "file").touch()
    line = the_line(motorisk("train", "--as-of", "2023-01-31", MOTORISK_HOME=str(tmp_path / "file")))
    assert line.startswith(f"Folder not writable: {tmp_path / 'file' / 'snapshots'}: Not a directory")
    with warehouse.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM motorisk.model_version")) == 0
        assert connection.scalar(select(func.count()).select_from(policy)) == 600


@pytest.mark.fault("folder not writable")
def test_a_file_that_cannot_be_written_is_named(championed: Engine, motorisk: Run, tmp_path: Path) -> None:
    done = motorisk("import", str(tmp_path / "no" / "such.csv"))
    assert str(tmp_path / "no" / "such.csv") in the_line(done)


@pytest.mark.fault("working directory gone")
def test_without_a_working_directory_only_relative_paths_are_missed(
    championed: Engine, motorisk: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    scored = motorisk("score", "--as-of", "2024-01-31", "--json")
    assert (scored.returncode, '"rows": 50' in scored.stdout) == (0, True), scored.stderr
    line = the_line(motorisk("models", MOTORISK_HOME="relative"))
    assert "MOTORISK_HOME: Value error, the working directory is gone: change to another, or set an absolute" in line
    monkeypatch.chdir(tmp_path)
