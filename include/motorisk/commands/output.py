"""What commands print: tables and progress for people, one JSON object for programs."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

# People's tables go to standard output, progress and errors to standard error, so that pipes stay clean.
# Where nobody's terminal wraps lines, tables may be as wide as they need.
WIDE = 200
console = Console(width=None if sys.stdout.isatty() else WIDE)
notices = Console(stderr=True, width=None if sys.stderr.isatty() else WIDE)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def _encode(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal | Path | UUID):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def print_json(value: Any) -> None:
    """Print one object as one line of JSON."""
    typer.echo(json.dumps(value, default=_encode, ensure_ascii=False))


def print_pairs(title: str, pairs: Mapping[str, object]) -> None:
    """Print names with their values."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="cyan")
    table.add_column()
    for name, value in pairs.items():
        table.add_row(name, str(value))
    console.print(table)


@contextmanager
def progress_bar(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error; yields a callable that is told how many of how many are done."""
    if quiet:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=notices, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class _RateColumn(ProgressColumn):
    """How many a second, lately."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s", style="progress.data.speed")


@contextmanager
def rate_bar(what: str, *, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error that also shows a rate; yields a callable: what is done, how many of how many."""
    if quiet or not notices.is_terminal:
        yield lambda what, done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _RateColumn())
    with Progress(*columns, TimeRemainingColumn(), console=notices, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda what, done, total: progress.update(task, description=what, completed=done, total=total)


@contextmanager
def bytes_bar(what: str, file: Path, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error over a file's bytes; yields a callable that is told how many more were read."""
    if quiet or not file.is_file():
        yield lambda read: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=notices, transient=True) as progress:
        task = progress.add_task(what, total=file.stat().st_size)
        yield lambda read: progress.advance(task, read)
