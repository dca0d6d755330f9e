"""The embedded server: found again, never started twice, back after a crash."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from motorisk.errors import DatabaseUnavailable
from motorisk.settings import Settings
from motorisk.warehouse.database import open_warehouse
from motorisk.warehouse.embedded import EmbeddedPostgres
from motorisk.warehouse.schema import require_current


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server that was never started."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a server that ran once: making one takes longer than starting it."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("once") / "postgres")
    server.ensure_running()
    server.stop()
    return server.data


@pytest.fixture
def server(new_server: EmbeddedPostgres, stopped: Path) -> EmbeddedPostgres:
    """A server of its own that does not run."""
    copy = shutil.which("cp") or "/bin/cp"
    subprocess.run([copy, "--archive", stopped, new_server.data], check=True)  # owners, too
    return new_server


def _postmasters(data: Path) -> list[int]:
    found = []
    for process in psutil.process_iter(["name", "cmdline", "status"]):
        command = process.info["cmdline"] or []
        alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if alive and process.info["name"] == "postgres" and str(data) in command:
            found.append(process.pid)
    return found


def _pid(server: EmbeddedPostgres) -> int:
    return int((server.data / "postmaster.pid").read_text().splitlines()[0])


def _answer(address: str) -> int:
    engine = create_engine(address.format(database="postgres"), poolclass=NullPool)
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT 42")) or 0)


def test_a_second_start_finds_the_first_server(server: EmbeddedPostgres) -> None:
    first = server.ensure_running()
    pid = _pid(server)
    assert EmbeddedPostgres(server.data).ensure_running() == first
    assert _pid(server) == pid
    assert _answer(first) == 42


@pytest.mark.fault("two at once")
def test_starting_from_many_processes_at_once_starts_one_server(new_server: EmbeddedPostgres) -> None:
    program = (
        "import sys; from pathlib import Path; from motorisk.warehouse.embedded import EmbeddedPostgres; "
        "print(EmbeddedPostgres(Path(sys.argv[1])).ensure_running())"
    )

    def start(_: int) -> str:
        command = [sys.executable, "-c", program, str(new_server.data)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    with ThreadPoolExecutor(4) as pool:
        addresses = set(pool.map(start, range(4)))
    assert len(addresses) == 1
    assert _postmasters(new_server.data) == [_pid(new_server)]


def test_the_server_outlives_the_process_that_started_it(server: EmbeddedPostgres) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from motorisk.warehouse.embedded import EmbeddedPostgres; "
        "EmbeddedPostgres(Path(sys.argv[1])).ensure_running(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(server.data)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert server.is_running()
    pid = _pid(server)
    assert _answer(server.ensure_running()) == 42
    assert _pid(server) == pid


@pytest.mark.fault("Postgres restarted")
def test_a_killed_server_comes_back_with_its_data(server: EmbeddedPostgres) -> None:
    address = server.ensure_running()
    engine = create_engine(address.format(database="postgres"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 1 AS number"))
    postmaster = psutil.Process(_pid(server))
    postmaster.kill()
    psutil.wait_procs([postmaster], timeout=10)
    assert not server.is_running()
    server.ensure_running()
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT number FROM kept")) == 1


@pytest.mark.fault("Postgres restarted")
def test_a_process_id_that_another_program_got_since_does_not_mislead(server: EmbeddedPostgres) -> None:
    address = server.ensure_running()
    server.stop()
    lines = [str(os.getpid()), str(server.data), "1700000000", "5432", str(server.data), "", "1 1", "ready"]
    (server.data / "postmaster.pid").write_text("\n".join(lines) + "\n")
    assert not server.is_running()
    assert server.ensure_running() == address
    assert _answer(address) == 42


def test_stopping_twice_is_no_error(server: EmbeddedPostgres) -> None:
    server.ensure_running()
    assert server.stop() is True
    assert server.stop() is False
    assert _postmasters(server.data) == []


def test_a_folder_with_a_long_name_works(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("long" * 25) / "postgres")
    try:
        assert _answer(server.ensure_running()) == 42
    finally:
        server.stop()


def test_nobody_but_the_owner_can_reach_the_data_or_the_socket(new_server: EmbeddedPostgres) -> None:
    address = new_server.ensure_running()
    assert new_server.data.stat().st_mode & 0o077 == 0
    assert "host=/" in address
    assert psutil.Process(_pid(new_server)).net_connections("tcp") == []


@pytest.mark.fault("Postgres stopped")
def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(DatabaseUnavailable, match="pg_ctl failed"):
        EmbeddedPostgres(data).ensure_running()


def test_the_first_use_creates_and_migrates_the_database(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", database_url=None)
    try:
        engine = open_warehouse(settings)
        require_current(engine)
        engine.dispose()
    finally:
        EmbeddedPostgres(settings.home / "postgres").stop()
