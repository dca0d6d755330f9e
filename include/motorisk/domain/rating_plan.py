"""The rating plan: the served model as one canonical JSON document.

It is what training hands over and what scoring and quoting run: per feature an additive term (a piecewise
cubic, linear beyond its ends, or two levels of a flag), the same again as a trend times the months since
the as-of date, an intercept, the residual spread and the training support. Its SHA-256 is the model's
digest. Loading one runs no code; anything unexpected is refused.
"""

import hashlib
import json
import math
from datetime import date
from itertools import pairwise
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from motorisk.domain.calendar import months_between
from motorisk.domain.policy import FEATURES
from motorisk.errors import PlanRefused

SCHEMA_VERSION: Final = 1
"""Of the plans that this code reads and writes."""
MAX_PLAN_BYTES = 4 * 1024 * 1024
MAX_LOG_SPREAD = 5.0
"""A spread that changed by more than e to this power would be nonsense, long before it overflows."""
SUPPORT_MARGIN = 0.05
"""A model answers up to this share of a feature's training range beyond it; farther out the rules do."""

# Values beyond this have no meaning here and would overflow when cubed.
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e12, le=1e12)]
Cubic = tuple[Number, Number, Number, Number]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PiecewiseCubic(_Frozen):
    """Segment 0 lies left of the first breakpoint, segment i from breakpoint i-1 on.

    A segment's value at x is c0 + c1 d + c2 d² + c3 d³, where d is x less the breakpoint at its left
    (segment 0: less the first breakpoint). The outer segments are linear.
    """

    breakpoints: Annotated[tuple[Number, ...], Field(min_length=1, max_length=1000)]
    coefficients: tuple[Cubic, ...]

    @model_validator(mode="after")
    def _shape(self) -> Self:
        if any(left >= right for left, right in pairwise(self.breakpoints)):
            raise ValueError("breakpoints must increase")
        if len(self.coefficients) != len(self.breakpoints) + 1:
            raise ValueError("there must be one segment more than breakpoints")
        for end in (self.coefficients[0], self.coefficients[-1]):
            if end[2] or end[3]:
                raise ValueError("the outer segments must be linear")
        return self


class NumberTerm(_Frozen):
    """A numeric feature's contribution to the risk index, and its change a month."""

    kind: Literal["number"] = "number"
    level: PiecewiseCubic
    trend: PiecewiseCubic | None = None
    average: Number
    average_trend: Number = 0.0


class FlagTerm(_Frozen):
    """A flag's contribution where it is off and where it is on, and their change a month."""

    kind: Literal["flag"] = "flag"
    level: tuple[Number, Number]
    trend: tuple[Number, Number] | None = None
    average: Number
    average_trend: Number = 0.0


Term = Annotated[NumberTerm | FlagTerm, Field(discriminator="kind")]


class Support(NamedTuple):
    """Smallest and largest value of a feature in the training snapshot."""

    minimum: Number
    maximum: Number

    def widened(self) -> "Support":
        """The range in which the model may answer."""
        margin = SUPPORT_MARGIN * (self.maximum - self.minimum)
        return Support(self.minimum - margin, self.maximum + margin)


class RatingPlan(_Frozen):
    """A served model: risk = intercept + sum of terms, each (and the spread) with its change a month.

    A term's `average` and `average_trend` are the means of its level and its trend over the training portfolio:
    what reasons are measured against. The spread is `spread * exp(spread_trend * months)`.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    candidate: str
    as_of: date = Field(strict=False)
    snapshot_digest: str = Field(pattern="^[0-9a-f]{64}$")
    intercept: Number
    intercept_trend: Number = 0.0
    spread: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
    spread_trend: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] = 0.0
    class_bounds: tuple[Number, Number]
    trend_months: tuple[Number, Number] = (0.0, 0.0)
    """Trends run from the first to the second of these, in months since `as_of`, and stay there beyond."""
    terms: dict[str, Term]
    support: dict[str, Support]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.class_bounds[0] >= self.class_bounds[1]:
            raise ValueError("class_bounds must increase")
        if self.trend_months[0] > self.trend_months[1]:
            raise ValueError("trend_months must not decrease")
        if abs(self.spread_trend) * max(abs(months) for months in self.trend_months) > MAX_LOG_SPREAD:
            raise ValueError("spread_trend is too steep for trend_months")
        for part, names in (("terms", self.terms.keys()), ("support", self.support.keys())):
            if names != FEATURES.keys():
                raise ValueError(f"{part} must name exactly the features {', '.join(FEATURES)}")
        for name, term in self.terms.items():
            if (term.kind == "flag") != FEATURES[name].is_flag:
                raise ValueError(f"the term of {name} must be of the other kind")
        for name, support in self.support.items():
            if support.minimum > support.maximum:
                raise ValueError(f"the support of {name} is empty")
        return self

    @property
    def has_trends(self) -> bool:
        """Whether the answer for the same features changes with time."""
        return self.intercept_trend != 0 or any(term.trend is not None for term in self.terms.values())

    def trend_time(self, effective_date: date) -> float:
        """Months since `as_of` at which trends are evaluated for a policy: bounded extrapolation."""
        earliest, latest = self.trend_months
        return min(max(months_between(self.as_of, effective_date), earliest), latest)

    def spread_at(self, months: float) -> float:
        """Standard deviation of the outcome at a trend time."""
        return self.spread * math.exp(self.spread_trend * months)

    def to_json(self) -> str:
        """The canonical text: sorted keys, no spaces, shortest floats that read back the same."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str, *, digest: str) -> Self:
        """Read and verify a plan; `PlanRefused` where digest, schema or values are wrong."""
        if len(text) > MAX_PLAN_BYTES:
            raise PlanRefused(f"the rating plan is larger than {MAX_PLAN_BYTES} bytes")
        if plan_digest(text) != digest:
            raise PlanRefused(f"the rating plan's SHA-256 is not {digest[:12]}…: it was changed after training")
        try:
            plan = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            found = first["input"]
            if first["loc"] == ("schema_version",) and isinstance(found, int) and 1 < found < 10_000:
                raise PlanRefused(
                    f"rating plan: schema_version is {found}, this code reads {SCHEMA_VERSION}: run the "
                    "code that trained the version, or approve one that this code trained"
                ) from None
            place = ".".join(str(part) for part in first["loc"]) or "the plan"
            raise PlanRefused(f"rating plan: {place}: {first['msg']}") from None
        if plan.to_json() != text:
            raise PlanRefused("the rating plan's text is not canonical")
        return plan


def plan_digest(text: str) -> str:
    """SHA-256 of a plan's canonical text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
