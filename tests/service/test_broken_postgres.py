"""A Postgres of its own, broken in every way that one breaks: no quote is lost or doubled, and the nights say why.

Its data lie on a small disk in memory, which the tests fill.
"""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, make_url, select, text
from sqlalchemy.pool import NullPool

from motorisk.errors import DatabaseUnavailable
from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.database import open_warehouse, pool_of
from motorisk.warehouse.embedded import EmbeddedPostgres
from motorisk.warehouse.migrate import upgrade
from motorisk.warehouse.tables import quote, score

DAY = date(2026, 1, 31)
DISK = "200m"
CONNECTIONS = 25
SMALL = f"max_connections = {CONNECTIONS}\nshared_buffers = '16MB'\nmin_wal_size = '32MB'\nmax_wal_size = '32MB'\n"


class Breakable:
    """The server, its disk, and the platform's database on it."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        self.server = EmbeddedPostgres(disk / "postgres")
        self.address = self.server.ensure_running()
        with (self.server.data / "postgresql.conf").open("a") as file:
            file.write(SMALL)
        self.restart()
        self.execute("CREATE DATABASE motorisk")
        self.url = self.address.format(database="motorisk")
        self.engine = create_engine(self.url, poolclass=NullPool)
        upgrade(self.engine)

    def restart(self) -> None:
        self.server.stop()
        self.server.ensure_running()

    def execute(self, statement: str) -> None:
        engine = create_engine(
            self.address.format(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool
        )
        with engine.connect() as connection:
            connection.execute(text(statement))

    def fill(self) -> None:
        """Leave no room on the disk."""
        with (self.disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(b"\0" * 4096)

    def make_room(self) -> None:
        (self.disk / "ballast").unlink(missing_ok=True)

    def quotes(self) -> list[str]:
        with self.engine.connect() as connection:
            return [str(found) for found in connection.scalars(select(quote.c.quote_id))]

    def scores(self) -> list[tuple[Any, ...]]:
        columns = [column for column in score.c if column.name not in ("run_id", "scored_at")]
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(select(*columns).order_by(score.c.policy_id))]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk in memory needs root")
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(
        [shutil.which("mount") or "/bin/mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small disk in memory")
    folder.chmod(0o755)
    yield folder
    subprocess.run([shutil.which("umount") or "/bin/umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def postgres_to_break(disk: Path, approve: Callable[[Engine], int]) -> Iterator[Breakable]:
    broken = Breakable(disk)
    try:
        simulate_portfolio(broken.engine, Simulation(start=date(2026, 1, 1), months=1, policies_a_month=200))
        approve(broken.engine)
        score_portfolio(broken.engine, DAY)
        yield broken
    finally:
        broken.make_room()
        broken.server.stop()


@pytest.fixture
def night(postgres_to_break: Breakable, settings: Settings) -> Callable[[], None]:
    """Score the portfolio as a command or a task would; raises what they would show."""
    there = settings.model_copy(update={"database_url": SecretStr(postgres_to_break.url)})

    def run() -> None:
        score_portfolio(open_warehouse(there), DAY)

    return run


class Channel:
    """A sales channel that asks for quotes, and what it was answered."""

    def __init__(self, client: FlaskClient, body: dict[str, Any]) -> None:
        self.client, self.body = client, body
        self.answered: list[str] = []
        self.recorded: set[str] = set()

    def ask(self, times: int = 1) -> None:
        for _ in range(times):
            answer = self.client.post("/v1/quotes", json=self.body)
            assert answer.status_code == 201, answer.text
            self.answered.append(answer.json["quote_id"])
            self.recorded.add(answer.json["recorded"])


@pytest.fixture
def channel(
    postgres_to_break: Breakable, start_app: Callable[..., FlaskClient], body: dict[str, Any]
) -> Iterator[Channel]:
    """Quotes before, and in the end: all that were answered are in the ledger, once."""
    before = len(postgres_to_break.quotes())
    asking = Channel(start_app(database_url=SecretStr(postgres_to_break.url)), body)
    asking.ask(3)
    assert asking.recorded == {"ledger"}
    yield asking
    deadline = time.monotonic() + 60
    while len(postgres_to_break.quotes()) < before + len(asking.answered):
        assert time.monotonic() < deadline, asking.client.get("/readyz").text
        time.sleep(0.1)
    found = postgres_to_break.quotes()
    assert len(found) == len(set(found)) == before + len(asking.answered)
    assert set(asking.answered) <= set(found)
    asking.recorded.clear()
    while "ledger" not in asking.recorded:
        assert time.monotonic() < deadline
        asking.ask()
    pool_of.cache_clear()


@pytest.mark.fault("Postgres stopped")
def test_stopped(postgres_to_break: Breakable, channel: Channel, night: Callable[[], None]) -> None:
    postgres_to_break.server.stop()
    try:
        channel.ask(20)
        assert channel.recorded == {"ledger", "journal"}
        with pytest.raises(DatabaseUnavailable, match="cannot reach the database of MOTORISK_DATABASE_URL"):
            night()
    finally:
        postgres_to_break.server.ensure_running()
    wanted = postgres_to_break.scores()
    night()
    assert postgres_to_break.scores() == wanted


@pytest.mark.fault("Postgres restarted")
def test_restarted_while_quotes_are_asked_for(postgres_to_break: Breakable, channel: Channel) -> None:
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            channel.ask()

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        for _ in range(2):
            time.sleep(0.3)
            postgres_to_break.restart()
            time.sleep(0.3)
    finally:
        done.set()
        asking.join(30)
    assert len(channel.answered) > 10


@pytest.mark.fault("out of connections")
def test_out_of_connections(postgres_to_break: Breakable, channel: Channel, night: Callable[[], None]) -> None:
    address = make_url(postgres_to_break.url)
    taken = []
    with suppress(psycopg2.OperationalError):
        while True:
            taken.append(psycopg2.connect(dbname="postgres", user="postgres", host=address.query["host"]))
    try:
        taken[0].autocommit = True
        with taken[0].cursor() as cursor:  # what the service holds goes, and somebody else is quicker
            cursor.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'motorisk'")
        time.sleep(0.1)
        with suppress(psycopg2.OperationalError):
            while True:
                taken.append(psycopg2.connect(dbname="postgres", user="postgres", host=address.query["host"]))
        channel.ask(20)
        assert "journal" in channel.recorded
        pool_of.cache_clear()
        with pytest.raises(DatabaseUnavailable, match="end connections that nobody uses"):
            night()
    finally:
        for connection in taken:
            connection.close()
    wanted = postgres_to_break.scores()
    night()
    assert postgres_to_break.scores() == wanted


@pytest.mark.fault("disk full")
def test_disk_full(postgres_to_break: Breakable, channel: Channel, night: Callable[[], None]) -> None:
    wanted = postgres_to_break.scores()
    postgres_to_break.fill()
    try:
        channel.ask(20)
        with pytest.raises(DatabaseUnavailable) as refused:
            _again_and_again(night)  # there may be room left in files that are there
        assert "\n" not in str(refused.value)
    finally:
        postgres_to_break.make_room()
        postgres_to_break.server.ensure_running()  # without room for its log it stops
    night()
    assert postgres_to_break.scores() == wanted


def _again_and_again(night: Callable[[], None]) -> None:
    for _ in range(50):
        night()


@pytest.mark.fault("read-only database")
def test_read_only(postgres_to_break: Breakable, channel: Channel, night: Callable[[], None]) -> None:
    wanted = postgres_to_break.scores()
    postgres_to_break.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    postgres_to_break.execute("SELECT pg_reload_conf()")
    try:
        time.sleep(0.3)
        channel.ask(20)
        assert "journal" in channel.recorded
        with pytest.raises(DatabaseUnavailable, match="point MOTORISK_DATABASE_URL to the primary if it is a standby"):
            night()
    finally:
        maintenance = psycopg2.connect(
            dbname="postgres",
            user="postgres",
            host=make_url(postgres_to_break.url).query["host"],
            options="-c default_transaction_read_only=off",
        )
        maintenance.autocommit = True
        with maintenance.cursor() as cursor:
            cursor.execute("ALTER SYSTEM RESET default_transaction_read_only")
            cursor.execute("SELECT pg_reload_conf()")
        maintenance.close()
    time.sleep(0.3)
    assert postgres_to_break.scores() == wanted
    night()
    assert postgres_to_break.scores() == wanted
