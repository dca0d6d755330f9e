"""How fast the quote service is, and what it loses when things break: `python -m bench.quotes`.

Starts its own PostgreSQL, trains a model on simulated policies, and runs gunicorn on free ports, all in a temporary
folder. Throughput is compared with a bare Flask route that answers a constant JSON under the same settings, in turns,
since a busy machine slows both down; the CPU columns tell what a request costs whatever else runs.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text

from bench.client import BODY, Answers, load
from motorisk.domain.policy import PolicyFeatures
from motorisk.ports import free_port
from motorisk.quoting.champion import ServedModel
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.quote import explain
from motorisk.quoting.service import Asked, price
from motorisk.registry import transitions, versions
from motorisk.registry.clients import add_key
from motorisk.registry.tariffs import tariffs
from motorisk.settings import PREFIX
from motorisk.warehouse.embedded import EmbeddedPostgres
from motorisk.warehouse.migrate import upgrade

PARTS = ("throughput", "pricing", "swap", "outage", "kill")
CONNECTIONS = 32
WORKERS = 2
START_SECONDS = 90

console = Console(width=160)


@dataclass
class World:
    """A platform of the benchmark's own."""

    folder: Path
    postgres: EmbeddedPostgres
    engine: Engine
    environment: dict[str, str]
    key: str
    """With which all loads say who they are; its rate is limited, but out of reach."""


