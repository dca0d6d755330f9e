"""Gates: what a version must show before anybody may approve it, as figures with thresholds and verdicts."""

from collections.abc import Sequence

import numpy as np

from motorisk.domain.gate import GateResult
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import RISK_CLASSES
from motorisk.modelling.backtest import BacktestResult
from motorisk.modelling.configuration import GateThresholds
from motorisk.modelling.evaluation import Evaluation
from motorisk.scoring.pricing import contribution

Z_95 = 1.96
STEPS = 400
WIGGLE = 0.5
"""Share of the spread by which a monotone term may fall at the ends of the data, where few policies are."""


def at_least(name: str, value: float, threshold: float) -> GateResult:
    """A gate that is passed where the value reaches the threshold (NaN never does)."""
    return GateResult(name=name, value=value, rule=">=", threshold=threshold, passed=bool(value >= threshold))


def at_most(name: str, value: float, threshold: float) -> GateResult:
    """A gate that is passed where the value does not exceed the threshold (NaN always does)."""
    return GateResult(name=name, value=value, rule="<=", threshold=threshold, passed=bool(value <= threshold))


def workshop_gates(training: Evaluation, holdout: Evaluation, thresholds: GateThresholds) -> list[GateResult]:
    """The workshop's gates: accuracy, no overfitting, class shares like the true ones, sane certainty."""
    shares = zip(RISK_CLASSES, holdout.predicted_shares, holdout.observed_shares, strict=True)
    return [
        at_least("training accuracy", training.accuracy, thresholds.min_accuracy),
        at_least("hold-out accuracy", holdout.accuracy, thresholds.min_accuracy),
        at_most("accuracy spread", abs(training.accuracy - holdout.accuracy), thresholds.max_accuracy_spread),
        *(
            at_most(f"share of {name} off by", abs(predicted - observed), thresholds.max_share_difference)
            for name, predicted, observed in shares
        ),
        at_least("certainty", holdout.certainty, thresholds.min_certainty),
        at_most("certainty not above", holdout.certainty, thresholds.max_certainty),
    ]


def backtest_gates(results: Sequence[BacktestResult], chosen: str) -> list[GateResult]:
    """The chosen candidate beats the rules on the backtest: the upper end of the 95 % interval of the difference.

    None where the history is too short for a backtest, or the rules do not compete.
    """
    found = {result.candidate: result for result in results}
    if chosen not in found or "rules" not in found:
        return []
    difference = found[chosen].losses - found["rules"].losses
    upper = float(difference.mean() + Z_95 * difference.std(ddof=1) / np.sqrt(len(difference)))
    return [at_most("log loss against the rules", upper, 0.0)]


def directional_gates(plan: RatingPlan) -> list[GateResult]:
    """Other things equal, a longer braking distance never lowers the risk and an emergency brake never raises it.

    Checked within the training support, now and as far as trends go. The distances' allowance is what sampling alone
    makes a spline wiggle.
    """
    support = plan.support["braking_distance"]
    distances = np.linspace(support.minimum, support.maximum, STEPS)
    flags = np.array([0.0, 1.0])
    falls, rises = [], []
    for months in {0.0, plan.trend_months[1]}:
        risk = contribution(plan.terms["braking_distance"], distances, np.full(STEPS, months))
        falls.append(float(np.max(np.maximum.accumulate(risk) - risk)))
        brake = contribution(plan.terms["emergency_braking"], flags, np.full(2, months))
        rises.append(float(brake[1] - brake[0]))
    return [
        at_most("risk falls with braking distance by", max(falls), plan.spread * WIGGLE),
        at_most("risk rises with emergency brake by", max(rises), 0.0),
    ]
