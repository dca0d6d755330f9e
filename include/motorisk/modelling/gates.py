"""Gates: what a version must show before anybody may approve it, as figures with thresholds and verdicts."""

from collections.abc import Sequence

import numpy as np

from motorisk.domain.gate import GateResult
from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import PROBABILITY_UNITS, RISK_CLASSES
from motorisk.modelling.backtest import BacktestResult
from motorisk.modelling.configuration import GateThresholds
from motorisk.modelling.evaluation import Evaluation, calibration_error
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import Floats, Integers, contribution, estimate

Z_95 = 1.96
STEPS = 400
MAX_FOLDING_ERROR = 1e-9
"""On the risk index: the served plan is the fitted model."""
DOMAIN_DRAWS = 20_000
FAR = {"age": 120.0, "braking_distance": 500.0, "power": 5000.0, "miles": 2000.0}
"""Largest values that the numeric safety gate tries; all of them are plausible to the quote service."""

AGE_BANDS, POWER_BANDS = (25.0, 32.0, 38.0, 50.0), (90.0, 130.0)
MIN_EXPOSURE = 50
"""Fewer policies than this in a segment say nothing about its bias."""
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


def segment_gate(snapshot: Snapshot, residuals: Floats, limit: float) -> GateResult:
    """The largest mean error on the risk index by age band, training and power band, as fine as exposure allows.

    `residuals` are (n,) observed less expected risk of policies that the model had not seen. What chance alone gives
    a segment of its size (two standard errors) does not count.
    """
    bands = [
        np.digitize(snapshot.features["age"], AGE_BANDS),
        snapshot.features["training"].astype(int),
        np.digitize(snapshot.features["power"], POWER_BANDS),
    ]
    shape = (len(AGE_BANDS) + 1, 2, len(POWER_BANDS) + 1)
    worst = 0.0
    # From coarse to fine, so that small portfolios are looked at too.
    for depth in (1, 2, 3):
        segments = np.ravel_multi_index(bands[:depth], shape[:depth])
        for segment in np.unique(segments):
            errors = residuals[segments == segment]
            if len(errors) >= MIN_EXPOSURE:
                chance = 2 * float(errors.std(ddof=1)) / np.sqrt(len(errors))
                worst = max(worst, abs(float(errors.mean())) - float(chance))
    return at_most("worst segment off by", worst, limit)


def calibration_gate(
    probabilities: Integers, observed: "np.ndarray[tuple[int], np.dtype[np.int8]]", limit: float
) -> GateResult:
    """Expected calibration error over all classes, of (n, 3) probabilities in units and (n,) observed classes."""
    return at_most("calibration error", calibration_error(probabilities, observed), limit)


def plan_gates(plan: RatingPlan, snapshot: Snapshot, folding_error: float) -> list[GateResult]:
    """The served plan is the fitted model, answers alike in any batch, and has a number for every possible input."""
    dates = snapshot.effective_dates
    whole = estimate(plan, snapshot.features, dates).probabilities
    order = np.random.default_rng(0).permutation(len(snapshot))
    shuffled = estimate(plan, {name: values[order] for name, values in snapshot.features.items()}, dates[order])
    alone = [
        estimate(plan, {name: values[i : i + 1] for name, values in snapshot.features.items()}, dates[i : i + 1])
        for i in order[:10]
    ]
    differing = int(np.any(whole[order] != shuffled.probabilities, axis=1).sum())
    differing += sum(bool(np.any(whole[i] != one.probabilities[0])) for i, one in zip(order[:10], alone, strict=True))
    return [
        at_most("plan differs from model by", folding_error, MAX_FOLDING_ERROR),
        at_most("answers that depend on the batch", differing, 0),
        at_most("inputs without a number for an answer", _without_number(plan), 0),
    ]


def _without_number(plan: RatingPlan) -> int:
    random = np.random.default_rng(0)
    features = {
        name: random.integers(0, 2, DOMAIN_DRAWS).astype(float)
        if feature.is_flag
        else feature.minimum + (FAR[name] - feature.minimum) * random.random(DOMAIN_DRAWS) ** 3
        for name, feature in FEATURES.items()
    }
    days = random.integers(-40_000, 40_000, DOMAIN_DRAWS)
    found = estimate(plan, features, np.datetime64(plan.as_of, "D") + days.astype("timedelta64[D]"))
    wrong = ~np.isfinite(found.expected_risk) | (found.probabilities < 0).any(axis=1)
    return int((wrong | (found.probabilities.sum(axis=1) != PROBABILITY_UNITS)).sum())
