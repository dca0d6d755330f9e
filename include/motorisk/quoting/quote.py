"""A quote: everything that is answered and stored."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple, get_args
from uuid import UUID

from motorisk.domain.policy import PolicyFeatures
from motorisk.domain.rating_plan import Support
from motorisk.domain.risk import ClassProbabilities, RiskClass
from motorisk.domain.tariff import Premium
from motorisk.quoting.pricing import Estimate, Predictor, Pricer
from motorisk.quoting.reasons import Reason, reasons
from motorisk.quoting.wording import Language, beyond_trend_text, fallback_text

Channel = Literal["quote", "page", "predict"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
OFFERS: tuple[Channel, ...] = ("quote", "page")
"""What was offered at its price, and can be read again; a prediction has a price in the ledger alone."""
Recorded = Literal["ledger", "journal"]
VALIDITY = timedelta(days=30)


class PricedQuote(NamedTuple):
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
    client: str | None = None
    """Who asked; None where nobody had to say."""

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


class Quote(NamedTuple):
    """A priced quote, explained; `recorded` tells where it is kept (see `Recorder`), None: nowhere."""

    priced: PricedQuote
    currency: str
    reasons: tuple[Reason, ...]
    fallback: tuple[Fallback, ...]
    warnings: tuple[str, ...]
    recorded: Recorded | None = "ledger"
    is_repeated: bool = False
    """Whether an earlier request with the same idempotency key made it."""


def explain(
    priced: PricedQuote,
    pricer: Pricer,
    currency: str,
    *,
    language: Language = "en",
    estimate: Estimate | None = None,
    recorded: Recorded | None = "ledger",
    is_repeated: bool = False,
) -> Quote:
    """Add what follows from the rating plan: the same for a quote just made and for one read back.

    `estimate` is the pricer's for this quote, where it is at hand.
    """
    features, effective = priced.features, priced.effective_date
    if priced.predictor == "model":
        moment = pricer.at(effective)
        if estimate is None:
            estimate = pricer.estimate(features, effective)
        warnings: tuple[str, ...] = ()
        if moment.is_beyond_trend:
            plan = pricer.plan
            warnings = (beyond_trend_text(plan.as_of, effective, plan.trend_months[1], language),)
        why = reasons(estimate, moment, features, language)
        return Quote(priced, currency, why, (), warnings, recorded, is_repeated)
    outside = pricer.outside_support(features)
    fallback = tuple(Fallback(name, getattr(features, name), support) for name, support in outside.items())
    warnings = tuple(fallback_text(item.feature, item.value, item.support, language) for item in fallback)
    return Quote(priced, currency, (), fallback, warnings, recorded, is_repeated)
