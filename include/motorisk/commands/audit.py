"""`motorisk audit`: seal the ledger of quotes, and verify it and the audit trail."""

from dataclasses import asdict
from datetime import UTC, date, datetime, time
from typing import Annotated

import typer

from motorisk.commands.opening import warehouse
from motorisk.commands.options import parse_day
from motorisk.commands.output import JsonOption, console, notices, print_json, progress_bar

app = typer.Typer(no_args_is_help=True, help="Seal the ledger of quotes, and verify it and the audit trail.")


@app.command("seal")
def seal(json: JsonOption = False) -> None:
    """Seal the quotes that are in no seal yet; sealing again does nothing."""
    from motorisk.pipelines.audit.sealing import seal_quotes

    engine = warehouse()
    with progress_bar("Sealing", quiet=json) as progress:
        sealed = seal_quotes(engine, progress)
    if json:
        print_json(sealed)
        return
    console.print(f"{sealed.quotes:,} quotes sealed in {sealed.seals:,} seals, {sealed.late:,} of them late.")
    for quote_id in sealed.late_quotes:
        notices.print(f"late: {quote_id}", highlight=False)
    console.print(f"Seal {sealed.seal.number}: {sealed.seal.digest}", highlight=False)
    console.print(f"Event {sealed.trail.number}: {sealed.trail.digest}", highlight=False)


@app.command("verify")
def verify(
    anchors: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="DIGEST", help="A digest that was told earlier; may be given several times."),
    ] = None,
    since: Annotated[
        date | None,
        typer.Option(
            "--since", parser=parse_day, metavar="YYYY-MM-DD", help="Only quotes made from this day (UTC) on."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Find what was changed, removed or inserted in ledger and audit trail; exit 1 if anything was."""
    from motorisk.pipelines.audit.verifying import require_intact, verify_audit

    engine = warehouse()
    begin = None if since is None else datetime.combine(since, time(), UTC)
    with progress_bar("Verifying", quiet=json) as progress:
        run = verify_audit(engine, anchors=anchors or (), since=begin, progress=progress)
    if json:
        print_json({"intact": run.is_intact, **asdict(run)})
    else:
        for finding in run.findings:
            console.print(f"{finding.what}: {finding.where}", markup=False, highlight=False)
        console.print(
            f"{run.events:,} events, {run.versions:,} versions, {run.seals:,} seals and {run.quotes:,} quotes verified "
            f"({run.unsealed:,} too new to be sealed, {run.late:,} sealed late, {run.erased:,} references erased): "
            f"{'intact' if run.is_intact else f'{run.found:,} findings'}."
        )
    require_intact(run)
