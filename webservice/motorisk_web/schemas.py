"""What is asked and answered, as pydantic models: requests are validated with them, OpenAPI is made from them.

Bounds, units and descriptions of the features come from `motorisk.domain.policy.FEATURES`.
"""

import math
import re
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.risk import RiskClass
from motorisk.quoting.ledger import KEY_DAYS
from motorisk.quoting.pricing import Predictor
from motorisk.quoting.service import Asked

FIRST_EFFECTIVE_DATE = date(1900, 1, 1)
LAST_EFFECTIVE_DATE = date(2199, 12, 31)
MAX_REFERENCE_LENGTH = 100
MAX_KEY_LENGTH = 255
MAX_CHANGES = 200
MAX_BATCH = 1000

_ISO_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def _refusal(problem: str) -> PydanticCustomError:
    return PydanticCustomError("refused", "{problem}", {"problem": problem})


def _flag(value: object) -> bool:
    if isinstance(value, int | float) and value in (0, 1):  # bool is an int
        return bool(value)
    raise _refusal("must be true or false (or 1 or 0)")


def _effective_date(value: object) -> date | None:
    if value is None:
        return None
    try:
        if not isinstance(value, str) or not _ISO_DATE.fullmatch(value):
            raise ValueError
        day = date.fromisoformat(value)
    except ValueError:
        raise _refusal("must be a date, YYYY-MM-DD") from None
    if not FIRST_EFFECTIVE_DATE <= day <= LAST_EFFECTIVE_DATE:
        raise _refusal(f"must be from {FIRST_EFFECTIVE_DATE} to {LAST_EFFECTIVE_DATE}")
    return day


def _printable(value: str | None) -> str | None:
    if value is not None and _UNPRINTABLE.search(value):
        raise _refusal("must not contain control characters")
    return value


Flag = Annotated[
    bool,
    BeforeValidator(_flag),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "integer", "enum": [0, 1]}]}, mode="validation"),
]
Number = Annotated[float, Strict()]


def _feature(name: str, example: float) -> Any:
    """The field of a rating feature: unit, meaning and bounds as the domain has them."""
    feature = FEATURES[name]
    if feature.is_flag:
        return Field(description=feature.description, json_schema_extra={"example": bool(example)})
    extra: dict[str, Any] = {"example": example}
    extra["minimum" if feature.minimum_allowed else "exclusiveMinimum"] = feature.minimum
    if math.isfinite(feature.maximum):
        extra["maximum"] = feature.maximum
    return Field(description=f"{feature.description}, in {feature.unit}", json_schema_extra=extra)


def _feature_name(value: str) -> str:
    if value not in FEATURES:
        raise _refusal(f"must be one of {', '.join(FEATURES)}")
    return value


FeatureName = Annotated[str, AfterValidator(_feature_name), Field(json_schema_extra={"enum": list(FEATURES)})]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Features(_Request):
    @field_validator("*")
    @classmethod
    def _plausible(cls, value: float, info: ValidationInfo) -> float:
        problem = FEATURES[str(info.field_name)].problem_with(value)
        if problem is not None:
            raise _refusal(problem)
        return value


class Driver(_Features):
    """Who drives."""

    training: Flag = _feature("training", False)
    age: Number = _feature("age", 35)
    miles: Number = _feature("miles", 45.9)


class Vehicle(_Features):
    """What is driven."""

    emergency_braking: Flag = _feature("emergency_braking", False)
    braking_distance: Number = _feature("braking_distance", 45.0)
    power: Number = _feature("power", 90.0)


class QuoteRequest(_Request):
    """The risk to be priced. Fractions are fine in every number; unknown fields are refused."""

    driver: Driver
    vehicle: Vehicle
    effective_date: Annotated[
        Annotated[date | None, BeforeValidator(_effective_date)],
        Field(
            description=f"Start of the policy, {FIRST_EFFECTIVE_DATE} to {LAST_EFFECTIVE_DATE}; today (UTC) if left",
            json_schema_extra={"example": "2026-01-01"},
        ),
    ] = None
    reference: Annotated[
        Annotated[str, Field(max_length=MAX_REFERENCE_LENGTH)] | None,
        AfterValidator(_printable),
        Field(description="The caller's own name of the request; kept with the quote and answered as it is"),
    ] = None

    def asked(self) -> Asked:
        """The question in the domain's terms."""
        driver, vehicle = self.driver, self.vehicle
        features = PolicyFeatures(
            training=float(driver.training),
            age=driver.age,
            emergency_braking=float(vehicle.emergency_braking),
            braking_distance=vehicle.braking_distance,
            power=vehicle.power,
            miles=driver.miles,
        )
        return Asked(features, self.effective_date, self.reference)


