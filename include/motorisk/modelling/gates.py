"""Gates: what a version must show before anybody may approve it, as figures with thresholds and verdicts."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from motorisk.domain.fairness import reason_against
from motorisk.domain.gate import GateResult
from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import PROBABILITY_UNITS, RISK_CLASSES
from motorisk.modelling.backtest import BacktestResult, standard_error
from motorisk.modelling.configuration import CHAMPION, GateThresholds
from motorisk.modelling.evaluation import Evaluation, calibration_error
from motorisk.modelling.segments import Segment
from motorisk.modelling.snapshot import Snapshot
from motorisk.modelling.tuning import Entry
from motorisk.scoring.pricing import Floats, Integers, contribution, estimate

Z_95 = 1.96
STEPS = 400
MAX_FOLDING_ERROR = 1e-9
"""On the risk index: the served plan is the fitted model."""
DOMAIN_DRAWS = 20_000
FAR = {"age": 120.0, "braking_distance": 500.0, "power": 5000.0, "miles": 2000.0}
"""Largest values that the numeric safety gate tries; all of them are plausible to the quote service."""
FAR_OTHERWISE = 1e6
"""The same for a feature that nobody has named above."""

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


def backtest_gates(results: Sequence[BacktestResult], chosen: str, thresholds: GateThresholds) -> list[GateResult]:
    """The chosen candidate on the backtest against the rules and the champion, as ends of 95 % intervals.

    It beats the rules for certain: the upper end of the difference in log loss is at most nought. And the champion
    does not beat it for certain by what matters: the lower end is at most the threshold. The champion competes as its
    way of training, trained again on what was known then, since the version itself knows outcomes that the others must
    not know; most months that way is the same and the difference nought. No gate against who does not compete.
    """
    found = {result.candidate: result for result in results}
    if chosen not in found:
        return []
    gates = []
    if "rules" in found:
        _, upper = _interval(found[chosen].losses - found["rules"].losses)
        gates.append(at_most("log loss against the rules", upper, 0.0))
    if CHAMPION in found:
        lower, _ = _interval(found[chosen].losses - found[CHAMPION].losses)
        gates.append(at_most("log loss against the champion", lower, thresholds.max_loss_to_champion))
    return gates


def _interval(difference: Floats) -> tuple[float, float]:
    half = Z_95 * standard_error(difference)
    return float(difference.mean()) - half, float(difference.mean()) + half


def yardstick_gates(entries: Sequence[Entry], thresholds: GateThresholds) -> list[GateResult]:
    """Yardsticks that learn tell what is attainable only if they can learn: measured in the months they learnt from."""
    gates = []
    for entry in entries:
        if entry.in_time is not None:
            accuracy, certainty = entry.in_time
            name = f"{entry.candidate}, as a yardstick:"
            gates.append(at_least(f"{name} accuracy", accuracy, thresholds.min_yardstick_accuracy))
            gates.append(at_least(f"{name} certainty", certainty, thresholds.min_certainty))
    return gates


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


def segment_gates(cells: Sequence[Segment], thresholds: GateThresholds) -> list[GateResult]:
    """Segments of policies that the model had not seen: mean error on the risk index, and actual over expected.

    What chance alone gives a segment of its size does not count.
    """
    return [
        at_most("worst segment off by", max((cell.bias for cell in cells), default=0.0), thresholds.max_segment_error),
        at_most(
            "worst segment's high risks over expected",
            max((cell.excess for cell in cells), default=0.0),
            thresholds.max_segment_excess,
        ),
    ]


def benefit_gate(losses: Floats, without: Mapping[str, Floats]) -> GateResult:
    """Every feature earns its place: none makes unseen policies harder to foretell for certain.

    `losses` are the log losses of n policies, (n,), `without` theirs with a feature's term at its average. The value is
    the lower end of the 95 % interval of what the worst feature costs.
    """
    costs = max(_interval(losses - others)[0] for others in without.values())
    return at_most("log loss that a feature costs", costs, 0.0)


def calibration_gate(probabilities: Integers, observed: npt.NDArray[np.int8], limit: float) -> GateResult:
    """The calibration error of (n, 3) probabilities in units against (n,) observed class indices."""
    return at_most("calibration error", calibration_error(probabilities / PROBABILITY_UNITS, observed), limit)


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
        at_most("features that may not price", sum(reason_against(name) is not None for name in plan.terms), 0),
    ]


def _without_number(plan: RatingPlan) -> int:
    random = np.random.default_rng(0)
    features = {
        name: random.integers(0, 2, DOMAIN_DRAWS).astype(float)
        if feature.is_flag
        else feature.minimum + (FAR.get(name, FAR_OTHERWISE) - feature.minimum) * random.random(DOMAIN_DRAWS) ** 3
        for name, feature in FEATURES.items()
    }
    days = random.integers(-40_000, 40_000, DOMAIN_DRAWS)
    found = estimate(plan, features, np.datetime64(plan.as_of, "D") + days.astype("timedelta64[D]"))
    wrong = ~np.isfinite(found.expected_risk) | (found.probabilities < 0).any(axis=1)
    return int((wrong | (found.probabilities.sum(axis=1) != PROBABILITY_UNITS)).sum())