@dataclass
class Server:
    """A running gunicorn."""

    process: subprocess.Popen[bytes]
    port: int
    started_in: float

    def workers(self) -> list[psutil.Process]:
        """The worker processes."""
        return psutil.Process(self.process.pid).children()

    def get(self, path: str) -> Any:
        """A JSON document."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)


@contextmanager
def world(policies: int, months: int = 36) -> Iterator[World]:
    """Postgres with a champion, trained on what was known at the end of so many months up to now."""
    folder = Path(tempfile.mkdtemp(prefix="motorisk-bench-"))
    folder.chmod(0o755)
    postgres = EmbeddedPostgres(folder / "server" / "postgres")
    try:
        address = postgres.ensure_running()
        maintenance = create_engine(address.format(database="postgres"), isolation_level="AUTOCOMMIT")
        with maintenance.connect() as connection:
            connection.execute(text("CREATE DATABASE motorisk"))
        maintenance.dispose()
        url = address.format(database="motorisk")
        engine = create_engine(url, pool_pre_ping=True)
        upgrade(engine)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment |= {"MOTORISK_HOME": str(folder / "home"), "MOTORISK_DATABASE_URL": url, "MOTORISK_USER": "bench"}
        environment["MOTORISK_APPROVAL"] = "auto"
        last_month = datetime.now(UTC).date().replace(day=1) - timedelta(days=1)
        size = ["--policies", str(policies), "--months", str(months)]
        for arguments in (["simulate", *size], ["train", "--as-of", last_month.isoformat()]):
            command = [sys.executable, "-m", "motorisk", *arguments, "--json"]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        with engine.begin() as connection:
            _, key = add_key(connection, "bench", by="bench", rate=1e9)
        environment["MOTORISK_QUOTE_ACCESS"] = "keys"
        yield World(folder, postgres, engine, environment, key)
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(here: World, module: str, path: str) -> Iterator[Server]:
    """A gunicorn that answers `path` already."""
    port = free_port()
    environment = here.environment | {"MOTORISK_QUOTE_PORT": str(port), "MOTORISK_QUOTE_WORKERS": str(WORKERS)}
    start = time.monotonic()
    with (here.folder / f"{module}-{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", f"python:{module}"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        while not _answers(port, path, here.key):
            if process.poll() is not None or time.monotonic() - start > START_SECONDS:
                raise SystemExit((here.folder / f"{module}-{port}.log").read_text())
            time.sleep(0.02)
        server = Server(process, port, time.monotonic() - start)
        while len(server.workers()) < WORKERS:
            time.sleep(0.05)
        time.sleep(2)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int, path: str, key: str) -> bool:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=BODY, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310
            return answer.status in {200, 201}
    except OSError:
        return False


# --- throughput ---------------------------------------------------------------------------------------------------


@dataclass
class Load:
    """One run of wrk."""

    rate: float
    median_ms: float
    p99_ms: float
    failed: int
    cpu_us: float
    """Of all that serves a request (workers, Postgres, wrk), in microseconds."""
    others: float
    """Processors that other programs used meanwhile."""


def _milliseconds(found: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", found).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


def _cpu(processes: list[psutil.Process]) -> float:
    used = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
            used += times.user + times.system
        except psutil.Error:
            continue
    return used


def wrk(here: World, server: Server, path: str, seconds: int) -> Load:
    """Load a route on keep-alive connections."""
    script = here.folder / "post.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [[{BODY.decode()}]]\n'
        f'wrk.headers["Authorization"] = "Bearer {here.key}"\n'
    )
    postmaster = psutil.Process(int((here.postgres.data / "postmaster.pid").read_text().split()[0]))
    ours = [*server.workers(), postmaster, *postmaster.children()]
    before, machine, children = _cpu(ours), psutil.cpu_times(), os.times()
    address = f"http://127.0.0.1:{server.port}{path}"
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "--latency", "-s", str(script)]
    done = subprocess.run(
        [str(shutil.which("wrk")), *options, address],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    after, machine_after, children_after = _cpu(ours), psutil.cpu_times(), os.times()
    said = done.stdout
    requests = int(re.search(r"(\d+) requests in", said)[1])  # type: ignore[index]
    failed = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said)))
    failed += sum(sum(map(int, re.findall(r"\d+", line))) for line in re.findall("Socket errors: (.*)", said))
    own = after - before + children_after.children_user + children_after.children_system
    own -= children.children_user + children.children_system
    busy = sum(machine_after) - sum(machine) - (machine_after.idle - machine.idle)
    busy -= machine_after.iowait - machine.iowait
    return Load(
        rate=float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),  # type: ignore[index]
        median_ms=_milliseconds(re.search(r"\n\s+50%\s+(\S+)", said)[1]),  # type: ignore[index]
        p99_ms=_milliseconds(re.search(r"\n\s+99%\s+(\S+)", said)[1]),  # type: ignore[index]
        failed=failed,
        cpu_us=own / requests * 1e6,
        others=max(0.0, (busy - own) / seconds),
    )


def throughput(here: World, seconds: int, rounds: int) -> None:
    """The floor and the service in turns: medians of all rounds."""
    loads: dict[str, list[Load]] = {}
    with (
        serving(here, "bench.floor", "/constant") as floor,
        serving(here, "motorisk_web.gunicorn_conf", "/v1/quotes") as service,
    ):
        routes = (("floor", floor, "/constant"), ("quotes", service, "/v1/quotes"), ("mock", service, "/predict/mock"))
        for _ in range(rounds):
            for name, server, path in routes:
                loads.setdefault(name, []).append(wrk(here, server, path, seconds))
        memory = [worker.memory_info().rss / 1e6 for worker in service.workers()]
        quotes = sum(round(one.rate * seconds) for name in ("quotes", "mock") for one in loads[name])
        table = Table(title=f"{CONNECTIONS} keep-alive connections, {WORKERS} workers, {rounds} rounds of {seconds} s")
        for column in ("", "requests/s", "of the floor (bar)", "p50 ms", "p99 ms", "failed", "CPU µs a request",
                       "of the floor's CPU", "others' CPUs"):  # fmt: skip
            table.add_column(column, justify="left" if not column else "right")
        bars = {"floor": "", "quotes": " (≥ 0.40)", "mock": " (≥ 0.60)"}
        floors = loads["floor"]
        for name, runs in loads.items():
            ratio = statistics.median(one.rate / base.rate for one, base in zip(runs, floors, strict=True))
            cost = statistics.median(base.cpu_us / one.cpu_us for one, base in zip(runs, floors, strict=True))
            table.add_row(
                {"floor": "floor: constant JSON", "quotes": "POST /v1/quotes", "mock": "POST /predict/mock"}[name],
                f"{_median(runs, lambda one: one.rate):,.0f}",
                f"{ratio:.2f}{bars[name]}",
                f"{_median(runs, lambda one: one.median_ms):.1f}",
                f"{_median(runs, lambda one: one.p99_ms):.1f}",
                str(sum(one.failed for one in runs)),
                f"{_median(runs, lambda one: one.cpu_us):.0f}",
                f"{cost:.2f}",
                f"{_median(runs, lambda one: one.others):.1f}",
            )
        console.print(table)
        console.print(
            f"Start to first answer: {service.started_in:.1f} s (bar 2 s). Resident memory a worker after "
            f"{quotes:,} requests: {max(memory):.0f} MB (bar 120 MB)."
        )


def _median(runs: list[Load], value: Callable[[Load], float]) -> float:
    return statistics.median(map(value, runs))


def pricing(here: World) -> None:
    """One quote's price with its reasons, in this process."""
    with here.engine.connect() as connection:
        version = versions.champion(connection)
        model = ServedModel(version, Pricer(versions.load_plan(connection, version.version)))
        known = tariffs(connection)
    features = PolicyFeatures(0.0, 35.0, 0.0, 45.0, 90.0, 45.9)
    asked = Asked(features, datetime.now(UTC).date())
    times = []
    for _ in range(20_000):
        start = time.perf_counter_ns()
        priced, estimate = price(model, known, asked)
        explain(priced, model.pricer, "EUR", estimate=estimate)
        times.append(time.perf_counter_ns() - start)
    console.print(
        f"One quote in the process ({version.candidate}), reasons included: median "
        f"{statistics.median(times) / 1000:.1f} µs (bar 20 µs)."
    )


# --- disturbances -------------------------------------------------------------------------------------------------


async def _disturbed(here: World, server: Server, seconds: int, disturb: Callable[[float], None]) -> Answers:
    """Load the service while something goes wrong in a thread; it is told when to end."""
    until = time.monotonic() + seconds - 1
    answers, _ = await asyncio.gather(
        load(server.port, here.key, connections=CONNECTIONS, seconds=seconds), asyncio.to_thread(disturb, until)
    )
    return answers


