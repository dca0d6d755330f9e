"""`motorisk quote`: looking after quotes that were answered."""

import time
from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table

from motorisk.commands.opening import warehouse
from motorisk.commands.options import parse_day, require_in_order
from motorisk.commands.output import JsonOption, console, print_json, progress_bar
from motorisk.quoting.backlog import Backlog
from motorisk.settings import settings

DIFFERENCES_SHOWN = 20
LOOK_SECONDS = 0.5

app = typer.Typer(no_args_is_help=True, help="Quotes that were answered.")


@app.command()
def replay(
    quote_ids: Annotated[list[UUID] | None, typer.Argument(metavar="QUOTE_ID…")] = None,
    first: Annotated[
        date | None,
        typer.Option("--from", parser=parse_day, metavar="YYYY-MM-DD", help="Quotes made from this day on."),
    ] = None,
    last: Annotated[
        date | None,
        typer.Option("--to", parser=parse_day, metavar="YYYY-MM-DD", help="Up to this day, included; default: today."),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, max=1_000_000_000, help="No more than so many quotes of the days.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compute quotes again with the version and the tariff that priced them; exit 1 if anything differs."""
    from motorisk.pipelines.replay import replay_days, replay_ids

    if bool(quote_ids) == (first is not None) or (first is None and (last is not None or sample is not None)):
        raise typer.BadParameter("name quotes, or days by --from and --to")
    until = last or datetime.now(UTC).date()
    require_in_order(first, until)
    with progress_bar("Replaying", quiet=json) as progress:
        if first is None:
            run = replay_ids(warehouse(), quote_ids or [])
        else:
            run = replay_days(warehouse(), first, until, sample=sample, progress=progress)
    if json:
        print_json(
            {
                "quotes": run.quotes,
                "differing": run.differing,
                "missing": [str(quote_id) for quote_id in run.missing],
                "differences": [
                    {
                        "quote_id": str(found.quote_id),
                        "what": found.what,
                        "answered": found.answered,
                        "computed": found.computed,
                        "way": found.way,
                    }
                    for found in run.differences
                ],
            }
        )
    else:
        console.print(
            f"{run.quotes:,} quote{'' if run.quotes == 1 else 's'} computed again, {run.differing:,} "
            f"differ{'s' if run.differing == 1 else ''}."
        )
        for quote_id in run.missing:
            console.print(f"{quote_id} is not in the ledger, or has no price.", markup=False)
        if run.differences:
            table = Table("quote", "what", "answered", "computed", "by")
            for found in run.differences[:DIFFERENCES_SHOWN]:
                table.add_row(str(found.quote_id), found.what, found.answered, found.computed, found.way)
            console.print(table)
    if not run.is_exact:
        raise typer.Exit(1)


@app.command()
def drain(
    after: Annotated[
        float, typer.Option(min=0, help="Seconds to wait first, until nobody sends requests here any more.")
    ] = 0,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the journal then.")] = 60,
    json: JsonOption = False,
) -> None:
    """Wait until the running service has carried its journal into the ledger; exit 1 where it did not in time.

    For whoever takes the service's disk away: a Kubernetes pod that ends, a machine that is replaced.
    """
    time.sleep(after)
    backlog = Backlog(settings().home / "journal")
    deadline = time.monotonic() + timeout
    while (pending := backlog.pending()) and time.monotonic() < deadline:
        time.sleep(min(LOOK_SECONDS, max(deadline - time.monotonic(), 0)))
    if json:
        print_json({"pending": pending})
    elif pending:
        console.print(f"{pending:,} quotes are still in the journal: the database did not take them in time.")
    else:
        console.print("Nothing is left in the journal.")
    if pending:
        raise typer.Exit(1)
