"""Three years of quotes in a minute, watched by the monitor: `python -m bench.replay`.

Starts its own PostgreSQL with a champion that was trained on the world's first month, and gunicorn on a free port, in
a temporary folder. Then the 36 months after it, 1,500 policies each, go to `/predict/mock` on keep-alive connections,
each month answered before the next begins: once with nobody watching, and once with `motorisk monitor` beside it,
windows of 1,500. The table tells how long that takes until the last window is measured, when each feature is alarmed,
and what requests notice of a window that closes. Some two minutes, on a machine that does nothing else.
"""

import argparse
import asyncio
import itertools
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, delete, func, select

from bench.quotes import World, serving, world
from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.pipelines.traffic.target import body
from motorisk.simulation.portfolio import Simulation, simulate_month
from motorisk.warehouse.tables import drift_inbox, drift_window, drift_window_metric

Floats = npt.NDArray[np.float64]

ROWS = 1500
BY_MONTH = {"miles": 6, "emergency_braking": 10, "age": 11}
NEVER = [name for name in FEATURES if name not in BY_MONTH]
SECONDS = 60
CONNECTIONS = 8
CLOSING = (-0.75, 0.25)
"""Seconds about the moment in which a window is written, in which it is being closed."""
PATIENCE = 60.0

console = Console(width=None if sys.stdout.isatty() else 140)


@dataclass(frozen=True)
class Sent:
    """One replay: when each request was answered (seconds since the epoch, sorted) and how long it took, both (n,)."""

    seconds: float
    answered_at: Floats
    took: Floats
    failed: int

    def near(self, moments: Floats) -> npt.NDArray[np.bool_]:
        """Which requests were under way while one of the windows was being closed."""
        began, ended = self.answered_at - self.took, self.answered_at
        from_, to = moments + CLOSING[0], moments + CLOSING[1]
        return np.asarray(((began[:, None] <= to) & (ended[:, None] >= from_)).any(axis=1))


def bodies(months: int) -> list[list[bytes]]:
    """Requests of the months after the champion's reference, one list a month."""
    simulation = Simulation(start=date(2023, 1, 1), months=months + 1, policies_a_month=ROWS)
    found = []
    for month in range(1, months + 1):
        table = simulate_month(simulation, month)
        rows = zip(*(table[name].to_pylist() for name in FEATURES), strict=True)
        found.append([body(PolicyFeatures(*row)) for row in rows])
    return found


async def _send(port: int, key: str, waiting: deque[bytes], answers: list[tuple[float, float]]) -> int:
    """Send what waits on one connection; return how many were not answered with 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        "POST /predict/mock HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: "
    ).encode()
    failed = 0
    while waiting:
        content = waiting.popleft()
        start = time.perf_counter()
        writer.write(head + str(len(content)).encode() + b"\r\n\r\n" + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        answers.append((time.time(), time.perf_counter() - start))
        failed += not answer.startswith(b"HTTP/1.1 200")
    writer.close()
    return failed


async def replay(port: int, key: str, months: list[list[bytes]]) -> Sent:
    """All months, one after the other."""
    answers: list[tuple[float, float]] = []
    failed = 0
    start = time.perf_counter()
    for month in months:
        waiting = deque(month)
        failed += sum(await asyncio.gather(*(_send(port, key, waiting, answers) for _ in range(CONNECTIONS))))
    seconds = time.perf_counter() - start
    answered_at, took = np.array(sorted(answers)).T
    return Sent(seconds, answered_at, took, failed)


@contextmanager
def monitoring(here: World) -> Iterator[subprocess.Popen[bytes]]:
    """A monitor that has started."""
    with (here.folder / "monitor.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "motorisk", "monitor", "--json"], env=here.environment, stdout=log, stderr=log
        )
    try:
        time.sleep(8)  # it has loaded everything
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _waiting(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(drift_inbox)) or 0


def settled(engine: Engine, expected: int) -> None:
    """Wait until so many inputs are in the ledger: they are recorded behind the answers."""
    deadline = time.monotonic() + PATIENCE
    while _waiting(engine) < expected and time.monotonic() < deadline:
        time.sleep(0.2)


def measured(engine: Engine, windows: int) -> None:
    """Wait until so many windows are closed."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if (connection.scalar(select(func.count()).select_from(drift_window)) or 0) >= windows:
                return
        time.sleep(0.1)
    raise SystemExit(f"the monitor has not closed {windows} windows within {PATIENCE:.0f} s of the last answer")


