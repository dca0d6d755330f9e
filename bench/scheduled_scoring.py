"""How fast Airflow's own scheduler gets a portfolio scored, with two workers.

    .venv/bin/python -m bench.scheduled_scoring [--rows 1000000,3000000,10000000] [--rounds 2] [--empty 40]

Starts a PostgreSQL and an Airflow of their own in a temporary folder (LocalExecutor, parallelism 2), trains a champion
and lets the DAG `score_portfolio` score ever more policies. Times are Airflow's own records: of the run from its start
to its end, of each task likewise. Memory is the largest peak of any process under the scheduler, of which the tasks
are. The floor is that of `bench/scoring.py`, taken after each run. A checkpoint comes before each measurement, so that
none pays for the one before. In the end the run of a plan whose partitions have no policies shows what Airflow itself
needs around a partition.
"""

import argparse
import contextlib
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text

from bench.scoring import AS_OF, Floor, fill, platform
from motorisk.demo.airflow import OPERATOR, AirflowApi, LocalAirflow
from motorisk.demo.processes import Supervisor
from motorisk.pipelines.scoring.planning import plan_scoring
from motorisk.ports import free_port
from motorisk.settings import Settings
from motorisk.warehouse.embedded import EmbeddedPostgres

DAG = "score_portfolio"
WORKERS = 2
START_SECONDS = 180
RUN_SECONDS = 600
COLUMNS = (
    "policies", "parts", "run", "plan", "partitions", "publish", "summarise", "between", "floor", "of the floor",
    "peak MB", "load",
)  # fmt: skip
_RUN = text("SELECT state, start_date, end_date FROM dag_run WHERE dag_id = :dag AND run_id = :run")
_TASKS = text(
    "SELECT task_id, map_index, state, queued_dttm, start_date, end_date FROM task_instance "
    "WHERE dag_id = :dag AND run_id = :run ORDER BY start_date"
)
_BUSY = text("SELECT count(*) FROM dag_run WHERE dag_id = :dag AND state IN ('queued', 'running')")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Span:
    """A task as Airflow recorded it."""

    task: str
    queued: datetime
    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """From start to end."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Measured:
    """A run; `seconds` from its start to its end, `peak` the largest process in megabytes, `load` from before."""

    rows: int
    start: datetime
    seconds: float
    tasks: Sequence[Span]
    peak: float
    load: float

    def of(self, task: str) -> list[Span]:
        """A task's spans, one a partition."""
        return [span for span in self.tasks if span.task == task]

    def across(self, task: str) -> float:
        """Seconds from the first start to the last end of a task."""
        spans = self.of(task)
        return (max(span.end for span in spans) - min(span.start for span in spans)).total_seconds()

    def between(self) -> float:
        """Seconds of the run in which none of its tasks ran."""
        busy = 0.0
        until = self.tasks[0].start
        for span in self.tasks:
            busy += max(0.0, (span.end - max(until, span.start)).total_seconds())
            until = max(until, span.end)
        return self.seconds - busy

    def timeline(self) -> Iterator[str]:
        """A line a task: seconds after the run's start at which it was queued, started and ended."""
        for span in self.tasks:
            moments = ((moment - self.start).total_seconds() for moment in (span.queued, span.start, span.end))
            yield f"  {span.task:15} " + " ".join(f"{seconds:7.2f}" for seconds in moments)


