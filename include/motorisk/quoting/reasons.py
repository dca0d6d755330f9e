"""Why a quote costs what it costs: each feature's exact share, in numbers and in words for customers."""

from collections.abc import Mapping
from typing import NamedTuple

from motorisk.domain.policy import PolicyFeatures
from motorisk.domain.rating_plan import RatingPlan
from motorisk.quoting.pricing import Estimate

NEGLIGIBLE = 0.005
"""On the risk index; what would read as 0.00."""

# What a customer reads for a number's value, and for a flag that is off and on.
_NUMBERS: Mapping[str, str] = {
    "age": "A driver's age of {:g} years",
    "braking_distance": "A braking distance of {:g} metres from 100 km/h",
    "power": "An engine power of {:g} kW",
    "miles": "Driving {:g} thousand miles a year",
}
_FLAGS: Mapping[str, tuple[str, str]] = {
    "training": ("Having taken no driver safety training", "Having taken a driver safety training"),
    "emergency_braking": ("A vehicle without emergency braking", "A vehicle with emergency braking"),
}


class Reason(NamedTuple):
    """A feature's share of the difference between this quote's risk index and the portfolio's average one."""

    feature: str
    contribution: float
    text: str


def average_risk(plan: RatingPlan, months: float) -> float:
    """The mean of the model's risk index over its training portfolio, at a trend time."""
    averages = sum(term.average + months * term.average_trend for term in plan.terms.values())
    return plan.intercept + months * plan.intercept_trend + averages


def reasons(plan: RatingPlan, estimate: Estimate, features: PolicyFeatures) -> tuple[Reason, ...]:
    """Every feature's reason, the weightiest first.

    The contributions (on the risk index, trends included) sum to the expected risk less `average_risk`.
    """
    found = []
    for name, value in zip(PolicyFeatures._fields, features, strict=True):
        term = plan.terms[name]
        contribution = estimate.contributions[name] - (term.average + estimate.months * term.average_trend)
        found.append(Reason(name, contribution, _text(name, value, contribution)))
    return tuple(sorted(found, key=lambda reason: -abs(reason.contribution)))


def _text(name: str, value: float, contribution: float) -> str:
    subject = _FLAGS[name][bool(value)] if name in _FLAGS else _NUMBERS[name].format(value)
    if abs(contribution) < NEGLIGIBLE:
        return f"{subject} is about as risky as the average of our portfolio."
    verb = "raises" if contribution > 0 else "lowers"
    return f"{subject} {verb} the risk index by {abs(contribution):.2f} against the average of our portfolio."
