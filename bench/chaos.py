"""Kill a scoring run again and again and compare what it leaves with an undisturbed one.

    python bench/chaos.py [--rows 1000000] [--kills 20] [--seed 1]

Every kill is a SIGKILL at a random moment: of a worker, of the whole command, or of all of Postgres. After each the
command is started again, as Airflow or a person would. Meanwhile a reader looks at the date's scores all the time: they
must be all there, of one run. Ends with 1 where anything differs.
"""

import argparse
import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
from psycopg2 import OperationalError as DriverError
from rich.console import Console
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from motorisk.warehouse.embedded import EmbeddedPostgres

AS_OF = "2024-02-29"
FILL = """
INSERT INTO insurance.policy
SELECT 'P' || lpad(n::text, 9, '0'), NULL, date '2023-03-01' + (n % 365)::int, date '2024-03-01' + (n % 365)::int,
    random() < 0.2, 18 + 60 * random() * random(), random() < 0.45, greatest(1, random_normal(40, 5)),
    greatest(20, random_normal(130, 40)), greatest(5, random_normal(70, 25))
FROM generate_series(1, :rows) n
"""
SCORES = f"COPY (SELECT * FROM motorisk.score WHERE as_of = '{AS_OF}' ORDER BY policy_id) TO STDOUT"  # noqa: S608
SEEN = f"SELECT count(*), count(DISTINCT version) FROM motorisk.score WHERE as_of = '{AS_OF}'"  # noqa: S608
ENDINGS = ("a worker", "the command", "Postgres")


class World:
    """A platform in a folder of its own."""

    def __init__(self, folder: Path, rows: int, partitions: int) -> None:
        self.environment = {**os.environ, "MOTORISK_HOME": str(folder), "MOTORISK_APPROVAL": "auto"}
        self.server = EmbeddedPostgres(folder / "postgres")
        self.address = self.server.ensure_running().format(database="motorisk")
        self.log = (folder / "commands.log").open("w")
        self._score = ["score", "--as-of", AS_OF, "--workers", "2", "--partitions", str(partitions), "--json"]
        for arguments in (
            ["simulate", "--start", "2023-01", "--months", "1", "--policies", "1500"],
            ["train", "--as-of", "2023-01-31", "--set", "search_trials=0"],
        ):
            subprocess.run(self._command(arguments), env=self.environment, check=True, stdout=subprocess.DEVNULL)
        with self.engine().begin() as connection:
            connection.execute(text("SELECT setseed(0.5)"))
            connection.execute(text(FILL), {"rows": rows})
        with self.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE insurance.policy"))

    def _command(self, arguments: list[str]) -> list[str]:
        return [sys.executable, "-m", "motorisk", *arguments]

    def engine(self) -> Engine:
        """The database, whose server is started where it was killed."""
        return create_engine(self.server.ensure_running().format(database="motorisk"), poolclass=NullPool)

    def start(self) -> subprocess.Popen[bytes]:
        """Begin to score, or go on."""
        command = self._command(self._score)
        return subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=self.log, start_new_session=True)

    def digest(self) -> str:
        """SHA-256 of the date's scores."""
        digest = hashlib.sha256()

        class Sink:
            def write(self, row: bytes) -> int:
                digest.update(row)
                return len(row)

        with self.engine().connect() as connection:
            connection.connection.driver_connection.cursor().copy_expert(SCORES, Sink())  # type: ignore[union-attr]
        return digest.hexdigest()

    def kill(self, what: str, run: subprocess.Popen[bytes]) -> None:
        """End processes as a power cut would."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(run.pid).children(recursive=True)
            if what == "Postgres":
                postmaster = psutil.Process(int((self.server.data / "postmaster.pid").read_text().split()[0]))
                _kill([postmaster, *postmaster.children(recursive=True)])
            elif what == "a worker" and children:
                _kill([random.choice(children)])  # noqa: S311
            else:
                _kill([psutil.Process(run.pid), *children])
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(60)
        if run.poll() is None:
            raise RuntimeError(f"the command goes on for ever after {what} was killed")


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def _watch(world: World, seen: Counter[tuple[int, int]], done: threading.Event) -> None:
    while not done.wait(0.3):
        engine = create_engine(world.address, poolclass=NullPool)
        with contextlib.suppress(DBAPIError, DriverError), engine.connect() as connection:
            count, versions = connection.execute(text(SEEN)).one()
            seen[count, versions] += 1


def main() -> int:
    """Print what was killed and whether the result is the undisturbed one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--partitions", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="motorisk-chaos-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        world = World(folder, arguments.rows, arguments.partitions)
        start = time.monotonic()
        if world.start().wait():
            return 1
        usual = time.monotonic() - start
        wanted = world.digest()
        console.print(f"Undisturbed: {usual:.1f} s, {wanted[:12]}…")
        seen: Counter[tuple[int, int]] = Counter()
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(world, seen, done))
        watcher.start()
        killed: Counter[str] = Counter()
        finished, start = 0, time.monotonic()
        try:
            while killed.total() < arguments.kills:
                run = world.start()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    finished += run.wait(random.uniform(0.5, usual / 2)) == 0  # noqa: S311
                    continue
                what = random.choice(ENDINGS)  # noqa: S311
                world.kill(what, run)
                killed[what] += 1
            if world.start().wait():
                return 1
            found = world.digest()
        finally:
            done.set()
            watcher.join()
            with contextlib.suppress(Exception):
                world.server.stop()
        console.print(f"Killed: {dict(killed)}; runs that came through in between: {finished}")
        verdict = "the same" if found == wanted else "DIFFERENT"
        console.print(f"In the end: {time.monotonic() - start:.1f} s, {found[:12]}…, {verdict}")
        console.print(f"What a reader saw (policies, versions): {dict(seen)}")
        return int(found != wanted or len(seen) != 1)


if __name__ == "__main__":
    sys.exit(main())
