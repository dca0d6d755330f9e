"""Evaluate a rating plan and a tariff for arrays of policies.

The order of operations is that of `motorisk.quoting.pricing` and `motorisk.domain.tariff`, so that a policy
costs the same to the cent in a quote and in a score.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from motorisk.domain.calendar import DAYS_A_MONTH
from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic, RatingPlan
from motorisk.domain.risk import PROBABILITY_UNITS, RISK_CLASSES, RiskClass
from motorisk.domain.tariff import CENT, FACTOR_UNIT, TAX_UNIT, Tariff

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Columns = Mapping[str, Floats]
Dates = npt.NDArray[np.datetime64]

CAP_UNITS = 10_000
"""The cap on changes at renewal has four decimals."""

_CLASS_NAMES = np.array([name.value for name in RISK_CLASSES])


@dataclass(frozen=True, slots=True)
class Estimates:
    """The model's answers for n policies; `probabilities` is (n, 3) in units of 1/`PROBABILITY_UNITS`."""

    expected_risk: Floats
    contributions: dict[str, Floats]
    probabilities: Integers


@dataclass(frozen=True, slots=True)
class Assessments:
    """Model inside the training support, rules outside; `classes` index `RISK_CLASSES`.

    Where the rules answered, `expected_risk` is NaN and `probabilities` are certain.
    """

    by_model: npt.NDArray[np.bool_]
    classes: npt.NDArray[np.int8]
    expected_risk: Floats
    probabilities: Integers

    @property
    def class_names(self) -> npt.NDArray[np.str_]:
        """`low`, `medium` or `high` of each policy."""
        return _CLASS_NAMES[self.classes]


@dataclass(frozen=True, slots=True)
class Premiums:
    """Yearly premiums in cents."""

    net: Integers
    insurance_tax: Integers
    gross: Integers


def _cubic(curve: PiecewiseCubic, x: Floats) -> Floats:
    breakpoints = np.asarray(curve.breakpoints)
    coefficients = np.asarray(curve.coefficients)
    segment = np.searchsorted(breakpoints, x, side="right")
    d = x - breakpoints[np.maximum(segment - 1, 0)]
    c0, c1, c2, c3 = coefficients.T[:, segment]
    return np.asarray(c0 + d * (c1 + d * (c2 + d * c3)))


def curve_value(curve: PiecewiseCubic | tuple[float, float], x: Floats) -> Floats:
    """A level or a trend at (n,) feature values."""
    if isinstance(curve, PiecewiseCubic):
        return _cubic(curve, x)
    return np.where(x != 0, curve[1], curve[0])


def trend_time(plan: RatingPlan, effective_dates: Dates) -> Floats:
    """Months from the plan's as-of date to each effective date, (n,), no farther than its trends go."""
    days = (effective_dates - np.datetime64(plan.as_of, "D")).astype("timedelta64[D]").astype(np.float64)
    return np.clip(days / DAYS_A_MONTH, *plan.trend_months)


def contribution(term: NumberTerm | FlagTerm, x: Floats, months: Floats) -> Floats:
    """A term's part of the risk index for feature values `x` at trend times `months`, both (n,)."""
    level = curve_value(term.level, x)
    return level if term.trend is None else level + months * curve_value(term.trend, x)


def class_probabilities(expected_risk: Floats, spread: float | Floats, bounds: tuple[float, float]) -> Integers:
    """(n, 3) class probabilities of normal predictive distributions, in units of 1/`PROBABILITY_UNITS`."""
    low = np.rint(ndtr((bounds[0] - expected_risk) / spread) * PROBABILITY_UNITS).astype(np.int64)
    high = np.rint(ndtr((expected_risk - bounds[1]) / spread) * PROBABILITY_UNITS).astype(np.int64)
    return np.column_stack([low, PROBABILITY_UNITS - low - high, high])


def most_likely(probabilities: npt.NDArray[np.generic]) -> npt.NDArray[np.int8]:
    """Index of each row's largest probability; of equal ones the riskier class."""
    last = probabilities.shape[1] - 1
    return np.asarray(last - np.argmax(probabilities[:, ::-1], axis=1), dtype=np.int8)


def predictive_spread(plan: RatingPlan, effective_dates: Dates) -> Floats:
    """(n,) standard deviations of the outcomes about the expected risk, as the plan states them."""
    return np.asarray(plan.spread * np.exp(plan.spread_trend * trend_time(plan, effective_dates)))


def estimate(plan: RatingPlan, features: Columns, effective_dates: Dates) -> Estimates:
    """The model's answers, also outside its support."""
    months = trend_time(plan, effective_dates)
    expected_risk = plan.intercept + months * plan.intercept_trend
    contributions = {}
    for name in FEATURES:
        contributions[name] = contribution(plan.terms[name], features[name], months)
        expected_risk = expected_risk + contributions[name]
    spread = predictive_spread(plan, effective_dates)
    return Estimates(expected_risk, contributions, class_probabilities(expected_risk, spread, plan.class_bounds))


