"""A quote: everything that is answered and stored."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from motorisk.domain.calendar import months_between
from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.rating_plan import RatingPlan, Support
from motorisk.domain.risk import ClassProbabilities, RiskClass
from motorisk.domain.tariff import Premium
from motorisk.quoting.pricing import Predictor, Pricer
from motorisk.quoting.reasons import Reason, reasons

Channel = Literal["quote", "predict"]
VALIDITY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class PricedQuote:
    """What the ledger keeps of a quote; with the version's rating plan it tells the rest.

    `probabilities` are what was priced: the model's, or all on one class where the rules answered
    (then `expected_risk` is None).
    """

    quote_id: UUID
    quoted_at: datetime
    channel: Channel
    reference: str | None
    effective_date: date
    features: PolicyFeatures
    version: int
    digest: str
    tariff: str
    predictor: Predictor
    risk_class: RiskClass
    expected_risk: float | None
    probabilities: ClassProbabilities
    premium: Premium

    @property
    def valid_until(self) -> datetime:
        """The end of the offer."""
        return self.quoted_at + VALIDITY


@dataclass(frozen=True, slots=True)
class Fallback:
    """A feature for which the rules answered, and the range in which the model would have."""

    feature: str
    value: float
    support: Support


@dataclass(frozen=True, slots=True)
class Quote:
    """A priced quote, explained."""

    priced: PricedQuote
    currency: str
    reasons: tuple[Reason, ...]
    fallback: tuple[Fallback, ...]
    warnings: tuple[str, ...]


def explain(priced: PricedQuote, pricer: Pricer, currency: str) -> Quote:
    """Add what follows from the rating plan: the same for a quote just made and for one read back."""
    features = priced.features
    if priced.predictor == "model":
        estimate = pricer.estimate(features, priced.effective_date)
        late = _trend_warning(pricer.plan, priced.effective_date)
        return Quote(
            priced,
            currency,
            reasons=reasons(pricer.plan, estimate, features),
            fallback=(),
            warnings=() if late is None else (late,),
        )
    outside = pricer.outside_support(features)
    fallback = tuple(Fallback(name, getattr(features, name), support) for name, support in outside.items())
    return Quote(priced, currency, reasons=(), fallback=fallback, warnings=tuple(map(_fallback_warning, fallback)))


def _fallback_warning(fallback: Fallback) -> str:
    feature = FEATURES[fallback.feature]
    unit = "" if feature.is_flag else f" {feature.unit}"
    return (
        f"The underwriters' rules answered, because {feature.name} is {fallback.value:g}{unit} and the model "
        f"has experience from {fallback.support.minimum:g} to {fallback.support.maximum:g} only."
    )


def _trend_warning(plan: RatingPlan, effective_date: date) -> str | None:
    """Say so where the model's trends end before the effective date."""
    last = plan.trend_months[1]
    if months_between(plan.as_of, effective_date) <= last or not plan.has_trends:
        return None
    return (
        f"The model of {plan.as_of} foresees how risks change for {last:g} months; the effective date "
        f"{effective_date} is later, so that it was priced as at the end of that time."
    )
