"""What the nights do: score, drift, performance."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from motorisk.commands.opening import warehouse
from motorisk.commands.options import AsOfOption
from motorisk.commands.output import JsonOption, console, print_json, print_pairs, progress_bar
from motorisk.domain.calendar import month_name
from motorisk.errors import NotEnoughData
from motorisk.monitoring.measures import Kind
from motorisk.settings import settings

if TYPE_CHECKING:
    from motorisk.monitoring.telling import Reading
    from motorisk.pipelines.alarms import Alarm
    from motorisk.pipelines.drift import DriftRun
    from motorisk.pipelines.drift_kinds import KindDrift
    from motorisk.pipelines.performance import MonthlyPerformance, PerformanceReport


def score(
    as_of: AsOfOption,
    with_champion: Annotated[
        bool,
        typer.Option(
            "--with-champion/--as-approved",
            help="Price with the champion of today, or with the version that was approved for the day.",
        ),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes side by side.")] = 1,
    partitions: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Steps that are not repeated after a crash; default: by size.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Price every policy in force on a day and publish the scores at once; go on where a killed run was."""
    from motorisk.pipelines.score import score_portfolio
    from motorisk.pipelines.scoring.summary import MOVER_HEADINGS, figures, lists, mover_rows, summarise_scores
    from motorisk.pipelines.scoring.versions import Choice

    engine = warehouse()
    with progress_bar("Scoring", quiet=json) as progress:
        run = score_portfolio(
            engine,
            as_of,
            progress,
            choice=Choice.WITH_CHAMPION if with_champion else Choice.AS_APPROVED,
            partition_rows=settings().score_partition_rows,
            partitions=partitions,
            workers=workers,
            renewal_cap=settings().score_renewal_cap,
            max_quarantined_share=settings().score_max_quarantined,
        )
    if json:
        print_json(run)
        return
    with engine.connect() as connection:
        summary = summarise_scores(connection, as_of)
    print_pairs(f"Scores as of {run.as_of}", {**figures(summary), "seconds": f"{run.seconds:.2f}"})
    for title, movers in lists(summary).items():
        table = Table(title=title, title_justify="left")
        for heading in MOVER_HEADINGS:
            table.add_column(heading)
        for row in mover_rows(movers):
            table.add_row(*map(escape, row))
        console.print(table)


