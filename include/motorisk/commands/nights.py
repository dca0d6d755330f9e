"""What the nights do: score, drift, performance."""

from rich.table import Table

from motorisk.commands.opening import warehouse
from motorisk.commands.options import AsOfOption
from motorisk.commands.output import JsonOption, console, print_json, print_pairs, progress_bar
from motorisk.domain.calendar import month_name
from motorisk.settings import settings


def score(as_of: AsOfOption, json: JsonOption = False) -> None:
    """Price every policy in force on a day with the champion and publish the scores at once."""
    from motorisk.pipelines.score import score_portfolio

    engine = warehouse()
    with progress_bar("Scoring", quiet=json) as progress:
        run = score_portfolio(engine, as_of, progress)
    if json:
        print_json(run)
        return
    print_pairs(
        f"Scores as of {run.as_of}",
        {
            "version": run.version,
            "tariff": run.tariff,
            "policies": f"{run.rows:,}",
            **{f"by {name}": f"{count:,}" for name, count in run.by_predictor.items()},
            **{f"class {name}": f"{count:,}" for name, count in run.by_class.items()},
            "net premium a year": f"{run.net_total:,.2f} EUR",
            "seconds": f"{run.seconds:.2f}",
        },
    )


def drift(as_of: AsOfOption, json: JsonOption = False) -> None:
    """Compare the newest month of policies with what the champion was trained on."""
    from motorisk.pipelines.drift import report_drift

    engine = warehouse()
    if json:
        run = report_drift(engine, settings(), as_of)
        print_json(run)
        return
    with console.status("Measuring drift (Evidently takes some seconds to load)"):
        run = report_drift(engine, settings(), as_of)
    table = Table(title=f"{month_name(run.month)} against the reference of version {run.version}", title_justify="left")
    for heading in ("feature", "score", "threshold", "method", ""):
        table.add_column(heading)
    for name, found in run.features.items():
        verdict = "[red]drifted[/]" if found.drifted else "[green]steady[/]"
        table.add_row(name, f"{found.score:.4f}", f"{found.threshold:g}", found.method, verdict)
    console.print(table)
    console.print(f"Dataset drift: {'yes' if run.dataset_drift else 'no'}. Report: {run.report}", soft_wrap=True)


def performance(as_of: AsOfOption, json: JsonOption = False) -> None:
    """Compare what the served versions foretold with the outcomes known on a day, month by month."""
    from motorisk.pipelines.performance import report_performance

    measured = report_performance(warehouse(), as_of)
    months = [
        {
            "month": month_name(figures.month),
            "version": figures.version,
            "rows": figures.rows,
            "accuracy": figures.accuracy,
            "log_loss": figures.log_loss,
        }
        for figures in measured
    ]
    if json:
        nothing = {"month": None, "version": None, "rows": 0, "accuracy": None, "log_loss": None}
        print_json({**(months[-1] if months else nothing), "as_of": as_of, "months": months})
        return
    if not months:
        console.print(f"No outcome that an approved version did not know had matured by {as_of}.")
        return
    table = Table(title=f"Realised performance as of {as_of}", title_justify="left")
    for heading in ("month", "version", "policies", "accuracy", "log loss"):
        table.add_column(heading)
    for figures in measured:
        table.add_row(
            month_name(figures.month),
            str(figures.version),
            f"{figures.rows:,}",
            f"{figures.accuracy:.4f}",
            f"{figures.log_loss:.4f}",
        )
    console.print(table)