class LanguageHeaders(BaseModel):
    """The header that says which language people read."""

    accept_language: Annotated[
        str | None, Field(alias="Accept-Language", description="Reasons and warnings come in `en` (default) or `de`")
    ] = None


class QuoteHeaders(LanguageHeaders):
    """Headers of a request for a quote."""

    idempotency_key: Annotated[
        Annotated[str, Field(min_length=1, max_length=MAX_KEY_LENGTH, pattern="^[!-~]+$")] | None,
        Field(
            alias="Idempotency-Key",
            description="The caller's name for this request, new for each (a UUID is fine): sent again with the same "
            f"body, it answers the same quote, for at least {KEY_DAYS} days; with another body it is refused (422). "
            "While the database is away, keys are known as far as they were used meanwhile on this machine.",
        ),
    ] = None


class FeatureChange(_Request):
    """One input, changed."""

    feature: FeatureName
    value: Annotated[Annotated[float, Strict()] | bool, Field(description="As in the request: a number, or a flag")]

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        """The same bounds as in a request for a quote."""
        feature = FEATURES[self.feature]
        if isinstance(self.value, bool) and not feature.is_flag:
            raise _refusal("value must be a number")
        problem = feature.problem_with(float(self.value))
        if problem is not None:
            raise _refusal(f"value {'must be true or false (or 1 or 0)' if feature.is_flag else problem}")
        return self


class WhatIfRequest(QuoteRequest):
    """A risk, and what might be changed about it."""

    changes: Annotated[
        list[FeatureChange] | None,
        Field(
            max_length=MAX_CHANGES,
            description="One answer each; left out: flags turned, numbers in steps through what the model knows",
        ),
    ] = None


class BatchRequest(_Request):
    """Many risks at once."""

    quotes: Annotated[
        list[Annotated[QuoteRequest | Any, SkipValidation]],
        Field(
            min_length=1,
            max_length=MAX_BATCH,
            description="Each is a QuoteRequest; one that is not is refused by itself, and the others are answered",
        ),
    ]


class QuotePath(BaseModel):
    """Which quote."""

    quote_id: UUID = Field(description="As answered by POST /v1/quotes")


Amount = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{2}$", json_schema_extra={"example": "512.34"})]
SignedAmount = Annotated[str, Field(pattern=r"^-?[0-9]+\.[0-9]{2}$", json_schema_extra={"example": "-12.34"})]
Probability = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[list[float], Field(min_length=2, max_length=2, description="From and to, both included")]


class ClassProbabilities(BaseModel):
    """Probabilities of the risk classes."""

    low: Probability
    medium: Probability
    high: Probability


class PremiumDocument(BaseModel):
    """The premium. Amounts are decimal strings, exact to the cent."""

    net: Amount
    insurance_tax: Amount
    gross: Amount = Field(description="net + insurance_tax")
    currency: str
    period: Literal["year"]


class ReasonDocument(BaseModel):
    """A feature's share of the difference between this risk index and the portfolio's average one."""

    feature: FeatureName
    contribution: float = Field(description="On the risk index; all features' shares sum to the difference")
    text: str = Field(description="For customers, in the language of Accept-Language: English or German")


class FallbackDocument(BaseModel):
    """A feature that the model has no experience with, so that the underwriters' rules answered."""

    feature: FeatureName
    value: float
    support: Range = Field(description="The range in which the model answers: as trained, and 5 % beyond")


