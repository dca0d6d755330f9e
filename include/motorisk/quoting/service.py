"""Quoting: price a policy with the champion, put it into the ledger, answer it explained."""

import uuid
from datetime import UTC, date, datetime
from functools import lru_cache

from motorisk.domain.policy import PolicyFeatures
from motorisk.domain.rating_plan import plan_digest
from motorisk.domain.tariff import Tariff
from motorisk.errors import DatabaseUnavailable, InvalidData, NoTariff, PlanRefused
from motorisk.quoting.champion import Champion, ServedModel
from motorisk.quoting.database import Database
from motorisk.quoting.ledger import Ledger
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.quote import Channel, PricedQuote, Quote, explain
from motorisk.registry.tariffs import in_force
from motorisk.registry.versions import load_plan

REMEMBERED_PLANS = 16


class EffectiveDateRefused(InvalidData):
    """Prices reach back to the first tariff only."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"effective_date: {reason}")
        self.errors = [{"field": "effective_date", "problem": reason}]


def price(
    model: ServedModel,
    tariffs: list[Tariff],
    features: PolicyFeatures,
    effective_date: date | None = None,
    *,
    channel: Channel = "quote",
    reference: str | None = None,
) -> PricedQuote:
    """Price a policy that starts on `effective_date` (default: today, UTC), without storing it.

    `NoTariff` where no tariff is in force on that date.
    """
    now = datetime.now(UTC)
    effective = effective_date or now.date()
    tariff = in_force(tariffs, effective)
    assessment = model.pricer.assess(features, effective)
    return PricedQuote(
        quote_id=uuid.uuid4(),
        quoted_at=now,
        channel=channel,
        reference=reference,
        effective_date=effective,
        features=features,
        version=model.version.version,
        digest=model.version.digest,
        tariff=tariff.name,
        predictor=assessment.predictor,
        risk_class=assessment.risk_class,
        expected_risk=assessment.estimate.expected_risk if assessment.estimate else None,
        probabilities=assessment.price_probabilities,
        premium=tariff.premium(assessment.price_probabilities),
    )


class QuoteService:
    """What the quote service's addresses call; each request uses exactly one model and one set of tariffs."""

    def __init__(self, database: Database, champion: Champion, ledger: Ledger) -> None:
        self._database = database
        self._champion = champion
        self._ledger = ledger
        self._pricer = lru_cache(maxsize=REMEMBERED_PLANS)(self._load_pricer)

    def model(self) -> ServedModel:
        """What is served now; without a champion `NoChampion`, or why the registry could not be read."""
        return self._champion.require(self._champion.serving)

    def require_ready(self) -> ServedModel:
        """The served model if a quote can be priced and stored now; raises what stands in the way."""
        serving = self._champion.serving
        model = self._champion.require(serving)
        in_force(serving.tariffs, datetime.now(UTC).date())
        if isinstance(self._champion.failure, DatabaseUnavailable):
            raise DatabaseUnavailable("the database does not answer: quotes cannot be stored")
        return model

    def quote(
        self,
        features: PolicyFeatures,
        effective_date: date | None = None,
        reference: str | None = None,
        *,
        channel: Channel = "quote",
    ) -> Quote:
        """Price, store and explain.

        `NoChampion`, `EffectiveDateRefused`, `NoTariff` (none is in force today) or `DatabaseUnavailable`.
        """
        serving = self._champion.serving
        model = self._champion.require(serving)
        try:
            priced = price(model, serving.tariffs, features, effective_date, channel=channel, reference=reference)
        except NoTariff as error:
            if effective_date is None or not serving.tariffs:
                raise
            raise EffectiveDateRefused(str(error)) from error
        self._ledger.store(priced)
        return explain(priced, model.pricer, _currency(serving.tariffs, priced.tariff))

    def record_input(self, features: PolicyFeatures, effective_date: date | None, reference: str | None) -> None:
        """Keep an input for drift monitoring; needs no champion."""
        now = datetime.now(UTC)
        self._ledger.record_input(uuid.uuid4(), now, effective_date or now.date(), features, reference)

    def find(self, quote_id: uuid.UUID) -> Quote:
        """A stored quote, explained by the version that priced it; `UnknownQuote` where there is none."""
        priced = self._ledger.find(quote_id)
        pricer = self._pricer(priced.version, priced.digest)
        return explain(priced, pricer, _currency(self._champion.serving.tariffs, priced.tariff))

    def _load_pricer(self, version: int, digest: str) -> Pricer:
        with self._database.statements() as connection:
            plan = load_plan(connection, version)
        if plan_digest(plan.to_json()) != digest:
            raise PlanRefused(f"version {version} is not the model any more that priced this quote")
        return Pricer(plan)


def _currency(tariffs: list[Tariff], name: str) -> str:
    for tariff in tariffs:
        if tariff.name == name:
            return tariff.currency
    raise NoTariff(f"the quote's tariff {name} is not known any more")
