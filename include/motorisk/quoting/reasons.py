"""Why a quote costs what it costs: each feature's exact share, in numbers and in words for customers."""

from typing import NamedTuple

from motorisk.domain.policy import PolicyFeatures
from motorisk.domain.rating_plan import RatingPlan
from motorisk.quoting.pricing import Estimate, Moment
from motorisk.quoting.wording import Language, reason_text


class Reason(NamedTuple):
    """A feature's share of the difference between this quote's risk index and the portfolio's average one."""

    feature: str
    contribution: float
    text: str


def average_risk(plan: RatingPlan, months: float) -> float:
    """The mean of the model's risk index over its training portfolio, at a trend time."""
    averages = sum(term.average + months * term.average_trend for term in plan.terms.values())
    return plan.intercept + months * plan.intercept_trend + averages


def _weight(share: tuple[float, str, float]) -> float:
    return -abs(share[0])


def reasons(
    estimate: Estimate, moment: Moment, features: PolicyFeatures, language: Language = "en"
) -> tuple[Reason, ...]:
    """Every feature's reason, the weightiest first.

    The contributions (on the risk index, trends included) sum to the expected risk less `average_risk`.
    """
    parts = zip(estimate.contributions.items(), moment.averages, features, strict=True)
    shares = [(part - average, name, value) for (name, part), average, value in parts]
    shares.sort(key=_weight)
    return tuple([Reason(name, share, reason_text(name, value, share, language)) for share, name, value in shares])
