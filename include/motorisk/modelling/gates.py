"""Gates: what a version must show before anybody may approve it, as figures with thresholds and verdicts."""

from motorisk.domain.gate import GateResult
from motorisk.domain.risk import RISK_CLASSES
from motorisk.modelling.configuration import GateThresholds
from motorisk.modelling.evaluation import Evaluation


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
