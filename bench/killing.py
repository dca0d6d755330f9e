"""Kill parts of the platform in its containers and tell what it loses: `python -m bench.killing`.

Needs the platform of docker-compose.yaml, up, with a champion (`make up`, and its first night over), and changes it:
quotes are added, a training and a scoring are run. Three times, under load on the quote service:

  quotes      every process of the quote service's container, with SIGKILL
  scheduler   the same for Airflow's scheduler, and so for the tasks that run in it, in the middle of a training
  postgres    the container, with SIGKILL, for some seconds, in the middle of a scoring run

Nothing is helped up by hand, but for Postgres, whose container is started again. Ends with 1 where an answered quote is
not in the ledger, is there twice, or a run does not end green.
"""

import argparse
import asyncio
import shlex
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.client import Answers, load
from motorisk.demo.airflow import AirflowApi, AirflowAway

PROJECT = Path(__file__).parent.parent
PARTS = ("quotes", "scheduler", "postgres")
KILL_ALL = "kill -9 -1"
"""Of all that the container's user may kill, which is all but its init: Docker takes a dead init for a crash, and
`docker kill` for somebody's wish that it stays down."""
RUN_SECONDS = 900
DRAIN_SECONDS = 60

console = Console(width=160)


def compose(*arguments: str) -> str:
    """What `docker compose` says."""
    command = ["docker", "compose", *arguments]
    return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout


def sql(query: str) -> list[list[str]]:
    """Rows of the platform's database, asked by its administrator, who needs no password inside the container."""
    command = ["psql", "-U", "postgres", "-d", "motorisk", "-At", "-F", ",", "-c", query]
    told = compose("exec", "-T", "-e", "PGHOST=/var/run/postgresql", "postgres", *command)
    return [line.split(",") for line in told.splitlines()]


def setting(name: str) -> str:
    """A value of .env."""
    for line in (PROJECT / ".env").read_text().splitlines():
        if line.startswith(f"{name}="):
            return shlex.split(line.partition("=")[2])[0]
    raise SystemExit(f"{name} is not in .env: `make env`")


@dataclass
class Outcome:
    """What came of one killing."""

    what: str
    answers: Answers
    recovery: dict[str, float] = field(default_factory=dict)
    """Seconds from the killing (Postgres: from its start) until something is well again."""
    run: str = "-"
    lost: int = 0
    doubled: int = 0

    @property
    def is_well(self) -> bool:
        """Whether nothing is missing."""
        return not (self.lost or self.doubled or self.answers.refused) and self.run in ("-", "success")


class Platform:
    """The running platform, as its operator sees it."""

    def __init__(self) -> None:
        self.quotes = int(setting("QUOTE_PORT"))
        self.airflow = f"http://127.0.0.1:{setting('AIRFLOW_PORT')}"
        self._api = AirflowApi(self.airflow, "admin", setting("AIRFLOW_ADMIN_PASSWORD"))
        self._api.log_in()

    def is_quoting(self) -> bool:
        """Whether the quote service answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.quotes}/v1/model", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def is_healthy(self, container: str) -> bool:
        """What Docker says of a container."""
        return "(healthy)" in compose("ps", "--format", "{{.Status}}", container)

    def start(self, dag_id: str, **params: Any) -> str:
        """Start a run and wait until a task of it is at work."""
        run = self._api.trigger(dag_id, **params)
        until(lambda: self.state(dag_id, run) == "running", 120)
        return run

    def state(self, dag_id: str, run_id: str) -> str:
        """The state of a run, or that Airflow does not answer."""
        try:
            found = self._api.newest_run(dag_id)
        except AirflowAway:
            return "unknown"
        if found is None or found["dag_run_id"] != run_id:
            return "another run"
        return str(found["state"])


def until(done: Callable[[], bool], seconds: float) -> float:
    """Wait; returns the seconds that it took, infinite where they were not enough."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if done():
            return time.monotonic() - start
        time.sleep(0.2)
    return float("inf")


def disturbed(what: str, disturb: Callable[[Outcome], None], port: int, key: str, connections: int) -> Outcome:
    """Load on the quote service from before a disturbance until it is over, then a look into the ledger."""
    outcome = Outcome(what, Answers())
    over = threading.Event()
    since = datetime.now(UTC) - timedelta(seconds=1)

    def run() -> None:
        try:
            disturb(outcome)
        finally:
            over.set()

    async def ask() -> None:
        while not over.is_set():  # in pieces, since nobody knows how long it takes
            piece = await load(port, key, connections=connections, seconds=5)
            outcome.answers.quotes += piece.quotes
            outcome.answers.refused += piece.refused
            outcome.answers.broken += piece.broken

    disturber = threading.Thread(target=run)
    disturber.start()
    asyncio.run(ask())
    disturber.join()
    _look_into_the_ledger(outcome, since)
    return outcome


