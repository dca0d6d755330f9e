"""`motorisk monitor`: drift of the quotes as they come, beside the service."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from sqlalchemy.exc import InterfaceError, OperationalError

from motorisk.commands.opening import warehouse
from motorisk.commands.output import JsonOption, console, notices, print_json
from motorisk.commands.priority import give_way
from motorisk.commands.stopping import stopped_by_signals
from motorisk.errors import DatabaseUnavailable, NoChampion
from motorisk.settings import settings

if TYPE_CHECKING:
    from motorisk.pipelines.monitor import LiveWindow, Monitor

LOOK_SECONDS = 2.0
MOST_AT_ONCE = 100
"""Windows that `--once` closes at most; whoever is further behind starts it again."""


def monitor(
    once: Annotated[bool, typer.Option("--once", help="Close the windows that are due, and end.")] = False,
    window: Annotated[int, typer.Option(min=30, max=100_000, help="Quotes a window.")] = 1500,
    timeout: Annotated[
        float,
        typer.Option(
            min=1, max=31_622_400, help="Seconds after which a window is closed with fewer quotes, at least 30."
        ),
    ] = 86_400,
    heartbeat: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="File to touch at every look, so that others see whether the monitor goes on."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure drift of the quotes, window by window, until stopped; any number of processes share the work."""
    from motorisk.pipelines.monitor import Monitor

    found = Monitor(warehouse(), settings(), window, timedelta(seconds=timeout))
    if once:
        windows = _due(found)
        if json:
            print_json({"windows": windows, "pending": found.pending()})
            return
        for closed in windows:
            _tell(closed)
        console.print(f"{len(windows)} windows closed, {found.pending():,} quotes wait for the next.")
        return
    give_way()
    with stopped_by_signals() as stopped:
        _follow(found, stopped, heartbeat, as_json=json)


def _due(monitor: "Monitor") -> "list[LiveWindow]":
    windows: list[LiveWindow] = []
    while len(windows) < MOST_AT_ONCE and (closed := monitor.close_window()) is not None:
        windows.append(closed)
    return windows


def _follow(monitor: "Monitor", stopped: threading.Event, heartbeat: Path | None, *, as_json: bool) -> None:
    said = ""
    while not stopped.is_set():
        if heartbeat is not None:
            heartbeat.touch()
        closed = None
        try:
            closed = monitor.close_window()
            said = ""
        except (NoChampion, DatabaseUnavailable, OperationalError, InterfaceError) as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            if reason != said:
                notices.print(f"Waiting: {escape(reason)}", soft_wrap=True, highlight=False)
            said = reason
        if closed is None:
            stopped.wait(LOOK_SECONDS)
        elif as_json:
            print_json(closed)
        else:
            _tell(closed)


def _tell(window: "LiveWindow") -> None:
    drifted = ", ".join(window.drifted) or "nothing"
    console.print(
        f"Window {window.window_id}: {window.rows:,} quotes up to {window.last_quoted_at:%Y-%m-%d %H:%M:%S}, "
        f"drifted: {drifted}",
        soft_wrap=True,
        highlight=False,
    )
