"""Whether a rating plan that reads well also prices: the last check before it is served."""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import product

from motorisk.domain.calendar import DAYS_A_MONTH
from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import PROBABILITY_UNITS
from motorisk.domain.tariff import Tariff
from motorisk.errors import PlanRefused
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.reasons import average_risk, reasons

SANE_RISK = 1000.0
"""Observed risk indices are of the order of ten."""


def _dates(plan: RatingPlan) -> list[date]:
    """The plan's as-of date and both ends of its trends."""
    return [_day(plan.as_of, months) for months in (0.0, *plan.trend_months)]


def _day(as_of: date, months: float) -> date:
    try:
        return as_of + timedelta(days=round(months * DAYS_A_MONTH))
    except OverflowError:  # trends that never end
        return date.max if months > 0 else date.min


def _policies(plan: RatingPlan) -> list[PolicyFeatures]:
    """The corners of the training support."""
    return [PolicyFeatures(*corner) for corner in product(*(plan.support[name] for name in FEATURES))]


def smoke_test(pricer: Pricer, tariffs: Sequence[Tariff]) -> None:
    """Price the corners of the plan's experience, in every tariff; `PlanRefused` where anything is no price."""
    plan = pricer.plan
    for effective in _dates(plan):
        average = average_risk(plan, plan.trend_time(effective))
        for features in _policies(plan):
            try:
                _check(pricer, features, effective, average, tariffs)
            except (ArithmeticError, ValueError) as error:
                values = ", ".join(f"{name}={value:g}" for name, value in features._asdict().items())
                raise PlanRefused(f"smoke prediction for {values} from {effective}: {error}") from None


def _check(
    pricer: Pricer, features: PolicyFeatures, effective: date, average: float, tariffs: Sequence[Tariff]
) -> None:
    assessment = pricer.assess(features, effective)
    estimate = assessment.estimate
    if estimate is None:
        raise ValueError("the model does not answer inside its own support")
    if not abs(estimate.expected_risk) <= SANE_RISK:
        raise ValueError(f"the risk index is {estimate.expected_risk:g}")
    probabilities = assessment.price_probabilities
    if sum(probabilities) != PROBABILITY_UNITS or min(probabilities) < 0:
        raise ValueError("the class probabilities are none")
    shares = math.fsum(reason.contribution for reason in reasons(estimate, pricer.at(effective), features))
    if not math.isclose(shares, estimate.expected_risk - average, rel_tol=1e-9, abs_tol=1e-9):
        raise ValueError("the reasons do not sum to the risk index")
    for tariff in tariffs:
        premium = tariff.premium(probabilities)
        if not premium.gross == premium.net + premium.insurance_tax >= 0:
            raise ValueError(f"the premium in tariff {tariff.name} is none")
