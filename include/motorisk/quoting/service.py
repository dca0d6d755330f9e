"""Quoting: price a policy with the champion, record it durably, answer it explained."""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.rating_plan import plan_digest
from motorisk.domain.tariff import Tariff
from motorisk.errors import (
    DatabaseUnavailable,
    InvalidData,
    KeyReused,
    MotoriskError,
    NoTariff,
    PlanRefused,
    QuoteNotRecorded,
    UnknownQuote,
)
from motorisk.quoting.backlog import Backlog
from motorisk.quoting.cache import ServingCache
from motorisk.quoting.champion import Champion, ServedModel, Serving
from motorisk.quoting.database import Database
from motorisk.quoting.ledger import Entry, KeyClaim, KeyHolder, Ledger
from motorisk.quoting.pricing import Estimate, Pricer
from motorisk.quoting.quote import OFFERS, Channel, PricedQuote, Quote, explain
from motorisk.quoting.recorder import Recorder
from motorisk.quoting.recording import Outcome, Recording
from motorisk.quoting.rows import channel_of, input_line, priced_line, priced_quote
from motorisk.quoting.wording import Language
from motorisk.registry.tariffs import in_force
from motorisk.registry.versions import load_plan

REMEMBERED_PLANS = 16
WHAT_IF_STEPS = 5


class EffectiveDateRefused(InvalidData):
    """Prices reach back to the first tariff only."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"effective_date: {reason}")
        self.errors = [{"field": "effective_date", "problem": reason}]


class IdempotencyKey(NamedTuple):
    """A client's name for one request, so that asking again makes no second quote."""

    client: str
    key: str


class Asked(NamedTuple):
    """What a quote is asked for; without an effective date it starts today (UTC)."""

    features: PolicyFeatures
    effective_date: date | None = None
    reference: str | None = None

    def fingerprint(self) -> str:
        """SHA-256 that tells two questions apart."""
        return hashlib.sha256(repr(tuple(self)).encode("utf-8", "surrogatepass")).hexdigest()


class Change(NamedTuple):
    """One input changed: what the policy would cost then."""

    feature: str
    value: float
    quote: Quote


class PendingQuote(NamedTuple):
    """A quote on its way to a disk."""

    quote: Quote
    """As it will be if the ledger takes it; to be told to nobody before."""
    recording: Recording

    def recorded(self) -> Quote:
        """The quote, once it is durable; `QuoteNotRecorded` where it could not be stored."""
        (outcome,) = self.recording.outcomes()
        return self.quote if outcome.recorded == "ledger" else self.quote._replace(recorded=outcome.recorded)


class Readiness(NamedTuple):
    """Whether quotes are answered, and whether in the usual way; `reason` says why not."""

    status: Literal["ready", "degraded"]
    model: ServedModel
    journal_pending: int
    reason: str | None


def price(
    model: ServedModel, tariffs: list[Tariff], asked: Asked, *, channel: Channel = "quote", client: str | None = None
) -> tuple[PricedQuote, Estimate | None]:
    """Price a policy without storing it; the model's estimate, unless the rules answered.

    `NoTariff` where no tariff is in force on the effective date.
    """
    now = datetime.now(UTC)
    features, effective, reference = asked
    if effective is None:
        effective = now.date()
    tariff = in_force(tariffs, effective)
    predictor, risk_class, probabilities, estimate, _ = model.pricer.assess(features, effective)
    priced = PricedQuote(
        quote_id=uuid.uuid4(),
        quoted_at=now,
        channel=channel,
        reference=reference,
        effective_date=effective,
        features=features,
        version=model.version.version,
        digest=model.version.digest,
        tariff=tariff.name,
        predictor=predictor,
        risk_class=risk_class,
        expected_risk=estimate.expected_risk if estimate else None,
        probabilities=probabilities,
        premium=tariff.premium(probabilities),
        client=client,
    )
    return priced, estimate


