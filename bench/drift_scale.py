"""How long a nightly drift report takes with millions of policies, and how much memory.

    .venv/bin/python -m bench.drift_scale [--rows 10000000]

Fills an embedded Postgres in a temporary folder with a year of policies, trains a champion on the 1,500 of the month
before, scores the policies (all are in force), records a day of quotes, and reports drift of the three in a process of
its own: its time and its largest resident memory, and that of Postgres' processes (their shared memory counted once).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from motorisk.warehouse.embedded import EmbeddedPostgres

FILL = """
INSERT INTO insurance.policy
SELECT 'P' || lpad(n::text, 9, '0'), NULL, date '2023-02-01' + (n % 365)::int, date '2024-02-01' + (n % 365)::int,
    random() < 0.2, 18 + 60 * random() * random(), random() < 0.45, greatest(1, random_normal(40, 5)),
    greatest(20, random_normal(130, 40)), greatest(5, random_normal(70, 25))
FROM generate_series(1, :rows) n
"""
AS_OF = "2024-01-31"
QUOTE = """
INSERT INTO motorisk.quote (quoted_at, quote_id, channel, effective_date, training, age, emergency_braking,
    braking_distance, power, miles)
SELECT timestamptz '2024-01-31 00:00Z' + n * interval '0.1 s', gen_random_uuid(), 'mock', date '2024-01-31',
    random() < 0.2, 18 + 60 * random() * random(), random() < 0.45, greatest(1, random_normal(40, 5)),
    greatest(20, random_normal(130, 40)), greatest(5, random_normal(70, 25))
FROM generate_series(1, :rows) n
"""
MEASURE = """
import json, resource, sys, time
from datetime import date
from motorisk.pipelines.drift import report_drift
from motorisk.settings import settings
from motorisk.warehouse.database import open_warehouse
engine = open_warehouse(settings())
start = time.monotonic()
run = report_drift(engine, settings(), date.fromisoformat(sys.argv[1]))
print(json.dumps({
    "seconds": time.monotonic() - start,
    "processor": time.process_time(),
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "windows": run.windows, "rows": run.rows, "kinds": {kind: found.rows for kind, found in run.kinds.items()},
    "skipped": run.skipped,
    "scores": {name: drift.score for name, drift in run.features.items()},
}))
"""


class _Watch(threading.Thread):
    """The largest memory of the server's processes that is not shared, and their processor time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.megabytes = 0.0
        self.processor: dict[int, float] = {}
        self.stopped = threading.Event()
        self._server = psutil.Process(int((folder / "postgres" / "postmaster.pid").read_text().split()[0]))

    def run(self) -> None:
        """Look ten times a second."""
        while not self.stopped.wait(0.1):
            total = 0
            for process in self._server.children():
                try:
                    memory, times = process.memory_info(), process.cpu_times()
                except psutil.Error:
                    continue
                total += memory.rss - memory.shared
                self.processor.setdefault(-process.pid, times.user + times.system)
                self.processor[process.pid] = times.user + times.system
            self.megabytes = max(self.megabytes, total / 2**20)

    @property
    def processor_seconds(self) -> float:
        """Since the watch began."""
        return sum(seconds if pid > 0 else -seconds for pid, seconds in self.processor.items())


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--quotes", type=int, default=500_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="motorisk-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        environment = {**os.environ, "MOTORISK_HOME": name, "MOTORISK_APPROVAL": "auto"}
        server = EmbeddedPostgres(folder / "postgres")
        address = server.ensure_running().format(database="motorisk")
        try:
            for command in (
                ["simulate", "--start", "2023-01", "--months", "1", "--policies", "1500"],
                ["train", "--as-of", "2023-01-31", "--set", "search_trials=0", "--set", "candidates=[rules, gam]"],
            ):
                run = [sys.executable, "-m", "motorisk", *command]
                subprocess.run(run, env=environment, check=True, stdout=subprocess.DEVNULL)
            engine = create_engine(address, poolclass=NullPool)
            start = time.monotonic()
            with engine.begin() as connection:
                connection.execute(text(FILL), {"rows": arguments.rows})
                connection.execute(text(QUOTE), {"rows": arguments.quotes})
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE insurance.policy, motorisk.quote"))
            print(f"{arguments.rows:,} policies are there after {time.monotonic() - start:.0f} s", file=sys.stderr)
            run = [sys.executable, "-m", "motorisk", "score", "--as-of", AS_OF, "--workers", "2", "--json"]
            subprocess.run(run, env=environment, check=True, stdout=subprocess.DEVNULL)
            print(f"and scored after {time.monotonic() - start:.0f} s", file=sys.stderr)
            for _ in range(2):
                watch = _Watch(folder)
                watch.start()
                measured = subprocess.run(
                    [sys.executable, "-c", MEASURE, AS_OF], env=environment, check=True, stdout=subprocess.PIPE
                )
                watch.stopped.set()
                watch.join()
                found = json.loads(measured.stdout)
                print(
                    f"{arguments.rows:,} policies in {found['windows']} months, "
                    + ", ".join(f"{rows:,} {kind}" for kind, rows in found["kinds"].items())
                    + f": {found['seconds']:.1f} s, "
                    f"{found['megabytes']:.0f} MB; Postgres' own memory {watch.megabytes:.0f} MB; processor time "
                    f"{found['processor']:.1f} s, Postgres {watch.processor_seconds:.1f} s"
                )
        finally:
            server.stop()


if __name__ == "__main__":
    main()
