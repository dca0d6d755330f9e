"""What quotes notice when Postgres goes away: `python -m bench.away`.

Loads the quote service from a few connections while Postgres is stopped (connections are refused) and while all of its
processes are halted (connections hang), and counts the answers that took longer than the bar. Beside them, a round
in which nothing happens, since a busy machine is slow by itself.
"""

import argparse
import asyncio
import signal
import time
from collections import Counter

import psutil
from rich.console import Console
from rich.table import Table

from bench.client import load
from bench.quotes import Server, World, serving, world

BAR_MS = 50
CONNECTIONS = 8

console = Console(width=160)


def _away(here: World, way: str, before: float, away: float) -> None:
    time.sleep(before)
    if way == "stopped":
        here.postgres.stop()
        time.sleep(away)
        here.postgres.ensure_running()
    elif way == "halted":
        postmaster = psutil.Process(int((here.postgres.data / "postmaster.pid").read_text().split()[0]))
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        time.sleep(away)
        for process in processes:
            process.send_signal(signal.SIGCONT)


async def _loaded(here: World, server: Server, way: str, seconds: float, away: float, table: Table) -> None:
    answers, _ = await asyncio.gather(
        load(server.port, here.key, connections=CONNECTIONS, seconds=seconds),
        asyncio.to_thread(_away, here, way, (seconds - away) / 2, away),
    )
    slow = [second for second in answers.seconds if second > BAR_MS / 1000]
    where = Counter(answer[4] for answer in answers.quotes)
    table.add_row(
        way,
        f"{where['ledger']:,}",
        f"{where['journal']:,}",
        str(len(answers.refused) + answers.broken),
        f"{answers.percentile(0.5):.1f}",
        f"{answers.percentile(0.99):.1f}",
        str(len(slow)),
        f"{1000 * max(answers.seconds):.0f}",
    )


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + 60
    while server.get("/readyz")["status"] != "ready" and time.monotonic() < deadline:
        time.sleep(0.2)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--away", type=float, default=6, help="seconds without Postgres, in the middle")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    table = Table(title=f"{CONNECTIONS} connections, {arguments.seconds:g} s each", title_justify="left")
    table.add_column("Postgres")
    for heading in ("in the ledger", "journal", "failed", "p50 ms", "p99 ms", f"above {BAR_MS} ms", "longest ms"):
        table.add_column(heading, justify="right")
    with world(300) as here, serving(here, "motorisk_web.gunicorn_conf", "/v1/quotes") as server:
        for _ in range(arguments.rounds):
            for way in ("there", "stopped", "halted"):
                asyncio.run(_loaded(here, server, way, arguments.seconds, arguments.away, table))
                _wait_until_ready(server)
    console.print(table)


if __name__ == "__main__":
    main()
