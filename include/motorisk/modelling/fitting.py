"""Make a model from a snapshot: let candidates compete, fit the best additive one, measure it on unseen policies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import KFold

from motorisk.domain.gate import GateResult
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import CLASS_BOUNDS
from motorisk.errors import NotEnoughData
from motorisk.modelling.backtest import BacktestResult, backtest, choose
from motorisk.modelling.candidates import CANDIDATES, Additive
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.evaluation import evaluate
from motorisk.modelling.gates import (
    backtest_gates,
    calibration_gate,
    directional_gates,
    plan_gates,
    segment_gate,
    workshop_gates,
)
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import estimate, risk_classes


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A rating plan with its figures, the gates' verdicts and the candidates' table."""

    plan: RatingPlan
    metrics: dict[str, float]
    gates: list[GateResult]
    candidates: list[dict[str, Any]]


def fit(
    snapshot: Snapshot,
    configuration: TrainingConfiguration,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TrainedModel:
    """Let the candidates compete on the backtest, then train the best additive one on the whole snapshot.

    Hold-out figures come from cross-validation, over the newest months: the older ones are another world. The same
    snapshot and configuration give the same rating plan. `NotEnoughData` or `InvalidData` before anything is fitted
    where the snapshot cannot carry a model.
    """
    snapshot.require_trainable()
    competing = [candidate for name, candidate in CANDIDATES.items() if name in configuration.candidates]
    results = backtest(snapshot, competing, configuration, progress)
    chosen = choose(results, [candidate.name for candidate in competing if candidate.is_additive])
    candidate = CANDIDATES[chosen]
    if not isinstance(candidate, Additive):
        raise NotEnoughData("no additive candidate competes")
    fitted = candidate.fit(snapshot, configuration)
    plan = fitted.plan
    metrics, gates = _measure(snapshot, candidate, plan, configuration)
    gates += directional_gates(plan)
    gates += plan_gates(plan, snapshot, fitted.folding_error)
    gates += backtest_gates(results, chosen)
    own = next((result for result in results if result.candidate == chosen), None)
    if own is not None:
        metrics |= {"backtest_accuracy": own.accuracy, "backtest_log_loss": own.log_loss}
    return TrainedModel(plan, metrics, gates, [_row(result, chosen) for result in results])


def _row(result: BacktestResult, chosen: str) -> dict[str, Any]:
    return {
        "candidate": result.candidate,
        "additive": CANDIDATES[result.candidate].is_additive,
        "chosen": result.candidate == chosen,
        "policies": len(result.losses),
        "log_loss": result.log_loss,
        "standard_error": result.standard_error,
        "accuracy": result.accuracy,
    }


def _measure(
    snapshot: Snapshot, candidate: Additive, plan: RatingPlan, configuration: TrainingConfiguration
) -> tuple[dict[str, float], list[GateResult]]:
    numbers = snapshot.month_numbers()
    newest = numbers > numbers.max() - configuration.window_months
    unseen = np.zeros((len(snapshot), 3), dtype=np.int64)
    residuals = np.zeros(len(snapshot))
    folds = KFold(configuration.folds, shuffle=True, random_state=configuration.seed)
    for train, test in folds.split(numbers):
        known = np.zeros(len(snapshot), dtype=bool)
        known[train] = True
        fold = candidate.fit(snapshot.where(known), configuration)
        part = snapshot.where(~known)
        found = estimate(fold.plan, part.features, part.effective_dates)
        unseen[test] = found.probabilities
        residuals[test] = part.risk - found.expected_risk
    observed = risk_classes(snapshot.risk, CLASS_BOUNDS)
    seen = estimate(plan, snapshot.features, snapshot.effective_dates).probabilities
    holdout = evaluate(unseen[newest], observed[newest])
    training = evaluate(seen[newest], observed[newest])
    metrics = {
        "accuracy": holdout.accuracy,
        "log_loss": holdout.log_loss,
        "rmse": float(np.sqrt(np.mean(residuals[newest] ** 2))),
        "training_accuracy": training.accuracy,
        "certainty": holdout.certainty,
    }
    thresholds = configuration.gates
    return metrics, [
        *workshop_gates(training, holdout, thresholds),
        calibration_gate(unseen[newest], observed[newest], thresholds.max_calibration_error),
        segment_gate(snapshot.where(newest), residuals[newest], thresholds.max_segment_error),
    ]