class PriceDocument(BaseModel):
    """What a risk costs, and why."""

    risk_class: RiskClass
    probabilities: ClassProbabilities | None = Field(description="null where the rules answered")
    expected_risk: float | None = Field(description="The risk index, higher is riskier; null where the rules answered")
    premium: PremiumDocument
    reasons: list[ReasonDocument] = Field(description="The weightiest first; empty where the rules answered")
    predictor: Predictor
    fallback: list[FallbackDocument] | None = Field(description="Why the rules answered; null where the model did")
    model_version: int
    tariff: str = Field(description="The tariff in force on the effective date")
    effective_date: date
    warnings: list[str] = Field(description="Sentences for customers, in the language of Accept-Language")


class QuoteDocument(PriceDocument):
    """A quote. It is kept durably before it is answered, and can be computed again."""

    quote_id: UUID
    reference: str | None
    quoted_at: datetime
    valid_until: datetime = Field(description="30 days after `quoted_at`")
    recorded: Literal["ledger", "journal"] = Field(
        description="Where it was kept: `journal` while the database is away; it is in the ledger soon after"
    )


class ChangeDocument(BaseModel):
    """What the risk would cost with one input changed."""

    feature: FeatureName
    value: float | bool
    risk_class: RiskClass
    predictor: Predictor
    expected_risk: float | None
    premium: "PremiumDocument"
    gross_difference: SignedAmount = Field(description="Its gross premium less that of the risk as it is")
    warnings: list[str]


class WhatIfDocument(BaseModel):
    """A price that nobody stored, and what would change it."""

    price: PriceDocument
    changes: list[ChangeDocument]


class BatchItem(BaseModel):
    """One input's answer: a quote, or the problem with it."""

    index: int = Field(description="Its place in the request, from 0")
    status: int = Field(description="What it would have been answered by itself: 201, 422, …")
    quote: QuoteDocument | None
    problem: "Problem | None"


class BatchDocument(BaseModel):
    """Answers in the order of the request."""

    answered: int
    refused: int
    results: list[BatchItem]


class PlausibleRange(BaseModel):
    """What is accepted; null: no bound."""

    minimum: float
    minimum_allowed: bool = Field(description="Whether the minimum itself is accepted")
    maximum: float | None


class FeatureDocument(BaseModel):
    """A rating feature."""

    name: FeatureName
    part: Literal["driver", "vehicle"]
    unit: str
    description: str
    plausible: PlausibleRange
    support: Range = Field(description="Smallest and largest value in the training data")
    answered: Range = Field(description="The range in which the model answers; the rules do outside it")


class ModelDocument(BaseModel):
    """The champion: the approved model that prices quotes."""

    version: int
    digest: str = Field(description="SHA-256 of the rating plan", pattern="^[0-9a-f]{64}$")
    candidate: str
    as_of: date = Field(description="It was trained on what was known on this day")
    trends_until: date | None = Field(
        description="It foresees how risks change until this day, and prices later effective dates as at this day; "
        "null: it has no trends"
    )
    approved_by: str
    approved_at: datetime
    trained_at: datetime
    rows: int = Field(description="Policies that it was trained on")
    metrics: dict[str, float]
    features: list[FeatureDocument]


class WorkshopProbabilities(BaseModel):
    """Probabilities of the risk classes."""

    HIGH: Probability
    MEDIUM: Probability
    LOW: Probability


class WorkshopPrediction(BaseModel):
    """The older API's answer."""

    prediction: Literal["LOW", "MEDIUM", "HIGH"]
    probabilities: WorkshopProbabilities | None = Field(description="null where the rules answered")
    predictor_type: Literal["MODEL", "RULES"]


class HealthDocument(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class ReadyDocument(BaseModel):
    """Quotes are answered."""

    status: Literal["ready", "degraded"] = Field(description="`degraded`: through the journal")
    model_version: int
    journal_pending: int = Field(description="Journalled quotes that are not in the ledger yet")
    reason: str | None = Field(description="Why it is degraded")


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Its place, like driver.age; empty: the body as a whole")
    problem: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = Field(default=None, description="Quote this to the operator")
    request_id: str | None = Field(default=None, description="The X-Request-ID of the request, to quote as well")
    errors: list[FieldProblem] | None = Field(default=None, description="Every field that is wrong, all at once")