def _look_into_the_ledger(outcome: Outcome, since: datetime) -> None:
    answered = {quote_id for _, quote_id, *_ in outcome.answers.quotes}
    query = f"SELECT quote_id, count(*) FROM motorisk.quote WHERE quoted_at >= '{since.isoformat()}' GROUP BY 1"  # noqa: S608
    found: dict[str, int] = {}

    def is_all_there() -> bool:
        found.update((row[0], int(row[1])) for row in sql(query))
        return answered <= found.keys()

    until(is_all_there, DRAIN_SECONDS)  # what is in the journal comes a moment later
    outcome.lost = len(answered - found.keys())
    keys = Counter(key for key, quote_id in {(key, quote_id) for key, quote_id, *_ in outcome.answers.quotes if key})
    outcome.doubled = sum(count > 1 for count in found.values()) + sum(count > 1 for count in keys.values())


def kill_quotes(platform: Platform) -> Callable[[Outcome], None]:
    """Every process of the quote service."""

    def disturb(outcome: Outcome) -> None:
        time.sleep(5)
        compose("exec", "-T", "quotes", "sh", "-c", KILL_ALL)
        until(lambda: not platform.is_quoting(), 5)
        outcome.recovery["quotes"] = until(platform.is_quoting, 120)
        time.sleep(5)

    return disturb


def kill_scheduler(platform: Platform, as_of: str) -> Callable[[Outcome], None]:
    """The scheduler and its tasks, in the middle of a training."""

    def disturb(outcome: Outcome) -> None:
        run = platform.start("train_model", as_of=as_of)
        time.sleep(10)
        compose("exec", "-T", "airflow-scheduler", "sh", "-c", KILL_ALL)
        start = time.monotonic()
        until(lambda: not platform.is_healthy("airflow-scheduler"), 5)
        outcome.recovery["scheduler"] = until(lambda: platform.is_healthy("airflow-scheduler"), 300)
        until(lambda: platform.state("train_model", run) in ("success", "failed"), RUN_SECONDS)
        outcome.recovery["train_model"] = time.monotonic() - start
        outcome.run = platform.state("train_model", run)

    return disturb


def kill_postgres(platform: Platform, as_of: str, away: float) -> Callable[[Outcome], None]:
    """The database, in the middle of a scoring run."""

    def disturb(outcome: Outcome) -> None:
        run = platform.start("score_portfolio", as_of=as_of)
        compose("kill", "--signal", "SIGKILL", "postgres")
        time.sleep(away)
        compose("start", "postgres")
        start = time.monotonic()
        outcome.recovery["postgres"] = until(lambda: platform.is_healthy("postgres"), 120)
        until(lambda: platform.state("score_portfolio", run) in ("success", "failed"), RUN_SECONDS)
        outcome.recovery["score_portfolio"] = time.monotonic() - start
        outcome.run = platform.state("score_portfolio", run)

    return disturb


def show(outcomes: list[Outcome]) -> None:
    """A row a killing."""
    table = Table("killed", "answered", "lost", "doubled", "refused", "broken connections", "run", "well again after")
    for outcome in outcomes:
        after = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in outcome.recovery.items())
        answers = outcome.answers
        table.add_row(
            outcome.what,
            f"{len(answers.quotes):,}",
            str(outcome.lost),
            str(outcome.doubled),
            str(Counter(answers.refused).most_common(2) or 0),
            str(answers.broken),
            outcome.run,
            after,
        )
    console.print(table)


def main() -> None:
    """Kill what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--away", type=float, default=20, help="seconds without Postgres (default 20)")
    parser.add_argument("--connections", type=int, default=8, help="of the load on the quote service (default 8)")
    parser.add_argument("--key", default="none", help="API key, where the quote service wants one")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    platform = Platform()
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    earlier = (yesterday.replace(day=1) - timedelta(days=1)).replace(day=1) - timedelta(days=1)
    disturbances = {
        "quotes": kill_quotes(platform),
        "scheduler": kill_scheduler(platform, earlier.isoformat()),
        "postgres": kill_postgres(platform, yesterday.isoformat(), options.away),
    }
    outcomes = [
        disturbed(part, disturbances[part], platform.quotes, options.key, options.connections) for part in parts
    ]
    show(outcomes)
    sys.exit(not all(outcome.is_well for outcome in outcomes))


if __name__ == "__main__":
    main()
