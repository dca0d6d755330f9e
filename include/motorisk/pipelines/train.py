"""Train: snapshot → backtests → fit → register → validate → approve, in steps that the DAG runs one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Engine

from motorisk.domain.rating_plan import RatingPlan
from motorisk.errors import InvalidData
from motorisk.modelling.candidates import CANDIDATES
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.fitting import TrainedModel, fit
from motorisk.modelling.gates import at_most
from motorisk.modelling.snapshot import Snapshot, extract_snapshot, load_snapshot
from motorisk.modelling.tuning import CHAMPION, Entry, as_champion, enter
from motorisk.pipelines.folders import backtests, snapshots
from motorisk.pipelines.impact import price_impact
from motorisk.pipelines.provenance import BY_HAND, provenance
from motorisk.pipelines.quote_time import milliseconds_per_quote
from motorisk.registry.transitions import AutomaticDecision, approve_automatically, require_validated
from motorisk.registry.transitions import validate as validate_version
from motorisk.registry.versions import ModelVersion, find_champion, get, load_plan, register
from motorisk.settings import Settings

Progress = Callable[[int, int], None]
"""Told how many fits of the backtests are done, of how many at most."""


def silent(done: int, total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class _Champion:
    model: ModelVersion
    plan: RatingPlan
    recipe: TrainingConfiguration | None
    """How it was trained; None where this code cannot train that way any more."""


def take_snapshot(engine: Engine, settings: Settings, as_of: date, configuration: TrainingConfiguration) -> str:
    """Freeze what is known on `as_of`; return the snapshot's digest.

    `InvalidData` for a day that has not come: nobody knows what will be known then.
    """
    if as_of > datetime.now(UTC).date():
        raise InvalidData(f"{as_of} has not come yet: what will be known then cannot be trained on")
    with engine.connect() as connection:
        snapshot = extract_snapshot(connection, as_of, configuration.history_months)
    snapshot.require_trainable()
    snapshot.save(snapshots(settings))
    return snapshot.digest


def competitors(engine: Engine, configuration: TrainingConfiguration) -> list[str]:
    """Who competes: the configuration's candidates, and the champion's way of training where there is one."""
    present = _champion(engine)
    return [*configuration.candidates, *([CHAMPION] if present is not None and present.recipe is not None else [])]


def run_backtest(
    engine: Engine,
    settings: Settings,
    digest: str,
    competitor: str,
    configuration: TrainingConfiguration,
    progress: Progress = silent,
) -> Entry:
    """Let one competitor search its settings and run its backtest on a saved snapshot; keep what it brings."""
    snapshot = _saved(settings, digest)
    if competitor == CHAMPION:
        present = _champion(engine)
        if present is None or present.recipe is None:
            raise InvalidData("the champion was replaced meanwhile by a version that does not compete: train again")
        entry = as_champion(enter(snapshot, CANDIDATES[present.model.candidate], present.recipe, progress))
    else:
        entry = enter(snapshot, CANDIDATES[competitor], configuration, progress)
    entry.save(_folder(settings, digest))
    return entry


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
    snapshot = _saved(settings, digest)
    entries = [Entry.load(_folder(settings, digest), name) for name in competing]
    trained = fit(snapshot, configuration, entries)
    present = _champion(engine)
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


def _judge_prices(engine: Engine, snapshot: Snapshot, trained: TrainedModel, present: _Champion | None) -> None:
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


def _saved(settings: Settings, digest: str) -> Snapshot:
    snapshot = load_snapshot(snapshots(settings), digest)
    if snapshot is None:
        raise InvalidData(f"the snapshot {digest[:12]}… is not under {snapshots(settings)}")
    return snapshot


def _folder(settings: Settings, digest: str) -> Path:
    return backtests(settings) / digest


def _champion(engine: Engine) -> _Champion | None:
    with engine.connect() as connection:
        model = find_champion(connection)
        if model is None:
            return None
        plan = load_plan(connection, model.version)
    try:
        recipe = TrainingConfiguration.model_validate({**model.parameters, "search_trials": 0})
    except ValidationError:
        recipe = None
    return _Champion(model, plan, recipe if model.candidate in CANDIDATES else None)


def validate(engine: Engine, settings: Settings, version: int, *, by: str | None = None) -> ModelVersion:
    """Record the gates' verdict, then raise `GateFailed` where it is a rejection."""
    with engine.begin() as connection:
        found = validate_version(connection, version, by=by or settings.user)
    require_validated(found)
    return found


def approve_where_automatic(engine: Engine, settings: Settings, version: int) -> AutomaticDecision:
    """Make a validated version champion if `MOTORISK_APPROVAL=auto`; else it waits for a person."""
    with engine.begin() as connection:
        found = get(connection, version)
        if found.state != "approved" and settings.approval == "human":
            return AutomaticDecision(found, False, "waits for a person: `motorisk approve`")
        return approve_automatically(connection, version)


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
