"""Running the quote service, and the whole platform on one machine."""

import importlib.util
import os
import sys
from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy import Engine, select

from motorisk.commands.data import default_start
from motorisk.commands.output import JsonOption, console, notices, print_json, progress_bar
from motorisk.errors import ComponentFailed
from motorisk.ports import authority
from motorisk.registry.versions import champion
from motorisk.settings import settings
from motorisk.warehouse.tables import drift_metric, drift_run, score_run

EXAMPLE = (
    '{"driver": {"training": false, "age": 35, "miles": 45.9}, '
    '"vehicle": {"emergency_braking": false, "braking_distance": 45.0, "power": 90.0}}'
)


def serve(json: JsonOption = False) -> None:
    """Run the quote service under gunicorn, in the foreground (MOTORISK_QUOTE_HOST, MOTORISK_QUOTE_PORT)."""
    if importlib.util.find_spec("motorisk_web") is None or importlib.util.find_spec("gunicorn") is None:
        raise ComponentFailed("the quote service is not installed (extra `web`)")
    if json:
        print_json({"url": f"http://{authority(settings().quote_host, settings().quote_port)}"})
        sys.stdout.flush()
    arguments = [sys.executable, "-m", "gunicorn", "-c", "python:motorisk_web.gunicorn_conf"]
    os.execv(sys.executable, arguments)  # noqa: S606


def summary(engine: Engine) -> dict[str, object]:
    """What the platform holds after a night: champion, scores, drifted features."""
    with engine.connect() as connection:
        model = champion(connection)
        scores = connection.execute(select(score_run).order_by(score_run.c.as_of.desc()).limit(1)).one()
        drift = connection.execute(
            select(drift_run).where(drift_run.c.kind == "policies").order_by(drift_run.c.as_of.desc()).limit(1)
        ).one()
        drifted = connection.scalars(
            select(drift_metric.c.feature)
            .where(drift_metric.c.as_of == drift.as_of, drift_metric.c.kind == drift.kind, drift_metric.c.drifted)
            .order_by(drift_metric.c.score.desc())
        ).all()
    return {
        "version": model.version,
        "accuracy": model.metrics["accuracy"],
        "trained_as_of": model.as_of,
        "scored_as_of": scores.as_of,
        "rows": scores.rows,
        "drifted": list(drifted),
        "report": drift.report,
    }


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop everything after the table.")] = False,
    json: JsonOption = False,
) -> None:
    """Bring the whole platform up on this machine, run one night through Airflow, and stay up until Ctrl-C.

    Versions that pass their gates are approved automatically, unless MOTORISK_APPROVAL=human.
    """
    if importlib.util.find_spec("airflow") is None:
        raise ComponentFailed("the demo needs Airflow (extra `airflow`): `make demo` installs everything")
    from motorisk.demo.platform import Demo
    from motorisk.pipelines.simulate import simulate_portfolio
    from motorisk.simulation.portfolio import Simulation

    def simulate(engine: Engine) -> None:
        simulation = Simulation(start=default_start())
        with progress_bar("Simulating policies", quiet=json) as progress:
            run = simulate_portfolio(engine, simulation, progress)
        said = f"[green]✓[/] Simulated {run.inserted:,} policies from {simulation.start:%Y-%m} on"
        notices.print(said, highlight=False)

    found = settings()
    if "approval" not in found.model_fields_set:
        found = found.model_copy(update={"approval": "auto"})  # so that one command is enough
    platform = Demo(found, notices)

    def when_ready(engine: Engine) -> None:
        facts = summary(engine)
        passwords = platform.airflow.passwords()
        addresses = {
            "airflow": platform.airflow.url,
            "quotes": platform.quotes_url,
            "quotes_documentation": f"{platform.quotes_url}/docs",
            "metrics": f"{platform.metrics_url}/metrics/",
            "drift_reports": platform.drift_url,
        }
        if platform.prometheus.is_installed:
            addresses["prometheus"] = platform.prometheus.url
        curl = f"curl -s {platform.quotes_url}/v1/quotes -H 'Content-Type: application/json' -d '{EXAMPLE}'"
        if json:
            print_json({**addresses, "logins": passwords, **facts, "curl": curl})
            sys.stdout.flush()
            return
        table = Table(title="Motorisk is up", title_justify="left", show_header=False)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row("Airflow", addresses["airflow"])
        table.add_row("Logins", ", ".join(f"{user} / {password}" for user, password in passwords.items()))
        table.add_row("Quotes", f"{addresses['quotes']}  (documentation: {addresses['quotes_documentation']})")
        table.add_row("Metrics", addresses["metrics"])
        table.add_row("Drift reports", f"{addresses['drift_reports']}  (newest: {facts['report']})")
        if "prometheus" in addresses:
            table.add_row("Prometheus", f"{addresses['prometheus']}  (alerts: {addresses['prometheus']}/alerts)")
        table.add_row(
            "Champion",
            f"version {facts['version']}, trained as of {facts['trained_as_of']}, "
            f"accuracy on unseen policies {facts['accuracy']:.3f}",
        )
        table.add_row("Scored", f"{facts['rows']:,} policies in force on {facts['scored_as_of']}")
        table.add_row("Drifted", ", ".join(facts["drifted"]) or "nothing")  # type: ignore[arg-type]
        console.print(table)
        console.print("A quote:")
        console.print(curl, soft_wrap=True, highlight=False, markup=False)
        if not once:
            console.print("Ctrl-C stops everything.")

    platform.run(simulate, when_ready, stop_when_ready=once)