class Airflow:
    """The scheduler and what it needs, up and idle."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        local = LocalAirflow(settings)
        environment = local.environment() | {
            "AIRFLOW__CORE__PARALLELISM": str(WORKERS),
            # Airflow's own defaults; the demo reads the DAGs again more often, which takes a part of a core.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "300",
        }
        local.migrate(environment)
        components = local.components(environment)
        for component in components:
            supervisor.start(component)
        (self._scheduler,) = (component for component in components if component.name == "airflow scheduler")
        self._supervisor = supervisor
        self._database = create_engine(environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
        self._api = AirflowApi(local.url, OPERATOR, local.passwords()[OPERATOR])
        self._wait(self._api.is_healthy, START_SECONDS, "Airflow did not become healthy")
        self._api.log_in()
        self._wait(lambda: DAG in self._api.dag_ids(), START_SECONDS, f"Airflow did not read {DAG}")
        self._api.unpause(DAG)
        time.sleep(15)  # it makes the run of the last night, for which this portfolio has no policies
        self._wait(self._is_idle, RUN_SECONDS, "the first run does not end")

    def _wait(self, done: Callable[[], bool], seconds: float, otherwise: str, look: float = 0.5) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            self._supervisor.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{otherwise} within {seconds} s")
            time.sleep(look)

    def _is_idle(self) -> bool:
        with self._database.connect() as connection:
            return not connection.scalar(_BUSY, {"dag": DAG})

    def close(self) -> None:
        """Let go of its database."""
        self._database.dispose()

    def run(self, rows: int, partitions: int | None = None) -> Measured:
        """Let the DAG run and wait for its end; `RuntimeError` where it did not succeed."""
        load, peak = os.getloadavg()[0], 0.0
        run_id = self._api.trigger(DAG, as_of=AS_OF.isoformat(), partitions=partitions)
        named = {"dag": DAG, "run": run_id}

        def has_ended() -> bool:
            nonlocal peak
            peak = max(peak, self._largest())
            with self._database.connect() as connection:
                return connection.execute(_RUN, named).one().end_date is not None

        self._wait(has_ended, RUN_SECONDS, f"{run_id} does not end", look=0.25)
        with self._database.connect() as connection:
            run = connection.execute(_RUN, named).one()
            tasks = connection.execute(_TASKS, named).all()
        if run.state != "success":
            raise RuntimeError(
                f"{run_id}: {run.state}, {[(task.task_id, task.map_index, task.state) for task in tasks]}"
            )
        spans = [Span(task.task_id, task.queued_dttm, task.start_date, task.end_date) for task in tasks]
        return Measured(rows, run.start_date, (run.end_date - run.start_date).total_seconds(), spans, peak, load)

    def _largest(self) -> float:
        """Peak resident memory (MB) of the process under the scheduler that had most."""
        largest = 0.0
        assert self._scheduler.process is not None  # noqa: S101
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._scheduler.process.pid).children(recursive=True):
                with contextlib.suppress(OSError):
                    found = _PEAK.search(Path(f"/proc/{process.pid}/status").read_text())
                    largest = max(largest, int(found[1]) / 1024 if found else 0.0)
        return largest


@contextlib.contextmanager
def scheduler(server: EmbeddedPostgres) -> Iterator[Airflow]:
    """An Airflow whose tables are on the same server."""
    port = free_port()
    supervisor = Supervisor(print)
    try:
        airflow = Airflow(Settings(home=server.data.parent, approval="auto", airflow_port=port), supervisor)
        yield airflow
        airflow.close()
    finally:
        supervisor.stop()


def checkpoint(engine: Engine) -> None:
    """Have everything written that waits to be."""
    with engine.connect() as connection:
        connection.execute(text("CHECKPOINT"))


def row(run: Measured, floor: float) -> list[str]:
    """A line of the table."""
    seconds = [
        run.seconds, *(run.across(task) for task in ("plan", "score_partition", "publish", "summarise")),
        run.between(), floor,
    ]  # fmt: skip
    return [
        f"{run.rows:,}", str(len(run.of("score_partition"))), *(f"{value:.1f}" for value in seconds),
        f"{run.seconds / floor:.2f}", f"{run.peak:.0f}", f"{run.load:.1f}",
    ]  # fmt: skip


def linearity(runs: dict[int, list[Measured]]) -> Iterator[str]:
    """How the seconds a million policies change from one size to the next: of whole runs, and of what is added."""
    median = {rows: statistics.median(run.seconds for run in of) for rows, of in runs.items()}
    for small, large in pairwise(median):
        more = (median[large] - median[small]) / (large - small) * 1e6
        yield (
            f"{small:,} to {large:,} policies: {median[small] / small * 1e6:.2f} and "
            f"{median[large] / large * 1e6:.2f} s a million; {more:.2f} s for each million more"
        )


def empty(airflow: Airflow, engine: Engine, partitions: int) -> Iterator[str]:
    """What a task around a partition without policies takes."""
    plan_scoring(engine, AS_OF, partitions=partitions)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE insurance.policy CASCADE"))
    run = airflow.run(0)
    spans = run.of("score_partition")
    for name, seconds in {
        "from queued to end": [(span.end - span.queued).total_seconds() for span in spans],
        "from start to end": [span.seconds for span in spans],
    }.items():
        yield f"an empty partition {name}: {statistics.median(seconds):.2f} s (to {max(seconds):.2f} s)"
    yield (
        f"{len(spans)} empty partitions with {WORKERS} workers: {run.across('score_partition'):.1f} s, "
        f"{run.across('score_partition') / len(spans):.2f} s each"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000000,3000000,10000000", help="policies, ascending, comma-separated")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tasks", action="store_true", help="print when each task was queued, started and ended")
    parser.add_argument("--empty", type=int, default=40, help="empty partitions in the end; 0: none")
    arguments = parser.parse_args()
    console = Console(width=120)
    sizes = sorted({int(size) for size in arguments.rows.split(",")})
    table = Table(*COLUMNS, title=f"{DAG}, {WORKERS} workers; seconds", title_justify="left")
    for column in table.columns:
        column.justify = "right"
    runs: dict[int, list[Measured]] = {}
    with platform(sizes[0]) as (server, engine, url), scheduler(server) as airflow:
        airflow.run(sizes[0], partitions=2 * WORKERS)  # whatever is started or read for the first time
        for there, rows in pairwise([sizes[0], *sizes]):
            if rows > there:
                fill(engine, there + 1, rows)
            floor: Floor | None = None
            for _ in range(arguments.rounds):
                checkpoint(engine)
                run = airflow.run(rows)
                runs.setdefault(rows, []).append(run)
                floor = floor or Floor(server, engine, url)
                checkpoint(engine)
                line = row(run, sum(floor.seconds()))
                console.print(", ".join(f"{name} {cell}" for name, cell in zip(COLUMNS, line, strict=True)))
                table.add_row(*line)
                if arguments.tasks:
                    for task in run.timeline():
                        console.print(task)
            with engine.begin() as connection:
                connection.execute(text("DROP TABLE floor"))
        console.print(table)
        for sentence in linearity(runs):
            console.print(sentence)
        if arguments.empty:
            for sentence in empty(airflow, engine, arguments.empty):
                console.print(sentence)


if __name__ == "__main__":
    main()