class QuoteService:
    """What the quote service's addresses call; each request uses exactly one model and one set of tariffs."""

    def __init__(
        self,
        database: Database,
        champion: Champion,
        cache: ServingCache,
        ledger: Ledger,
        recorder: Recorder,
        backlog: Backlog,
    ) -> None:
        self._database = database
        self._champion = champion
        self._cache = cache
        self._ledger = ledger
        self._recorder = recorder
        self._backlog = backlog
        self._pricer = lru_cache(maxsize=REMEMBERED_PLANS)(self._load_pricer)

    def model(self) -> ServedModel:
        """What is served now; without a champion `NoChampion`, or why the registry could not be read."""
        return self._champion.require(self._champion.serving)

    def tariff(self) -> Tariff:
        """The tariff in force today (UTC); `NoTariff` without one."""
        return in_force(self._champion.serving.tariffs, datetime.now(UTC).date())

    def readiness(self) -> Readiness:
        """Whether a quote can be priced and recorded now; raises what stands in the way."""
        serving = self._champion.serving
        model = self._champion.require(serving)
        in_force(serving.tariffs, datetime.now(UTC).date())
        pending = self._backlog.pending()
        if self._database.is_away:
            if self._recorder.is_refusing:
                raise QuoteNotRecorded("neither the database nor the journal takes quotes")
            return Readiness("degraded", model, pending, "the database is away: quotes go into the journal")
        if pending:
            return Readiness("degraded", model, pending, "journalled quotes are on their way into the ledger")
        return Readiness("ready", model, 0, None)

    def quote(
        self,
        asked: Asked,
        *,
        channel: Channel = "quote",
        language: Language = "en",
        key: IdempotencyKey | None = None,
        client: str | None = None,
    ) -> Quote:
        """Price, record and explain; the same quote again where the key has one already.

        `NoChampion`, `EffectiveDateRefused`, `NoTariff` (none is in force today), `KeyReused` (another question was
        asked with the key) or `QuoteNotRecorded`.
        """
        if key is None:
            return self.begin_quote(asked, channel=channel, language=language, client=client).recorded()
        serving = self._champion.serving
        model = self._champion.require(serving)
        priced, estimate = _priced(model, serving, asked, channel, client)
        claim = KeyClaim(key.client, key.key, asked.fingerprint(), priced.quote_id, priced.quoted_at)
        outcome = self._record_once(Entry(priced_line(priced), claim), claim)
        if outcome.holder is not None:
            return self._repeated(claim, outcome.holder, language)
        currency = _currency(serving.tariffs, priced.tariff)
        return explain(priced, model.pricer, currency, language=language, estimate=estimate, recorded=outcome.recorded)

    def begin_quote(
        self, asked: Asked, *, channel: Channel = "quote", language: Language = "en", client: str | None = None
    ) -> PendingQuote:
        """Price and explain, and return while the quote is being recorded; else as `quote` without a key."""
        serving = self._champion.serving
        model = self._champion.require(serving)
        priced, estimate = _priced(model, serving, asked, channel, client)
        recording = self._recorder.begin([Entry(priced_line(priced))])
        currency = _currency(serving.tariffs, priced.tariff)
        return PendingQuote(explain(priced, model.pricer, currency, language=language, estimate=estimate), recording)

    def quote_many(
        self, many: Iterable[Asked], *, language: Language = "en", client: str | None = None
    ) -> list[Quote | MotoriskError]:
        """Price and explain each, or say why not; record all that have a price in one transaction."""
        serving = self._champion.serving
        model = self._champion.require(serving)
        found: list[tuple[PricedQuote, Estimate | None] | MotoriskError] = []
        for asked in many:
            try:
                found.append(_priced(model, serving, asked, "quote", client))
            except MotoriskError as error:
                found.append(error)
        entries = [Entry(priced_line(item[0])) for item in found if isinstance(item, tuple)]
        outcomes = iter(self._recorder.record(entries) if entries else [])
        return [
            item
            if isinstance(item, MotoriskError)
            else explain(
                item[0],
                model.pricer,
                _currency(serving.tariffs, item[0].tariff),
                language=language,
                estimate=item[1],
                recorded=next(outcomes).recorded,
            )
            for item in found
        ]

    def what_if(
        self, asked: Asked, changes: Sequence[tuple[str, float]] | None, *, language: Language = "en"
    ) -> tuple[Quote, list[Change]]:
        """Price a policy, and again with one input changed at a time; nothing is stored.

        Without `changes`, each flag is turned and each number goes through the model's experience in steps.
        """
        serving = self._champion.serving
        model = self._champion.require(serving)

        def quote(wanted: Asked) -> Quote:
            priced, estimate = _priced(model, serving, wanted, "quote")
            currency = _currency(serving.tariffs, priced.tariff)
            return explain(priced, model.pricer, currency, language=language, estimate=estimate, recorded=None)

        if changes is None:
            changes = usual_changes(model.pricer, asked.features)
        return quote(asked), [
            Change(name, value, quote(asked._replace(features=asked.features._replace(**{name: value}))))
            for name, value in changes
        ]

    def record_input(self, asked: Asked, *, client: str | None = None) -> None:
        """Keep an input for drift monitoring, durably within milliseconds; needs no champion.

        Nobody pays by it: it is not worth a wait for the disk.
        """
        now = datetime.now(UTC)
        features, effective, reference = asked
        line = input_line(uuid.uuid4(), now, effective or now.date(), features, reference, client)
        self._recorder.record_soon([Entry(line)])

    def find(self, quote_id: uuid.UUID, *, language: Language = "en", client: str | None = None) -> Quote:
        """A stored quote, explained by the version that priced it; `UnknownQuote` where there is none.

        First in the journal, then in the ledger: it goes from the one to the other. To a client other people's quotes
        do not exist either; without one (open access) everybody's do.
        """
        line = self._backlog.line(quote_id)
        is_journalled = line is not None and channel_of(line) in OFFERS
        priced = priced_quote(line) if line is not None and is_journalled else self._ledger.find(quote_id)
        if client is not None and priced.client != client:
            raise UnknownQuote(f"there is no quote {quote_id}")
        return self._explained(priced, language)._replace(recorded="journal" if is_journalled else "ledger")

    def _record_once(self, entry: Entry, claim: KeyClaim) -> Outcome:
        if not self._backlog.is_empty:
            holder = self._backlog.holder(claim)
            if holder is not None:
                return Outcome("journal", holder)
        (outcome,) = self._recorder.record([entry])
        return outcome

    def _repeated(self, claim: KeyClaim, holder: KeyHolder, language: Language) -> Quote:
        if holder.fingerprint != claim.fingerprint:
            raise KeyReused("this Idempotency-Key came with another body before: take a new key for a new question")
        if holder.line is None:
            quote = self._explained(self._ledger.find(holder.quote_id), language)
        else:
            quote = self._explained(priced_quote(holder.line), language)._replace(recorded="journal")
        return quote._replace(is_repeated=True)

    def _explained(self, priced: PricedQuote, language: Language) -> Quote:
        pricer = self._pricer(priced.version, priced.digest)
        currency = _currency(self._champion.serving.tariffs, priced.tariff)
        return explain(priced, pricer, currency, language=language)

    def _load_pricer(self, version: int, digest: str) -> Pricer:
        served = self._champion.serving.model
        if served is not None and (served.version.version, served.version.digest) == (version, digest):
            return served.pricer
        if self._database.is_away:
            try:
                return Pricer(self._cache.plan(digest))
            except PlanRefused as error:
                raise DatabaseUnavailable("the database does not answer; try again in a few seconds") from error
        with self._database.statements() as connection:
            plan = load_plan(connection, version)
        if plan_digest(plan.to_json()) != digest:
            raise PlanRefused(f"version {version} is not the model any more that priced this quote")
        return Pricer(plan)


