"""`motorisk shadow`: challengers that price every quote too, without any effect on customers."""

from dataclasses import asdict
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from motorisk.commands.models import VersionArgument
from motorisk.commands.opening import warehouse
from motorisk.commands.options import ByOption, CommentOption, parse_day, require_in_order
from motorisk.commands.output import JsonOption, console, notices, print_json
from motorisk.commands.priority import give_way
from motorisk.commands.stopping import stopped_by_signals
from motorisk.registry import shadows
from motorisk.registry.shadows import Shadow

if TYPE_CHECKING:
    from motorisk.pipelines.shadow.following import Followed

app = typer.Typer(no_args_is_help=True, help="Challengers that price every quote too, without effect on customers.")


def _as_json(shadow: Shadow) -> dict[str, Any]:
    return {**asdict(shadow), "running": shadow.stopped_at is None}


def _print(shadow: Shadow, *, json: bool) -> None:
    if json:
        print_json(_as_json(shadow))
    else:
        ended = "" if shadow.stopped_at is None else f", stopped at {shadow.stopped_at:%Y-%m-%d %H:%M:%S} UTC"
        console.print(
            f"Version {shadow.version}: a shadow of quotes from {shadow.since:%Y-%m-%d %H:%M:%S} UTC on{ended}."
        )


@app.command("start")
def start(
    version: VersionArgument,
    by: ByOption,
    since: Annotated[
        date | None,
        typer.Option("--since", parser=parse_day, metavar="YYYY-MM-DD", help="Past quotes too, from this day on."),
    ] = None,
    comment: CommentOption = None,
    json: JsonOption = False,
) -> None:
    """Let a validated version price every quote too; anybody may, since customers notice nothing."""
    from motorisk.pipelines.shadow.challenger import start_shadow

    begin = None if since is None else datetime.combine(since, time(), UTC)
    with warehouse().begin() as connection:
        found = start_shadow(connection, version, by=by, since=begin, comment=comment)
    _print(found, json=json)


@app.command("stop")
def stop(version: VersionArgument, by: ByOption, comment: CommentOption = None, json: JsonOption = False) -> None:
    """End a shadow; what it has priced stays."""
    with warehouse().begin() as connection:
        found = shadows.stop(connection, version, by=by, comment=comment)
    _print(found, json=json)


@app.command("list")
def list_shadows(json: JsonOption = False) -> None:
    """List the shadows, running and stopped."""
    with warehouse().connect() as connection:
        found = shadows.all_shadows(connection)
    if json:
        print_json([_as_json(shadow) for shadow in found])
        return
    if not found:
        console.print("No version was shadowed yet: run `motorisk shadow start V --by WHO`.")
        return
    table = Table(box=SIMPLE_HEAD)
    for heading in ("version", "quotes from", "looked for until", "started by", "stopped"):
        table.add_column(heading)
    for shadow in found:
        moments = [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (shadow.since, shadow.looked_to)]
        ended = "" if shadow.stopped_at is None else f"{shadow.stopped_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(shadow.version), *moments, escape(shadow.started_by), ended)
    console.print(table)


@app.command("run")
def run(
    every: Annotated[float, typer.Option(min=0.05, max=3600, help="Seconds between two looks.")] = 5.0,
    once: Annotated[
        bool, typer.Option("--once", help="Look once, thoroughly; exit 1 if a version is refused.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Price new quotes of the ledger with every shadow, until Ctrl-C."""
    from motorisk.pipelines.shadow.following import follow, keep_following, require_followed

    def tell(found: "Followed") -> None:
        if found.error is not None:
            notices.print(f"[red]{found.error.title}:[/] {escape(str(found.error))}", soft_wrap=True, highlight=False)
        if json:
            error = str(found.error) if found.error else None
            seconds = round(found.seconds, 3)
            print_json({"version": found.version, "quotes": found.quotes, "seconds": seconds, "error": error})
        elif found.quotes:
            console.print(f"Version {found.version}: {found.quotes:,} quotes priced in {found.seconds:.1f} s.")

    engine = warehouse()
    give_way()
    with stopped_by_signals() as stopped:
        if not once:
            keep_following(engine, stopped, every=every, told=tell)
            return
        followed = follow(engine, stopped=stopped.is_set)
    for found in followed:
        if found.error is None:
            tell(found)
    require_followed(followed)


@app.command("report")
def report(
    version: VersionArgument,
    first: Annotated[
        date | None,
        typer.Option("--from", parser=parse_day, metavar="YYYY-MM-DD", help="Quotes made from this day on."),
    ] = None,
    last: Annotated[
        date | None, typer.Option("--to", parser=parse_day, metavar="YYYY-MM-DD", help="Up to this day, included.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare what a shadow says with what was answered: classes, premiums, segments, the largest changes."""
    from motorisk.pipelines.shadow.comparison import report as compare
    from motorisk.pipelines.shadow.wording import to_markdown

    require_in_order(first, last)
    with warehouse().connect() as connection:
        found = compare(connection, version, first=first, last=last)
    if json:
        print_json(found)
    else:
        console.print(Markdown(to_markdown(found)))
