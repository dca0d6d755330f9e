"""Make a model from a snapshot: let candidates compete, fit the best additive one, measure it on unseen policies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import KFold

from motorisk.domain.calendar import month_name
from motorisk.domain.gate import GateResult
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import CLASS_BOUNDS, PROBABILITY_UNITS
from motorisk.errors import NotEnoughData
from motorisk.modelling.backtest import BacktestResult, choose, losses
from motorisk.modelling.candidates import CANDIDATES, Additive
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.evaluation import calibration_table, evaluate
from motorisk.modelling.explainability import cost_of_explainability
from motorisk.modelling.figures import table_row
from motorisk.modelling.gates import (
    backtest_gates,
    benefit_gate,
    calibration_gate,
    directional_gates,
    plan_gates,
    segment_gates,
    workshop_gates,
    yardstick_gates,
)
from motorisk.modelling.segments import segments
from motorisk.modelling.snapshot import Snapshot
from motorisk.modelling.tuning import Entry, enter
from motorisk.scoring.pricing import Integers, estimate, estimates_without, risk_classes


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A rating plan with the settings that it was trained with, its figures, the gates' verdicts and the competition.

    `candidates` is the candidates' table, `evaluation` what the model card tells beside it.
    """

    plan: RatingPlan
    configuration: TrainingConfiguration
    metrics: dict[str, float]
    gates: list[GateResult]
    candidates: list[dict[str, Any]]
    evaluation: dict[str, Any]


def compete(snapshot: Snapshot, configuration: TrainingConfiguration) -> list[Entry]:
    """Let the configuration's candidates search their settings and run their backtests, one after the other."""
    return [enter(snapshot, CANDIDATES[name], configuration) for name in configuration.candidates]


def fit(snapshot: Snapshot, configuration: TrainingConfiguration, entries: Sequence[Entry]) -> TrainedModel:
    """Train the additive candidate that did best on the backtest on the whole snapshot, and measure it.

    Hold-out figures come from cross-validation, over the newest months: the older ones are another world. The same
    snapshot and configuration give the same rating plan. `NotEnoughData` or `InvalidData` before anything is fitted
    where the snapshot cannot carry a model.
    """
    snapshot.require_trainable()
    by_name = {entry.candidate: entry for entry in entries}
    additive = {name: one for name, one in CANDIDATES.items() if isinstance(one, Additive) and name in by_name}
    if not additive:
        raise NotEnoughData("no additive candidate competes")
    results = [entry.result for entry in entries if entry.result is not None]
    chosen = by_name[choose(results, list(additive))]
    candidate = additive[chosen.candidate]
    settings = chosen.configuration
    fitted = candidate.fit(snapshot, settings)
    plan = fitted.plan
    metrics, gates, told = _measure(snapshot, candidate, plan, settings)
    gates += directional_gates(plan)
    gates += plan_gates(plan, snapshot, fitted.folding_error)
    gates += backtest_gates(results, chosen.candidate, configuration.gates)
    gates += yardstick_gates(entries, configuration.gates)
    if chosen.result is not None:
        metrics |= {"backtest_accuracy": chosen.result.accuracy, "backtest_log_loss": chosen.result.log_loss}
        yardsticks = [name for name, other in CANDIDATES.items() if not other.is_additive]
        told["explainability"] = cost_of_explainability(results, chosen.result, yardsticks, snapshot)
    return TrainedModel(
        plan,
        settings,
        metrics,
        gates,
        [_row(result, chosen.candidate, snapshot, configuration.seed) for result in results],
        {"data": _data(snapshot, chosen.result), **_settings(entries, chosen), **told},
    )


def _row(result: BacktestResult, chosen: str, snapshot: Snapshot, seed: int) -> dict[str, Any]:
    known = CANDIDATES.get(result.candidate)
    return {
        "candidate": result.candidate,
        "additive": known is None or known.is_additive,
        "chosen": result.candidate == chosen,
        **table_row(result, snapshot, seed=seed),
    }


