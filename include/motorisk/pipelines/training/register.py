"""Train the best competitor, measure it, and register it as a candidate."""

from collections.abc import Sequence

from sqlalchemy import Engine

from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.fitting import TrainedModel, fit
from motorisk.modelling.gates import at_most
from motorisk.modelling.snapshot import Snapshot
from motorisk.modelling.tuning import Entry
from motorisk.pipelines.impact import price_impact
from motorisk.pipelines.provenance import BY_HAND, provenance
from motorisk.pipelines.quote_time import milliseconds_per_quote
from motorisk.pipelines.training.backtest import entries_folder
from motorisk.pipelines.training.competing import PresentChampion, present_champion
from motorisk.pipelines.training.snapshot import saved_snapshot
from motorisk.registry.versions import ModelVersion, register
from motorisk.settings import Settings


def fit_and_register(
    engine: Engine,
    settings: Settings,
    digest: str,
    competing: Sequence[str],
    configuration: TrainingConfiguration,
    *,
    trained_by: str | None = None,
    bundle_version: str | None = None,
    reason: str = BY_HAND,
) -> ModelVersion:
    """Train the best additive competitor on a saved snapshot, measure it, and register it as a candidate.

    `reason` is why it is trained at all; it stays with the version.
    """
    snapshot = saved_snapshot(settings, digest)
    entries = [Entry.load(entries_folder(settings, digest), name) for name in competing]
    trained = fit(snapshot, configuration, entries)
    present = present_champion(engine)
    _judge_prices(engine, snapshot, trained, present)
    with engine.begin() as connection:
        return register(
            connection,
            trained.plan,
            rows=len(snapshot),
            metrics=trained.metrics,
            gates=trained.gates,
            backtest=trained.candidates,
            evaluation=trained.evaluation | {"champion": None if present is None else present.model.version},
            parameters=trained.configuration.model_dump(mode="json"),
            provenance=provenance(bundle_version, reason, settings.image_tag),
            trained_by=trained_by or settings.user,
        )


def _judge_prices(engine: Engine, snapshot: Snapshot, trained: TrainedModel, present: PresentChampion | None) -> None:
    """Add what only the platform around a model can tell: how long a quote takes, and what its prices change."""
    thresholds = trained.configuration.gates
    time = milliseconds_per_quote(trained.plan)
    trained.gates.append(at_most("milliseconds a quote", time, thresholds.max_quote_milliseconds))
    if present is None:
        return
    with engine.connect() as connection:
        impact = price_impact(connection, snapshot.as_of, trained.plan, present.model.version, present.plan)
    if impact is not None:
        trained.evaluation["price_impact"] = impact.to_json()
        gate = at_most("share of premiums moved by over 20 %", impact.share_beyond, thresholds.max_price_shock)
        trained.gates.append(gate)