def _verdict(here: World, server: Server, answers: Answers, what: str) -> None:
    deadline = time.monotonic() + 60
    while server.get("/readyz")["status"] != "ready" and time.monotonic() < deadline:
        time.sleep(0.2)
    ids = [answer[1] for answer in answers.quotes]
    keys = [answer[0] for answer in answers.quotes]
    with here.engine.connect() as connection:
        # Both sides have an index or fit a hash: NOT IN would look at the whole ledger for every quote.
        connection.execute(text("CREATE TEMPORARY TABLE answered (quote_id uuid, key text)"))
        connection.execute(
            text("INSERT INTO answered SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:keys AS text[]))"),
            {"ids": ids, "keys": keys},
        )
        lost = connection.scalar(
            text(
                "SELECT count(*) FROM answered "
                "WHERE NOT EXISTS (SELECT FROM motorisk.quote WHERE quote.quote_id = answered.quote_id)"
            )
        )
        doubled = connection.scalar(
            text("SELECT count(*) FROM (SELECT quote_id FROM motorisk.quote GROUP BY 1 HAVING count(*) > 1) AS twice")
        )
    journalled = sum(answer[4] == "journal" for answer in answers.quotes)
    refused = Counter(answers.refused)
    console.print(
        f"{what}: {len(ids):,} answered ({journalled:,} through the journal), failed {len(answers.refused)}"
        f"{f' {dict(refused)}' if refused else ''}, lost {lost}, doubled {doubled}, connections broken "
        f"{answers.broken}; p99 {answers.percentile(0.99):.0f} ms, longest {1000 * max(answers.seconds):.0f} ms."
    )


def swap(here: World, seconds: int) -> None:
    """A champion swap every second."""
    with here.engine.begin() as connection:
        first = versions.champion(connection)
        plan = versions.load_plan(connection, first.version)
        other = versions.register(
            connection, plan.model_copy(update={"intercept": plan.intercept + 0.5}), rows=first.rows,
            metrics=first.metrics, gates=[], parameters={}, provenance={}, trained_by="bench",
        )  # fmt: skip
        transitions.validate(connection, other.version, by="bench")
    swaps = 0

    def disturb(until: float) -> None:
        nonlocal swaps
        while time.monotonic() < until:
            with here.engine.begin() as connection:
                wanted = other.version if swaps % 2 == 0 else first.version
                transitions.approve(connection, wanted, by="somebody else")
            swaps += 1
            time.sleep(1)

    with serving(here, "motorisk_web.gunicorn_conf", "/v1/quotes") as server:
        answers = asyncio.run(_disturbed(here, server, seconds, disturb))
        prices = {(answer[2], answer[3]) for answer in answers.quotes}
        served = Counter(answer[2] for answer in answers.quotes)
        mixed = len(prices) - len(served)
        _verdict(here, server, answers, f"{seconds} s with {swaps} champion swaps (mixed answers {mixed}, {served})")


def outage(here: World, seconds: int, away: int) -> None:
    """Postgres stopped in the middle."""

    def disturb(until: float) -> None:
        time.sleep(max(1.0, (seconds - away) / 2))
        here.postgres.stop()
        time.sleep(away)
        here.postgres.ensure_running()

    with serving(here, "motorisk_web.gunicorn_conf", "/v1/quotes") as server:
        answers = asyncio.run(_disturbed(here, server, seconds, disturb))
        _verdict(here, server, answers, f"{seconds} s with Postgres stopped for {away} s")


def kill(here: World, seconds: int) -> None:
    """`kill -9` of a worker every two seconds."""
    killed = 0

    with serving(here, "motorisk_web.gunicorn_conf", "/v1/quotes") as server:

        def disturb(until: float) -> None:
            nonlocal killed
            while time.monotonic() < until:
                time.sleep(2)
                workers = server.workers()
                if workers:
                    os.kill(workers[killed % len(workers)].pid, signal.SIGKILL)
                    killed += 1

        answers = asyncio.run(_disturbed(here, server, seconds, disturb))
        _verdict(here, server, answers, f"{seconds} s with kill -9 of a worker every 2 s ({killed} times)")


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--seconds", type=int, default=8, help="of one run of wrk (default 8)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of wrk a route (default 5)")
    parser.add_argument("--disturbed-seconds", type=int, default=60, help="of load while things break (default 60)")
    parser.add_argument("--away", type=int, default=20, help="seconds without Postgres (default 20)")
    parser.add_argument("--policies", type=int, default=500, help="simulated policies a month (default 500)")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    if shutil.which("wrk") is None and "throughput" in parts:
        parser.error("the program wrk is not installed (a package of that name)")
    with world(options.policies) as here:
        if "pricing" in parts:
            pricing(here)
        if "throughput" in parts:
            throughput(here, options.seconds, options.rounds)
        if "swap" in parts:
            swap(here, options.disturbed_seconds)
        if "outage" in parts:
            outage(here, options.disturbed_seconds, options.away)
        if "kill" in parts:
            kill(here, options.disturbed_seconds)


if __name__ == "__main__":
    main()
