"""Train: snapshot → backtests → fit → register → validate → approve. The DAG runs the same steps one by one."""

from datetime import date

from sqlalchemy import Engine

from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.pipelines.training.backtest import Progress, run_backtest, silent
from motorisk.pipelines.training.competing import competitors
from motorisk.pipelines.training.decide import approve_where_automatic
from motorisk.pipelines.training.register import fit_and_register
from motorisk.pipelines.training.snapshot import take_snapshot
from motorisk.registry.transitions import AutomaticDecision
from motorisk.registry.transitions import validate as validate_version
from motorisk.settings import Settings


def train(
    engine: Engine,
    settings: Settings,
    as_of: date,
    configuration: TrainingConfiguration,
    progress: Progress = silent,
) -> AutomaticDecision:
    """All steps. A version that missed its gates comes back rejected; the champion stays."""
    digest = take_snapshot(engine, settings, as_of, configuration)
    competing = competitors(engine, configuration)
    for number, name in enumerate(competing):

        def tell(done: int, total: int, number: int = number) -> None:
            progress(number * total + done, len(competing) * total)

        run_backtest(engine, settings, digest, name, configuration, tell)
    registered = fit_and_register(engine, settings, digest, competing, configuration)
    with engine.begin() as connection:
        validated = validate_version(connection, registered.version, by=settings.user)
    if validated.state == "rejected":
        return AutomaticDecision(validated, False, "missed its gates")
    return approve_where_automatic(engine, settings, validated.version)