def _figures(took: Floats) -> str:
    if not len(took):
        return "none"
    middle, late = (1000 * float(np.quantile(took, share)) for share in (0.5, 0.99))
    return f"p50 {middle:.1f} ms, p99 {late:.1f} ms, longest {1000 * took.max():.0f} ms ({len(took):,})"


def verdicts(engine: Engine) -> tuple[dict[str, list[bool]], list[bool], Floats]:
    """Window after window: which features drift, whether the dataset does, and when it was written (epoch)."""
    with engine.connect() as connection:
        windows = connection.execute(select(drift_window).order_by(drift_window.c.window_id)).all()
        metrics = connection.execute(select(drift_window_metric).order_by(drift_window_metric.c.window_id)).all()
    drifted = {name: [row.drifted for row in metrics if row.feature == name] for name in FEATURES}
    written = np.array([window.measured_at.timestamp() for window in windows])
    return drifted, [window.dataset_drift for window in windows], written


def _alarmed(states: list[bool]) -> str:
    if not any(states):
        return "never"
    first = states.index(True)
    return f"from month {first + 1} on" if all(states[first:]) else f"in month {first + 1}, not in all after it"


def show(engine: Engine, months: int, alone: Sent, watched: Sent, until_measured: float) -> None:
    """Everything, beside its bar."""
    drifted, dataset, written = verdicts(engine)
    table = Table(title=f"{months} months of {ROWS:,} policies to /predict/mock", title_justify="left")
    for heading in ("", "measured", "bar"):
        table.add_column(heading)

    def replayed(sent: Sent, seconds: float) -> str:
        return f"{seconds:.1f} s ({len(sent.took) / sent.seconds:,.0f} a second, {sent.failed} failed)"

    table.add_row("replay, nobody watching", replayed(alone, alone.seconds), "")
    table.add_row("replay until the last window is measured", replayed(watched, until_measured), f"< {SECONDS} s")
    table.add_row("windows", str(len(written)), str(months))
    for name, month in BY_MONTH.items():
        table.add_row(name, _alarmed(drifted[name]), f"by month {month}, staying")
    for name in NEVER:
        table.add_row(name, _alarmed(drifted[name]), "never")
    changes = sum(one != other for one, other in itertools.pairwise(dataset))
    table.add_row("changes of the dataset flag", str(changes), "at most 1")
    near = watched.near(written)
    table.add_row("requests, nobody watching", _figures(alone.took), "")
    table.add_row("requests between windows", _figures(watched.took[~near]), "")
    table.add_row("requests while a window closes", _figures(watched.took[near]), "no slower")
    console.print(table)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", type=int, default=36)
    arguments = parser.parse_args()
    months = bodies(arguments.months)
    with (
        world(ROWS, months=1) as here,
        serving(here, "motorisk_web.gunicorn_conf", "/v1/quotes") as service,
    ):
        alone = asyncio.run(replay(service.port, here.key, months))
        settled(here.engine, ROWS * arguments.months)
        with here.engine.begin() as connection:
            connection.execute(delete(drift_inbox))
        with monitoring(here):
            start = time.perf_counter()
            watched = asyncio.run(replay(service.port, here.key, months))
            measured(here.engine, arguments.months)
            until_measured = time.perf_counter() - start
        show(here.engine, arguments.months, alone, watched, until_measured)


if __name__ == "__main__":
    main()
