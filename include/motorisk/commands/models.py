"""Training and the life of model versions."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from motorisk.commands.opening import warehouse
from motorisk.commands.options import AsOfOption, ByOption, CommentOption, ConfigOption, OverridesOption
from motorisk.commands.output import JsonOption, console, print_json, print_pairs, progress_bar
from motorisk.registry import transitions
from motorisk.registry.versions import ModelVersion, all_versions, get
from motorisk.settings import settings

VersionArgument = Annotated[int, typer.Argument(metavar="V", help="Number of the model version.")]


def as_json(version: ModelVersion) -> dict[str, Any]:
    """A version as commands print it."""
    return {
        "version": version.version,
        "state": version.state,
        "as_of": version.as_of,
        "candidate": version.candidate,
        "rows": version.rows,
        "metrics": version.metrics,
        "gates": version.gates,
        "backtest": version.backtest,
        "digest": version.digest,
        "snapshot_digest": version.snapshot_digest,
        "trained_by": version.trained_by,
        "trained_at": version.trained_at,
        "approved_by": version.approved_by,
        "approved_at": version.approved_at,
    }


def print_version(version: ModelVersion) -> None:
    """A version's figures and gates, for people."""
    print_pairs(
        f"Version {version.version}: {version.state}",
        {
            "candidate": version.candidate,
            "as of": version.as_of,
            "policies": f"{version.rows:,}",
            "accuracy (unseen policies)": f"{version.metrics['accuracy']:.4f}",
            "log loss": f"{version.metrics['log_loss']:.4f}",
            "digest": version.digest[:16],
        },
    )
    if version.backtest:
        print_backtest(version)
    gates = Table(title="Gates", title_justify="left")
    for heading in ("gate", "value", "must be", "verdict"):
        gates.add_column(heading)
    for gate in version.gates:
        verdict = "[green]passed[/]" if gate["passed"] else "[red]missed[/]"
        gates.add_row(gate["name"], f"{gate['value']:.4f}", escape(f"{gate['rule']} {gate['threshold']:g}"), verdict)
    console.print(gates)


def print_backtest(version: ModelVersion) -> None:
    """The candidates' table, for people."""
    table = Table(title="Backtest: what was known then, against what came true", title_justify="left")
    for heading in ("candidate", "log loss", "accuracy", "policies", ""):
        table.add_column(heading)
    for row in version.backtest:
        remark = "chosen" if row["chosen"] else "" if row["additive"] else "yardstick"
        loss = f"{row['log_loss']:.4f} ± {row['standard_error']:.4f}"
        table.add_row(row["candidate"], loss, f"{row['accuracy']:.4f}", f"{row['policies']:,}", remark)
    console.print(table)


def train(
    as_of: AsOfOption,
    config: ConfigOption = None,
    overrides: OverridesOption = None,
    json: JsonOption = False,
) -> None:
    """Train on what was known on a day, check the gates, approve if that is automatic; exit 1 if a gate is missed."""
    from motorisk.modelling.configuration import load_configuration
    from motorisk.pipelines.train import train as run

    configuration = load_configuration(config or settings().training_config, overrides or ())
    engine = warehouse()
    with progress_bar(f"Training as of {as_of}", quiet=json) as progress:
        decision = run(engine, settings(), as_of, configuration, progress)
    if json:
        print_json(as_json(decision.version))
    else:
        print_version(decision.version)
        console.print(f"{'Champion' if decision.approved else 'Not champion'}: {decision.reason}.")
    transitions.require_validated(decision.version)


app = typer.Typer(invoke_without_command=True, help="List the model versions, or show one.")


@app.callback()
def models(context: typer.Context, json: JsonOption = False) -> None:
    """List the model versions, the newest first."""
    if context.invoked_subcommand is not None:
        return
    with warehouse().connect() as connection:
        versions = all_versions(connection)
    if json:
        print_json([as_json(version) for version in versions])
        return
    if not versions:
        console.print("No model was trained yet: run `motorisk train --as-of YYYY-MM-DD`.")
        return
    table = Table(box=SIMPLE_HEAD)
    for heading in ("version", "state", "candidate", "as of", "policies", "accuracy", "trained by", "approved by"):
        table.add_column(heading)
    for version in versions:
        table.add_row(
            str(version.version),
            f"[bold green]{version.state}[/]" if version.state == "approved" else version.state,
            version.candidate,
            str(version.as_of),
            f"{version.rows:,}",
            f"{version.metrics['accuracy']:.4f}",
            escape(version.trained_by),
            escape(version.approved_by or ""),
        )
    console.print(table)


@app.command("show")
def show(
    version: VersionArgument,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the card as a page with its plots; - to stdout."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show a version's card: gates, prices, terms beside the champion's, segments, backtest, who decided."""
    from motorisk.modelling.card.html import card_page
    from motorisk.modelling.card.markdown import to_markdown
    from motorisk.pipelines.card import card_of
    from motorisk.pipelines.shadow.comparison import report_if_any
    from motorisk.pipelines.shadow.wording import to_line

    if json and html is not None:
        raise typer.BadParameter("choose one of --html and --json")
    with warehouse().connect() as connection:
        found, card = get(connection, version), card_of(connection, version)
        shadow = None if html is not None else report_if_any(connection, version)
    if json:
        print_json({**as_json(found), "shadow": shadow, "card": to_markdown(card)})
    elif html is None:
        console.print(Markdown(to_markdown(card)))
        if shadow is not None:
            console.print(to_line(shadow), markup=False, highlight=False)
    else:
        _write(html, card_page(card))


def _write(path: Path, page: str) -> None:
    if path == Path("-"):
        typer.echo(page)
        return
    path.write_text(page, encoding="utf-8")
    console.print(f"Wrote {path}", markup=False, highlight=False)


def _print_decision(version: ModelVersion, *, json: bool) -> None:
    if json:
        print_json(as_json(version))
    else:
        champion = ": the champion" if version.state == "approved" else ""
        console.print(f"Version {version.version} is {version.state}{champion}.")


def approve(version: VersionArgument, by: ByOption, comment: CommentOption = None, json: JsonOption = False) -> None:
    """Make a validated version the champion; whoever trained it cannot."""
    with warehouse().begin() as connection:
        decided = transitions.approve(connection, version, by=by, comment=comment)
    _print_decision(decided, json=json)


def reject(version: VersionArgument, by: ByOption, comment: CommentOption = None, json: JsonOption = False) -> None:
    """Turn a version down, for good."""
    with warehouse().begin() as connection:
        decided = transitions.reject(connection, version, by=by, comment=comment)
    _print_decision(decided, json=json)


def rollback(by: ByOption, comment: CommentOption = None, json: JsonOption = False) -> None:
    """Make the champion before the present one champion again."""
    with warehouse().begin() as connection:
        decided = transitions.rollback(connection, by=by, comment=comment)
    _print_decision(decided, json=json)
