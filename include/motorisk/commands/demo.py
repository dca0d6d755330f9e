"""`motorisk demo`: the whole platform on one machine."""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from sqlalchemy import Engine

from motorisk.commands.data import default_start
from motorisk.commands.output import JsonOption, console, notices, print_json, progress_bar
from motorisk.errors import ComponentFailed
from motorisk.settings import settings

if TYPE_CHECKING:
    from motorisk.demo.facts import Facts
    from motorisk.demo.platform import Demo

EXAMPLE = (
    '{"driver": {"training": false, "age": 35, "miles": 45.9}, '
    '"vehicle": {"emergency_braking": false, "braking_distance": 45.0, "power": 90.0}}'
)


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop everything after the table.")] = False,
    json: JsonOption = False,
) -> None:
    """Bring the whole platform up on this machine, run one night through Airflow, and stay up until Ctrl-C.

    Versions that pass their gates are approved automatically, unless MOTORISK_APPROVAL=human.
    """
    if importlib.util.find_spec("airflow") is None:
        raise ComponentFailed("the demo needs Airflow (extra `airflow`): `make demo` installs everything")
    from motorisk.demo.facts import facts_of_night
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
        facts, addresses, logins = facts_of_night(engine), _addresses(platform), platform.airflow.passwords()
        curl = f"curl -s {platform.quotes_url}/v1/quotes -H 'Content-Type: application/json' -d '{EXAMPLE}'"
        if json:
            print_json({**addresses, "logins": logins, **asdict(facts), "curl": curl})
            sys.stdout.flush()
            return
        _print_table(addresses, logins, facts)
        console.print("A quote:")
        console.print(curl, soft_wrap=True, highlight=False, markup=False)
        if not once:
            console.print("Ctrl-C stops everything.")

    platform.run(simulate, when_ready, stop_when_ready=once)


def _addresses(platform: "Demo") -> dict[str, str]:
    addresses = {
        "airflow": platform.airflow.url,
        "quotes": platform.quotes_url,
        "quotes_documentation": f"{platform.quotes_url}/docs",
        "metrics": f"{platform.metrics_url}/metrics/",
        "drift_reports": platform.drift_url,
    }
    if platform.prometheus.is_installed:
        addresses["prometheus"] = platform.prometheus.url
    return addresses


def _print_table(addresses: Mapping[str, str], logins: Mapping[str, str], facts: "Facts") -> None:
    table = Table(title="Motorisk is up", title_justify="left", show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Airflow", addresses["airflow"])
    table.add_row("Logins", ", ".join(f"{user} / {password}" for user, password in logins.items()))
    table.add_row("Quotes", f"{addresses['quotes']}  (documentation: {addresses['quotes_documentation']})")
    table.add_row("Metrics", addresses["metrics"])
    table.add_row("Drift reports", f"{addresses['drift_reports']}  (newest: {facts.report})")
    if "prometheus" in addresses:
        table.add_row("Prometheus", f"{addresses['prometheus']}  (alerts: {addresses['prometheus']}/alerts)")
    table.add_row(
        "Champion",
        f"version {facts.version}, trained as of {facts.trained_as_of}, "
        f"accuracy on unseen policies {facts.accuracy:.3f}",
    )
    table.add_row("Scored", f"{facts.rows:,} policies in force on {facts.scored_as_of}")
    table.add_row("Drifted", ", ".join(facts.drifted) or "nothing")
    console.print(table)
