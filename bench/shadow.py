"""How fast a shadow follows, and what quotes notice of it: `python -m bench.shadow`.

Starts its own PostgreSQL with a champion, and gunicorn on a free port, in a temporary folder; fills the ledger with
quotes, shadows a challenger and times it. Then the quote service is loaded in turns, with and without a follower that
looks every five seconds, each time from a few connections that leave the machine room and from as many as it can take.
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, func, select, text

from bench.client import Answers, load
from bench.quotes import World, serving, world
from motorisk.domain.gate import GateResult
from motorisk.pipelines.shadow.challenger import start_shadow
from motorisk.pipelines.shadow.comparison import report
from motorisk.pipelines.shadow.following import follow
from motorisk.pipelines.shadow.wording import to_line
from motorisk.registry import transitions, versions
from motorisk.warehouse.tables import shadow_quote

# What the champion answered plays no part in the time that a shadow takes.
FILL = """
INSERT INTO motorisk.quote (quote_id, quoted_at, channel, effective_date, training, age, emergency_braking,
    braking_distance, power, miles, version, digest, tariff, predictor, risk_class, expected_risk, p_low, p_medium,
    p_high, net, insurance_tax, gross)
SELECT gen_random_uuid(), now() - interval '1 hour' - n * interval '1 day' / :a_day, 'quote', current_date + (n % 60),
    random() < 0.2, 18 + 60 * random() * random(), random() < 0.45, greatest(25, random_normal(40, 5)),
    least(250, greatest(40, random_normal(130, 40))), least(150, greatest(5, random_normal(70, 25))), 1, :digest,
    'standard', 'model', 'medium', 2.0, 10000000, 80000000, 10000000, 600, 114, 714
FROM generate_series(1, :rows) n
"""

console = Console(width=160)


def challenger(engine: Engine) -> int:
    """A validated version that differs from the champion by its intercept."""
    with engine.begin() as connection:
        champion = versions.champion(connection)
        plan = versions.load_plan(connection, champion.version)
        registered = versions.register(
            connection,
            plan.model_copy(update={"intercept": plan.intercept + 0.2}),
            rows=champion.rows,
            metrics=champion.metrics,
            gates=[GateResult(name="accuracy", value=0.9, rule=">=", threshold=0.85, passed=True)],
            parameters={},
            provenance={},
            trained_by="bench",
        )
        return transitions.validate(connection, registered.version, by="bench").version


def clock(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def rate(here: World, rows: int, a_day: int, rounds: int) -> None:
    """Price a ledger, look through it again, and report."""
    with here.engine.begin() as connection:
        digest = versions.champion(connection).digest
        connection.execute(text(FILL), {"rows": rows, "a_day": a_day, "digest": digest})
    with here.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE motorisk.quote"))
    pricing, looking, hurried, reporting, line = [], [], [], [], ""
    for _ in range(rounds):
        version = challenger(here.engine)
        with here.engine.begin() as connection:
            since = connection.execute(text("SELECT min(quoted_at) FROM motorisk.quote")).scalar_one()
            start_shadow(connection, version, by="bench", since=since)
        pricing.append(clock(lambda: follow(here.engine)))
        with here.engine.connect() as connection:
            priced = connection.scalar(
                select(func.count()).select_from(shadow_quote).where(shadow_quote.c.version == version)
            )
        if priced != rows:
            raise SystemExit(f"{priced} of {rows} quotes are priced")
        looking.append(clock(lambda: follow(here.engine)))
        hurried.append(clock(lambda: follow(here.engine, thoroughly=False)))
        with here.engine.connect() as connection:
            began = time.perf_counter()
            line = to_line(report(connection, version))
            reporting.append(time.perf_counter() - began)
        with here.engine.begin() as connection:
            transitions.reject(connection, version, by="bench")
            connection.execute(text("DELETE FROM motorisk.shadow_quote"))
    seconds = [statistics.median(found) for found in (pricing, looking, hurried, reporting)]
    console.print(
        f"{rows:,} quotes of {rows // a_day + 1} days: priced and stored in {seconds[0]:.2f} s "
        f"({rows / seconds[0]:,.0f} a second), a thorough look with nothing new {seconds[1]:.2f} s, a look at the "
        f"newest {seconds[2]:.3f} s, the report {seconds[3]:.2f} s; medians of {rounds} rounds."
    )
    console.print(line)


@contextmanager
def following(here: World, is_wanted: bool) -> Iterator[list[float]]:
    """A follower, or none; yields the CPU seconds that it used in the block, there when the block is left."""
    used: list[float] = []
    if not is_wanted:
        yield used
        return
    command = [sys.executable, "-m", "motorisk", "shadow", "run"]
    process = subprocess.Popen(command, env=here.environment, stdout=subprocess.DEVNULL)
    try:
        time.sleep(8)  # it has loaded everything
        before = psutil.Process(process.pid).cpu_times()
        yield used
        after = psutil.Process(process.pid).cpu_times()
        used.append(after.user + after.system - before.user - before.system)
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(60)


def beside(here: World, seconds: int, rounds: int) -> None:
    """What quotes notice."""
    version = challenger(here.engine)
    with here.engine.begin() as connection:
        start_shadow(connection, version, by="bench")
    table = Table(title=f"POST /v1/quotes, {rounds} rounds of {seconds} s, medians", title_justify="left")
    for heading in (
        "connections",
        "follower",
        "quotes/s",
        "p50 ms",
        "p99 ms",
        "longest ms",
        "failed",
        "follower's CPU",
    ):
        table.add_column(heading, justify="right")
    with serving(here, "motorisk_web.gunicorn_conf", "/v1/quotes") as service:
        for connections in (2, 32):
            runs: dict[bool, list[Answers]] = {False: [], True: []}
            used: list[float] = []
            for _ in range(rounds):
                for is_followed, found in (*runs.items(), *reversed(runs.items())):
                    with following(here, is_followed) as seconds_used:
                        found.append(
                            asyncio.run(load(service.port, here.key, connections=connections, seconds=seconds))
                        )
                    used += seconds_used
            for is_followed, found in runs.items():
                table.add_row(
                    str(connections),
                    "yes" if is_followed else "no",
                    f"{statistics.median(len(one.quotes) / seconds for one in found):,.0f}",
                    f"{statistics.median(one.percentile(0.5) for one in found):.1f}",
                    f"{statistics.median(one.percentile(0.99) for one in found):.1f}",
                    f"{max(1000 * max(one.seconds) for one in found):.0f}",
                    str(sum(len(one.refused) + one.broken for one in found)),
                    f"{statistics.median(used) / seconds:.1%}" if is_followed else "",
                )
    follow(here.engine)
    console.print(table)
    with here.engine.connect() as connection:
        found_ = report(connection, version)
    console.print(f"Priced by the shadow: {found_.quotes:,}, not priced: {found_.unpriced:,}")


def main() -> None:
    """Print figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--a-day", type=int, default=20_000, help="quotes a day of the ledger")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="of each load; 0: none")
    arguments = parser.parse_args()
    with world(1500) as here:
        rate(here, arguments.rows, arguments.a_day, arguments.rounds)
        if arguments.seconds:
            beside(here, arguments.seconds, arguments.rounds)


if __name__ == "__main__":
    main()
