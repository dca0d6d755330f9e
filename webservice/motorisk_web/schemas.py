"""What is asked and answered, as pydantic models: requests are validated with them, OpenAPI is made from them.

Bounds, units and descriptions of the features come from `motorisk.domain.policy.FEATURES`.
"""

import math
import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.risk import RiskClass
from motorisk.quoting.pricing import Predictor

FIRST_EFFECTIVE_DATE = date(1900, 1, 1)
LAST_EFFECTIVE_DATE = date(2199, 12, 31)
MAX_REFERENCE_LENGTH = 100

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
        Field(description=f"Start of the policy, {FIRST_EFFECTIVE_DATE} to {LAST_EFFECTIVE_DATE}; today (UTC) if left"),
    ] = None
    reference: Annotated[
        Annotated[str, Field(max_length=MAX_REFERENCE_LENGTH)] | None,
        AfterValidator(_printable),
        Field(description="The caller's own name of the request; kept with the quote and answered as it is"),
    ] = None

    def features(self) -> PolicyFeatures:
        """The six features in the order of the domain."""
        driver, vehicle = self.driver, self.vehicle
        return PolicyFeatures(
            training=float(driver.training),
            age=driver.age,
            emergency_braking=float(vehicle.emergency_braking),
            braking_distance=vehicle.braking_distance,
            power=vehicle.power,
            miles=driver.miles,
        )


class QuotePath(BaseModel):
    """Which quote."""

    quote_id: UUID = Field(description="As answered by POST /v1/quotes")


Amount = Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]{2}$", json_schema_extra={"example": "512.34"})]
Probability = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[list[float], Field(min_length=2, max_length=2, description="From and to, both included")]
FeatureName = Annotated[str, Field(json_schema_extra={"enum": list(FEATURES)})]


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
    text: str = Field(description="For customers, in English")


class FallbackDocument(BaseModel):
    """A feature that the model has no experience with, so that the underwriters' rules answered."""

    feature: FeatureName
    value: float
    support: Range = Field(description="The range in which the model answers: as trained, and 5 % beyond")


class QuoteDocument(BaseModel):
    """A quote. It is in the ledger when it is answered, and can be computed again from there."""

    quote_id: UUID
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
    reference: str | None
    quoted_at: datetime
    valid_until: datetime
    warnings: list[str]


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
    """Quotes can be priced and stored."""

    status: Literal["ready"]
    model_version: int


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
    errors: list[FieldProblem] | None = Field(default=None, description="Every field that is wrong, all at once")