def estimates_without(plan: RatingPlan, found: Estimates, effective_dates: Dates) -> Iterator[tuple[str, Integers]]:
    """By feature: the (n, 3) class probabilities where the model knows no more of it than its average contribution."""
    months = trend_time(plan, effective_dates)
    spread = predictive_spread(plan, effective_dates)
    for name, contributed in found.contributions.items():
        average = plan.terms[name].average + months * plan.terms[name].average_trend
        yield name, class_probabilities(found.expected_risk - contributed + average, spread, plan.class_bounds)


def inside_support(plan: RatingPlan, features: Columns) -> npt.NDArray[np.bool_]:
    """Whether the model may answer for each policy."""
    inside = np.ones(len(next(iter(features.values()))), dtype=bool)
    for name in FEATURES:
        minimum, maximum = plan.support[name].widened()
        inside &= (features[name] >= minimum) & (features[name] <= maximum)
    return inside


def rule_classes(features: Columns) -> npt.NDArray[np.int8]:
    """The rules of `motorisk.domain.rules` for arrays."""
    low, medium, high = range(len(RISK_CLASSES))
    return np.select(
        [
            features["training"] != 0,
            (features["age"] < 30) & (features["power"] > 130),
            features["age"] < 30,
            features["age"] > 50,
            features["emergency_braking"] != 0,
            features["miles"] > 50,
            features["miles"] > 30,
        ],
        [low, high, medium, high, low, high, medium],
        default=low,
    ).astype(np.int8)


def assess(plan: RatingPlan, features: Columns, effective_dates: Dates) -> Assessments:
    """Ask the model inside its experience, the rules outside it."""
    estimates = estimate(plan, features, effective_dates)
    by_model = inside_support(plan, features)
    classes = np.where(by_model, most_likely(estimates.probabilities), rule_classes(features)).astype(np.int8)
    certain = np.eye(len(RISK_CLASSES), dtype=np.int64)[classes] * PROBABILITY_UNITS
    return Assessments(
        by_model=by_model,
        classes=classes,
        expected_risk=np.where(by_model, estimates.expected_risk, np.nan),
        probabilities=np.where(by_model[:, None], estimates.probabilities, certain),
    )


def _half_up(amount: Integers, unit: int) -> Integers:
    return (amount + unit // 2) // unit


def premiums(tariff: Tariff, probabilities: Integers) -> Premiums:
    """Yearly premiums in cents for (n, 3) class probabilities, in exact integer arithmetic."""
    factors = np.array([int(tariff.factors[name] / FACTOR_UNIT) for name in RISK_CLASSES], dtype=np.int64)
    base = np.int64(int(tariff.base_premium / CENT))
    return _with_tax(tariff, _half_up(base * (probabilities @ factors), PROBABILITY_UNITS * int(1 / FACTOR_UNIT)))


def _with_tax(tariff: Tariff, net: Integers) -> Premiums:
    tax = _half_up(net * int(tariff.tax_rate / TAX_UNIT), int(1 / TAX_UNIT))
    return Premiums(net=net, insurance_tax=tax, gross=net + tax)


def capped_premiums(
    tariff: Tariff, money: Premiums, before: Floats, cap: Decimal
) -> tuple[Premiums, npt.NDArray[np.bool_]]:
    """Premiums that differ from net premiums of a year `before` (cents; NaN where there is none) by no more than `cap`.

    `cap` is a share of the premium before, in steps of 1/`CAP_UNITS`, up and down. Returns the premiums and whose net
    premium had to give way; everybody else's are left to the cent.
    """
    known = ~np.isnan(before)
    last = np.where(known, before, 0).astype(np.int64)
    share = int(cap * CAP_UNITS)
    highest = last * (CAP_UNITS + share) // CAP_UNITS
    lowest = -(-(last * max(CAP_UNITS - share, 0)) // CAP_UNITS)
    allowed = np.where(known, np.clip(money.net, lowest, highest), money.net)
    return _with_tax(tariff, allowed), allowed != money.net


def risk_classes(risk: Floats, bounds: tuple[float, float]) -> npt.NDArray[np.int8]:
    """Index into `RISK_CLASSES` of observed risk indices: low < bounds[0] <= medium <= bounds[1] < high."""
    classes = np.full(len(risk), RISK_CLASSES.index(RiskClass.MEDIUM), dtype=np.int8)
    classes[risk < bounds[0]] = RISK_CLASSES.index(RiskClass.LOW)
    classes[risk > bounds[1]] = RISK_CLASSES.index(RiskClass.HIGH)
    return classes
