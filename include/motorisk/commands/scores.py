"""Published scores: how long they stay in the database."""

from datetime import date, timedelta
from typing import Annotated

import typer
from rich.table import Table

from motorisk.commands.opening import warehouse
from motorisk.commands.output import JsonOption, console, print_json
from motorisk.domain.calendar import add_months
from motorisk.settings import settings

app = typer.Typer(no_args_is_help=True, help="Published scores.")


@app.command()
def retain(
    keep_days: Annotated[
        int | None, typer.Option(min=0, max=36_600, help="Days for which scores stay in the database.")
    ] = None,
    keep_months: Annotated[
        int | None, typer.Option(min=0, max=1200, help="The same in months; default: MOTORISK_SCORE_KEEP_MONTHS.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Move old scores into Parquet files, compared with the tables before these are dropped; rerun after a crash."""
    from motorisk.pipelines.folders import score_archive
    from motorisk.pipelines.scoring.retention import archive_scores, old_scores

    if keep_days is not None and keep_months is not None:
        raise typer.BadParameter("say either --keep-days or --keep-months")
    months = settings().score_keep_months if keep_months is None else keep_months
    today = date.today()  # noqa: DTZ011 - whoever asks means the day where they are
    before = add_months(today, -months) if keep_days is None else today - timedelta(days=keep_days)
    engine, folder = warehouse(), score_archive(settings())
    found = old_scores(engine, before)
    going = [old for old in found if old.kept_for is None]
    archived = [] if dry_run else [archive_scores(engine, old.as_of, folder) for old in going]
    moved = [scores for scores in archived if scores is not None]
    if json:
        kept = [old for old in found if old.kept_for is not None]
        print_json({"before": before, "dry_run": dry_run, "due": going, "archived": moved, "kept": kept})
        return
    files = {scores.as_of: scores for scores in moved}
    table = Table(title=f"Scores of dates before {before}", title_justify="left")
    for heading in ("as of", "policies", "MB in the database", ""):
        table.add_column(heading, justify="left" if heading in {"as of", ""} else "right")
    for old in found:
        if old.kept_for is not None:
            said = f"kept: {old.kept_for}"
        elif old.as_of in files:
            said = f"{files[old.as_of].file} ({files[old.as_of].size / 1e6:,.1f} MB)"
        else:
            said = "would be archived" if dry_run else "archived by somebody else"
        table.add_row(str(old.as_of), f"{old.rows:,}", f"{old.size / 1e6:,.1f}", said)
    console.print(table if found else f"No scores of dates before {before} are in the database.")