def _data(snapshot: Snapshot, result: BacktestResult | None) -> dict[str, Any]:
    months = snapshot.effective_dates.astype("datetime64[M]")
    tested = [] if result is None else np.unique(months[result.rows]).tolist()
    return {
        "policies": len(snapshot),
        "first_month": month_name(months.min().astype(object)),
        "last_month": month_name(months.max().astype(object)),
        "backtest_months": [month_name(month) for month in tested],
    }


def _settings(entries: Sequence[Entry], chosen: Entry) -> dict[str, Any]:
    """What the searches tried and what was settled on."""
    trials: list[dict[str, Any]] = []
    for entry in entries:
        grid = CANDIDATES[entry.candidate].grid if entry.candidate in CANDIDATES else {}
        settled = {name: getattr(entry.configuration, name) for name in grid}
        trials += [
            {
                "candidate": entry.candidate,
                "settings": dict(trial.settings),
                "log_loss": trial.log_loss,
                "standard_error": trial.standard_error,
                "chosen": dict(trial.settings) == settled,
            }
            for trial in entry.trials
        ]
    note = None
    if not trials:
        searched = chosen.configuration.search_trials > 0
        note = "too few months have matured for a search" if searched else "no search was asked for"
    return {
        "settings": {name: getattr(chosen.configuration, name) for name in CANDIDATES[chosen.candidate].grid},
        "search": {
            "trials": trials,
            "at_edge": [f"{name} of {entry.candidate}" for entry in entries for name in entry.at_edge],
            "note": note,
        },
        "still": list(chosen.configuration.still),
    }


def _measure(
    snapshot: Snapshot, candidate: Additive, plan: RatingPlan, configuration: TrainingConfiguration
) -> tuple[dict[str, float], list[GateResult], dict[str, Any]]:
    numbers = snapshot.month_numbers()
    newest = numbers > numbers.max() - configuration.window_months
    unseen = np.zeros((len(snapshot), 3), dtype=np.int64)
    expected = np.zeros(len(snapshot))
    without: dict[str, Integers] = {name: np.zeros_like(unseen) for name in snapshot.features}
    folds = KFold(configuration.folds, shuffle=True, random_state=configuration.seed)
    for train, test in folds.split(numbers):
        known = np.zeros(len(snapshot), dtype=bool)
        known[train] = True
        fold = candidate.fit(snapshot.where(known), configuration)
        part = snapshot.where(~known)
        found = estimate(fold.plan, part.features, part.effective_dates)
        unseen[test] = found.probabilities
        expected[test] = found.expected_risk
        for name, probabilities in estimates_without(fold.plan, found, part.effective_dates):
            without[name][test] = probabilities
    observed = risk_classes(snapshot.risk, CLASS_BOUNDS)
    seen = estimate(plan, snapshot.features, snapshot.effective_dates).probabilities
    holdout = evaluate(unseen[newest], observed[newest])
    training = evaluate(seen[newest], observed[newest])
    metrics = {
        "accuracy": holdout.accuracy,
        "log_loss": holdout.log_loss,
        "rmse": float(np.sqrt(np.mean((snapshot.risk - expected)[newest] ** 2))),
        "training_accuracy": training.accuracy,
        "certainty": holdout.certainty,
    }
    thresholds = configuration.gates
    cells = segments(snapshot.where(newest), expected[newest], unseen[newest])
    gates = [
        *workshop_gates(training, holdout, thresholds),
        calibration_gate(unseen[newest], observed[newest], thresholds.max_calibration_error),
        *segment_gates(cells, thresholds),
        benefit_gate(
            losses(unseen[newest], observed[newest]),
            {name: losses(others[newest], observed[newest]) for name, others in without.items()},
        ),
    ]
    told = {
        "segments": [cell.to_json() for cell in cells],
        "calibration": calibration_table(unseen[newest] / PROBABILITY_UNITS, observed[newest]),
    }
    return metrics, gates, told
