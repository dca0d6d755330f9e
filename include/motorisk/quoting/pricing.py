"""Evaluate a rating plan for one policy: expected risk, its exact parts, class probabilities.

The order of operations is that of `motorisk.scoring.pricing`, so that both give the same numbers.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Literal, NamedTuple

from motorisk.domain.calendar import months_between
from motorisk.domain.policy import PolicyFeatures
from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic, RatingPlan, Support
from motorisk.domain.risk import ClassProbabilities, RiskClass, certain, class_probabilities
from motorisk.domain.rules import rule_class

Predictor = Literal["model", "rules"]
REMEMBERED_DATES = 512
"""Trends are evaluated once an effective date: most quotes share a few of them."""


class Estimate(NamedTuple):
    """The model's answer: `base` and `contributions` sum to `expected_risk`; `months` is the trends' time."""

    expected_risk: float
    base: float
    months: float
    contributions: Mapping[str, float]
    probabilities: ClassProbabilities


class Assessment(NamedTuple):
    """What a quote is priced from: the model's estimate, or the rules' class where the model may not answer.

    `outside` names the features beyond the (widened) training support, with that support.
    """

    predictor: Predictor
    risk_class: RiskClass
    price_probabilities: ClassProbabilities
    estimate: Estimate | None
    outside: Mapping[str, Support]


def _cubic(curve: PiecewiseCubic) -> Callable[[float], float]:
    breakpoints = curve.breakpoints
    segments = tuple(
        (breakpoints[max(index - 1, 0)], *coefficients) for index, coefficients in enumerate(curve.coefficients)
    )

    def value(x: float) -> float:
        origin, c0, c1, c2, c3 = segments[bisect_right(breakpoints, x)]
        d = x - origin
        return c0 + d * (c1 + d * (c2 + d * c3))

    return value


def _term(term: NumberTerm | FlagTerm) -> tuple[Callable[[float], float], Callable[[float], float] | None]:
    if isinstance(term, FlagTerm):
        off, on = term.level
        trend = term.trend
        return (
            lambda x: on if x else off,
            None if trend is None else lambda x: trend[1] if x else trend[0],
        )
    return _cubic(term.level), None if term.trend is None else _cubic(term.trend)


class Moment(NamedTuple):
    """What of a plan depends on the effective date alone."""

    months: float
    base: float
    spread: float
    averages: tuple[float, ...]
    """Each feature's mean contribution over the training portfolio, in the order of the features."""
    is_beyond_trend: bool
    """Whether the plan has trends, and they end before the date."""


class Pricer:
    """A rating plan made ready to price single policies in microseconds; immutable, shared by threads."""

    def __init__(self, plan: RatingPlan) -> None:
        self.plan = plan
        names = PolicyFeatures._fields
        self._terms = tuple((name, *_term(plan.terms[name])) for name in names)
        self._support = tuple((name, plan.support[name].widened()) for name in names)
        self._ranges = tuple((support.minimum, support.maximum) for _, support in self._support)
        self.at = lru_cache(maxsize=REMEMBERED_DATES)(self._at)

    def _at(self, effective_date: date) -> Moment:
        plan = self.plan
        months = plan.trend_time(effective_date)
        terms = [plan.terms[name] for name in PolicyFeatures._fields]
        return Moment(
            months,
            plan.intercept + months * plan.intercept_trend,
            plan.spread_at(months),
            tuple(term.average + months * term.average_trend for term in terms),
            plan.has_trends and months_between(plan.as_of, effective_date) > plan.trend_months[1],
        )

    def is_inside(self, features: PolicyFeatures) -> bool:
        """Whether every value lies in the widened training support."""
        for (minimum, maximum), value in zip(self._ranges, features, strict=True):
            if not minimum <= value <= maximum:  # so that NaN is outside
                return False
        return True

    def outside_support(self, features: PolicyFeatures) -> dict[str, Support]:
        """The features whose values lie beyond the widened training support, with that support."""
        return {
            name: support
            for (name, support), value in zip(self._support, features, strict=True)
            if not support.minimum <= value <= support.maximum
        }

    def estimate(self, features: PolicyFeatures, effective_date: date) -> Estimate:
        """The model's answer, also outside the support (where it is extrapolated linearly)."""
        moment = self.at(effective_date)
        months = moment.months
        expected_risk = moment.base
        contributions = {}
        for (name, level, trend), value in zip(self._terms, features, strict=True):
            part = level(value) if trend is None else level(value) + months * trend(value)
            contributions[name] = part
            expected_risk += part
        probabilities = class_probabilities(expected_risk, moment.spread, self.plan.class_bounds)
        return Estimate(expected_risk, moment.base, months, contributions, probabilities)

    def assess(self, features: PolicyFeatures, effective_date: date) -> Assessment:
        """Ask the model inside its experience, the rules outside it."""
        if not self.is_inside(features):
            risk_class = rule_class(features)
            return Assessment("rules", risk_class, certain(risk_class), None, self.outside_support(features))
        estimate = self.estimate(features, effective_date)
        probabilities = estimate.probabilities
        return Assessment("model", probabilities.most_likely(), probabilities, estimate, {})