def usual_changes(pricer: Pricer, features: PolicyFeatures) -> list[tuple[str, float]]:
    """What people ask first: each flag turned, each number in steps through the training support."""
    changes: list[tuple[str, float]] = []
    for name, present in features._asdict().items():
        feature, support = FEATURES[name], pricer.plan.support[name]
        if feature.is_flag:
            changes.append((name, 0.0 if present else 1.0))
            continue
        width = (support.maximum - support.minimum) / (WHAT_IF_STEPS - 1)
        for step in range(WHAT_IF_STEPS):
            value = round(support.minimum + step * width, 1)
            if value != present and feature.problem_with(value) is None:
                changes.append((name, value))
    return changes


def _priced(
    model: ServedModel, serving: Serving, asked: Asked, channel: Channel, client: str | None = None
) -> tuple[PricedQuote, Estimate | None]:
    try:
        return price(model, serving.tariffs, asked, channel=channel, client=client)
    except NoTariff as error:
        if asked.effective_date is None or not serving.tariffs:
            raise
        raise EffectiveDateRefused(str(error)) from error


def _currency(tariffs: list[Tariff], name: str) -> str:
    for tariff in tariffs:
        if tariff.name == name:
            return tariff.currency
    raise NoTariff(f"the quote's tariff {name} is not known any more")
