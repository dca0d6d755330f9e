"""What came true of policies since a feature drifts: whether the version is right about them, and if not, in what way.

Whether a version keeps its promise is decided by the evidence of `promise.py`, here on the outcomes of policies that
began after the drift did. The other figures tell which remedy would help. A *straight line* through observed against
expected risk (weighted least squares) is what recalibrating can do: where errors are as wide as stated after it, the
version still tells good risks from bad. And where the underwriters' rules are right more often than the version, they
should answer.

Actual over expected is money here: the premium that the observed classes deserve by the tariff, over the premium
charged. Policies with known outcomes are older than the newest ones, hence each counts as often as its like (by bins of
the drifted feature) among the newest policies, or in the reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from scipy.stats import norm

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import RISK_CLASSES
from motorisk.domain.tariff import CENT, Tariff
from motorisk.monitoring.columns import Floats
from motorisk.monitoring.effect import Estimate
from motorisk.monitoring.promise import Evidence
from motorisk.scoring.pricing import Dates, assess, predictive_spread, premiums, risk_classes, rule_classes

FEWEST = 200
"""Outcomes; of fewer nothing is said."""
NEWEST = 3000
"""Policies whose errors tell the remedy: the newest, since the world may have gone on moving."""
AS_WIDE = 1.1
"""Errors up to so many times as wide as stated are as stated (the tolerance of `promise.py`)."""
BINS = 10
FEWEST_IN_A_BIN = 10
MOST_UNKNOWN = 0.1
"""Share of the newest policies without their like among the outcomes, above which actual over expected is not known."""


class Performance(StrEnum):
    """Whether the version is right about the policies since the drift began."""

    UNKNOWN = "unknown"
    KEPT = "kept"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Realised:
    """Of so many `outcomes`; what is not known is None.

    `e_value` is the evidence against the version, `bias` the mean error (observed less expected risk index), `width`
    the errors' root mean square in stated spreads, `width_recalibrated` the same after a straight line. `accuracy` is
    what customers got, `rules_accuracy` what the rules alone would have given. `actual_to_expected` is with the feature
    as among the newest policies, `actual_to_expected_before` with the feature as in the reference. `known_from` is when
    outcomes may be expected, where there are too few.
    """

    performance: Performance
    outcomes: int
    e_value: float | None = None
    bias: float | None = None
    width: float | None = None
    width_recalibrated: float | None = None
    accuracy: float | None = None
    rules_accuracy: float | None = None
    actual_to_expected: Estimate | None = None
    actual_to_expected_before: Estimate | None = None
    known_from: date | None = None

    @property
    def recalibration_suffices(self) -> bool:
        """Whether a straight line would make the errors as wide as stated."""
        return self.width_recalibrated is not None and self.width_recalibrated <= AS_WIDE


@dataclass(frozen=True, slots=True)
class Outcomes:
    """n policies with their observed risk index, each array (n,)."""

    features: Mapping[str, Floats]
    effective_dates: Dates
    risk: Floats

    def __len__(self) -> int:
        return len(self.risk)


def realised(
    feature: str,
    plan: RatingPlan,
    tariff: Tariff,
    outcomes: Outcomes,
    evidence: Evidence,
    newest: Floats,
    reference: Floats,
    known_from: date | None = None,
) -> Realised:
    """Judge a version by the outcomes of policies since a feature drifts, and by the evidence that they give.

    `newest` and `reference` are the feature's values among the newest policies and in the reference.
    """
    if len(outcomes) < FEWEST:
        return Realised(Performance.UNKNOWN, len(outcomes), known_from=known_from)
    assessed = assess(plan, outcomes.features, outcomes.effective_dates)
    observed = risk_classes(outcomes.risk, plan.class_bounds)
    factors = np.array([float(tariff.factors[name]) for name in RISK_CLASSES])
    deserved = float(tariff.base_premium) * factors[observed]
    charged = np.multiply(premiums(tariff, assessed.probabilities).net, float(CENT), dtype=np.float64)
    values = outcomes.features[feature]

    recent = np.zeros(len(outcomes), dtype=np.bool_)
    recent[np.argsort(outcomes.effective_dates, kind="stable")[-NEWEST:]] = True
    answered = recent & assessed.by_model
    bias = width = straightened = None
    if answered.sum() >= FEWEST:
        expected, found = assessed.expected_risk[answered], outcomes.risk[answered]
        spread = predictive_spread(plan, outcomes.effective_dates[answered])
        bias = float((found - expected).mean())
        width = float(np.sqrt(np.mean(((found - expected) / spread) ** 2)))
        line = np.column_stack([np.ones(len(expected)), expected]) / spread[:, None]
        left = found / spread - line @ np.linalg.lstsq(line, found / spread)[0]
        straightened = float(np.sqrt(np.mean(left**2)))
    rules = rule_classes({name: column[recent] for name, column in outcomes.features.items()})
    return Realised(
        performance=Performance.KEPT if evidence.since() is None else Performance.BROKEN,
        outcomes=len(outcomes),
        e_value=evidence.e_value,
        bias=bias,
        width=width,
        width_recalibrated=straightened,
        accuracy=float(np.mean(assessed.classes[recent] == observed[recent])),
        rules_accuracy=float(np.mean(rules == observed[recent])),
        actual_to_expected=actual_to_expected(feature, deserved, charged, values, newest),
        actual_to_expected_before=actual_to_expected(feature, deserved, charged, values, reference),
    )


def actual_to_expected(
    feature: str, deserved: Floats, charged: Floats, values: Floats, wanted: Floats
) -> Estimate | None:
    """Premium deserved over premium charged of n policies, each (n,), as if their values were spread as (k,) wanted.

    None where too few of them are like the wanted ones.
    """
    ends = np.array([0.5]) if FEATURES[feature].is_flag else np.unique(np.quantile(wanted, np.arange(1, BINS) / BINS))
    here, there = np.searchsorted(ends, values, "right"), np.searchsorted(ends, wanted, "right")
    have, want = (np.bincount(bins, minlength=len(ends) + 1) for bins in (here, there))
    known = have >= FEWEST_IN_A_BIN
    if want[~known].sum() > MOST_UNKNOWN * len(wanted):
        return None
    weights = np.where(known, want / np.maximum(have, 1), 0.0)[here]
    expected = float(weights @ charged)
    if not expected:
        return None
    ratio = float(weights @ deserved) / expected
    error = float(np.sqrt(np.sum((weights * (deserved - ratio * charged)) ** 2))) / expected
    half = float(norm.ppf(0.975)) * error
    return Estimate(ratio, ratio - half, ratio + half)
