"""Getting policies into the warehouse: simulated ones and files."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy import Engine, select

from motorisk.commands.opening import warehouse
from motorisk.commands.options import parse_month_option
from motorisk.commands.output import JsonOption, bytes_bar, console, notices, print_json, progress_bar
from motorisk.domain.calendar import add_months, first_of_month
from motorisk.warehouse.tables import quarantined_row

if TYPE_CHECKING:
    from motorisk.pipelines.importing import ImportResult


DEFAULT_MONTHS = 36
REASONS_SHOWN = 5


def default_start(months: int = DEFAULT_MONTHS, today: date | None = None) -> date:
    """The month in which a simulation of so many months begins if it is to end with the last whole month."""
    today = today or datetime.now(UTC).date()
    return add_months(first_of_month(today), -months)


def simulate(
    months: Annotated[int, typer.Option(min=1, max=1200, help="How many months.")] = DEFAULT_MONTHS,
    policies: Annotated[int, typer.Option("--policies", min=1, max=10_000_000, help="Policies a month.")] = 1500,
    start: Annotated[
        date | None,
        typer.Option(
            "--start", parser=parse_month_option, metavar="YYYY-MM", help="First month; default: it ends last month."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another world.")] = 1,
    label_delay: Annotated[int, typer.Option(min=0, max=120, help="Months until an outcome is observed.")] = 12,
    drift_until: Annotated[
        int | None, typer.Option(min=0, help="Month at which all drift stops; 0: a stationary world.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FOLDER", file_okay=False, help="Write one file a month instead; needs no database."
        ),
    ] = None,
    if_empty: Annotated[bool, typer.Option("--if-empty", help="Only where there are no policies at all.")] = False,
    json: JsonOption = False,
) -> None:
    """Fill the warehouse with the workshop's world; the same simulation again changes nothing."""
    from motorisk.pipelines.simulate import is_empty, simulate_portfolio
    from motorisk.simulation.files import write_months
    from motorisk.simulation.portfolio import Simulation

    simulation = Simulation(
        start=start or default_start(months),
        months=months,
        policies_a_month=policies,
        seed=seed,
        label_delay_months=label_delay,
        drift_until=drift_until,
    )
    if csv is not None:
        with progress_bar("Simulating", quiet=json) as progress:
            files = write_months(simulation, csv, progress)
        if json:
            print_json({"start": simulation.start, "months": months, "files": files})
        else:
            console.print(f"{len(files):,} files of {policies:,} policies in {csv}.", markup=False, highlight=False)
        return
    engine = warehouse()
    if if_empty and not is_empty(engine):
        if json:
            print_json({"start": simulation.start, "months": months, "inserted": 0, "unchanged": 0})
        else:
            console.print("There are policies already; nothing is simulated.")
        return
    with progress_bar("Simulating", quiet=json) as progress:
        run = simulate_portfolio(engine, simulation, progress)
    if json:
        print_json({"start": simulation.start, "months": months, "inserted": run.inserted, "unchanged": run.unchanged})
    else:
        console.print(
            f"{run.inserted:,} policies from {simulation.start:%Y-%m} on added, {run.unchanged:,} were there already."
        )


def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="CSV files, `,` or `;`, also as .gz.")],
    json: JsonOption = False,
) -> None:
    """Load policies and outcomes from files; rows that break the contract are quarantined with their reasons."""
    from motorisk.pipelines.importing import import_file

    engine = warehouse()
    imported = []
    for file in files:
        with bytes_bar(f"Importing {file.name}", file, quiet=json) as progress:
            imported.append(import_file(engine, file, progress))
        if not json:
            _print_import(engine, imported[-1])
    if json:
        print_json({"files": imported})


def _print_import(engine: Engine, found: "ImportResult") -> None:
    if found.ignored_columns:
        notices.print(f"Ignored columns of {found.source}: {', '.join(found.ignored_columns)}", markup=False)
    console.print(
        f"{found.source}: {found.rows:,} rows: {found.policies:,} policies and {found.outcomes:,} outcomes added, "
        f"{found.unchanged:,} unchanged, {found.quarantined:,} quarantined.",
        markup=False,
    )
    if found.quarantined:
        notices.print("Reasons stand in motorisk.quarantined_row; the first ones:")
        with engine.connect() as connection:
            for row in connection.execute(
                select(quarantined_row)
                .where(quarantined_row.c.source_digest == found.source_digest)
                .order_by(quarantined_row.c.line)
                .limit(REASONS_SHOWN)
            ):
                notices.print(f"  line {row.line}: {'; '.join(row.reasons)}", markup=False, highlight=False)
