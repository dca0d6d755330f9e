"""`motorisk replay-quotes`: policies of files, sent to a running quote service."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from motorisk.commands.output import JsonOption, console, notices, print_json, rate_bar
from motorisk.errors import SettingsError
from motorisk.pipelines.traffic.endpoints import Endpoint
from motorisk.settings import settings


def _api_key() -> str:
    key = settings().api_key
    if key is None:
        raise SettingsError("MOTORISK_API_KEY is not set")
    return key.get_secret_value()


def replay_quotes(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="As `motorisk import` reads them.")],
    url: Annotated[str, typer.Option("--url", metavar="URL", help="The quote service, like http://127.0.0.1:8000.")],
    endpoint: Annotated[
        Endpoint, typer.Option("--endpoint", help="Where each policy goes; `/predict/mock` records it for monitoring.")
    ] = Endpoint.MOCK,
    connections: Annotated[int, typer.Option(min=1, max=256, help="How many at a time, each kept open.")] = 8,
    limit: Annotated[int | None, typer.Option(min=1, help="No more than so many policies.")] = None,
    api_key_from_env: Annotated[
        bool, typer.Option("--api-key-from-env", help="Send the key that MOTORISK_API_KEY holds.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Send policies of files to a quote service, in the order of their months; exit 1 if any was not answered."""
    from motorisk.pipelines.traffic.run import replay_files

    key = _api_key() if api_key_from_env else None
    with rate_bar("Replaying", quiet=json) as show:
        run = replay_files(
            files,
            url,
            endpoint,
            connections=connections,
            limit=limit,
            api_key=key,
            progress=lambda month, done, total: show(f"Replaying {month:%Y-%m}", done, total),
        )
    if json:
        print_json(
            {
                "policies": run.policies,
                "answered": run.answered,
                "refused": run.refused,
                "failed": run.failed,
                "seconds": round(run.seconds, 3),
                "rate": round(run.rate, 1),
                "months": [
                    {"month": f"{sent.month:%Y-%m}", "rows": sent.rows, "seconds": round(sent.seconds, 3)}
                    for sent in run.months
                ],
                "reasons": run.reasons,
                "stopped": run.stopped,
            }
        )
    else:
        table = Table("month", "policies", "a second")
        for column in table.columns[1:]:
            column.justify = "right"
        for sent in run.months:
            table.add_row(f"{sent.month:%Y-%m}", f"{sent.rows:,}", f"{sent.rate:,.0f}")
        console.print(table)
        console.print(
            f"{run.answered:,} answered, {run.refused:,} refused, {run.failed:,} failed "
            f"in {run.seconds:.1f} s ({run.rate:,.0f} a second)."
        )
        for reason in run.reasons:
            notices.print(f"  {reason}", markup=False, highlight=False)
        if run.stopped is not None:
            notices.print(f"Stopped: {run.stopped}", markup=False, highlight=False)
    if not run.is_complete:
        raise typer.Exit(1)