def drift(
    as_of: AsOfOption,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the day's kept report as a page; measure nothing."),
    ] = None,
    kind: Annotated[
        Kind | None, typer.Option("--kind", help="Which of the day's reports --html writes.", show_default="policies")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare policies, quotes and scores with what the champion was trained on; of policies all months since."""
    if html is not None:
        _write_report(as_of, kind or Kind.POLICIES, html, json=json)
        return
    if kind is not None:
        raise typer.BadParameter("only --html writes a report", param_hint="--kind")
    from motorisk.pipelines.drift import report_drift

    engine = warehouse()
    if json:
        run = report_drift(engine, settings(), as_of)
        print_json(run)
        return
    with console.status("Measuring drift (Evidently takes some seconds to load)"):
        run = report_drift(engine, settings(), as_of)
    _print_drift(f"{month_name(run.month)} against the reference of version {run.version}", run, run.readings)
    for found_kind, found in run.kinds.items():
        what = f"{found.rows:,} {found_kind.value} of {run.as_of} against the reference of version {found.version}"
        _print_drift(what, found)
    for found_kind, reason in run.skipped.items():
        console.print(f"No drift of {found_kind.value}: {reason}.", soft_wrap=True, highlight=False)
    print_alarms(run.alarms)


def _print_drift(title: str, run: "DriftRun | KindDrift", readings: Mapping[str, "Reading"] | None = None) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("feature", "score", "threshold", "evidence", "since", "method", ""):
        table.add_column(heading)
    for name, found in run.features.items():
        verdict = "[red]drifted[/]" if found.drifted else "[green]steady[/]"
        evidence = "" if found.evidence is None else f"1 : {found.evidence:,.3g}"
        since = "" if found.since is None else month_name(found.since)
        table.add_row(name, f"{found.score:.4f}", f"{found.threshold:.4g}", evidence, since, found.method, verdict)
    console.print(table)
    for name, found in run.features.items():
        if found.drifted or found.missing or found.outliers:
            console.print(escape(found.says), soft_wrap=True, highlight=False)
        if readings and name in readings:
            console.print(escape(readings[name].says), soft_wrap=True, highlight=False)
    console.print(f"Dataset drift: {'yes' if run.dataset_drift else 'no'}. Report: {run.report}", soft_wrap=True)


def _write_report(as_of: date, kind: Kind, file: Path, *, json: bool) -> None:
    from motorisk.monitoring.workspace import Workspace
    from motorisk.pipelines.folders import drift_workspace

    place = drift_workspace(settings())
    page = Workspace(place).html(kind, as_of)
    if page is None:
        raise NotEnoughData(
            f"no drift report of {kind.value} as of {as_of} is in {place}: run `motorisk drift --as-of {as_of}`"
        )
    file.write_text(page, encoding="utf-8")
    if json:
        print_json({"as_of": as_of, "kind": kind, "html": file})
    else:
        console.print(f"Drift of {kind.value} as of {as_of}: {file}", soft_wrap=True, highlight=False)


def print_alarms(alarms: Iterable["Alarm"]) -> None:
    """What speaks against a version, a plain line each."""
    for alarm in alarms:
        console.print(f"[red]Alarm:[/] {alarm.reason}", soft_wrap=True, highlight=False)


def performance(as_of: AsOfOption, json: JsonOption = False) -> None:
    """Compare what the served versions foretold with the outcomes known on a day, month by month."""
    from motorisk.pipelines.performance import report_performance

    report = report_performance(warehouse(), as_of)
    if json:
        months = [month_as_json(figures) for figures in report.months]
        realised = [month for month in months if month["rows"]]
        nothing = {"month": None, "version": None, "rows": 0, "accuracy": None, "log_loss": None}
        newest = realised[-1] if realised else nothing
        parts = {"months": months, "estimate": ESTIMATE, "promises": report.promises, "alarms": report.alarms}
        print_json({**newest, "as_of": as_of, **parts})
        return
    if not report.realised:
        console.print(f"No outcome that an approved version did not know had matured by {as_of}.")
    if report.months:
        print_months(report)
    print_alarms(report.alarms)


ESTIMATE = (
    "the mean of the versions' own certainty: it stays high where a version is wrong (0.89 while the truth was 0.49), "
    "hence nothing is judged by it"
)


def month_as_json(figures: "MonthlyPerformance") -> dict[str, Any]:
    """A month as programs get it."""
    from motorisk.domain.risk import RISK_CLASSES

    ratios = {name.value: figures.actual_to_expected(name) for name in RISK_CLASSES}
    values = {field.name: getattr(figures, field.name) for field in fields(figures)}
    return {**values, "month": month_name(figures.month), "actual_to_expected": ratios}


def print_months(report: "PerformanceReport") -> None:
    """The months' figures, for people."""
    from motorisk.domain.risk import RiskClass

    table = Table(title=f"Performance as of {report.as_of}", title_justify="left")
    for heading in (
        "month",
        "version",
        "known",
        "estimated accuracy*",
        "accuracy",
        "log loss",
        "RMSE",
        "bias (SE)",
        "A/E high",
        "calibration error",
    ):
        table.add_column(heading)

    def shown(value: float | None, form: str = ".4f") -> str:
        return "" if value is None else format(value, form)

    for figures in report.months:
        table.add_row(
            month_name(figures.month),
            str(figures.version),
            f"{figures.rows:,} of {figures.policies:,}",
            shown(figures.estimated_accuracy),
            shown(figures.accuracy),
            shown(figures.log_loss),
            shown(figures.rmse),
            shown(figures.bias, "+.1f"),
            shown(figures.actual_to_expected(RiskClass.HIGH), ".3f"),
            shown(figures.calibration_error),
        )
    console.print(table)
    console.print(f"* {ESTIMATE}.", soft_wrap=True, highlight=False)
