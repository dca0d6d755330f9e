"""What people fill in: read leniently (a comma is a decimal point too), judged by the domain's own bounds."""

import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from motorisk.domain.policy import FEATURES, FLAGS, NUMBERS
from motorisk.quoting.service import Asked
from motorisk_web.schemas import QuoteRequest

START = "effective_date"
KEY = "key"
DEFAULTS: Mapping[str, str] = {
    "age": "35",
    "miles": "45",
    "power": "90",
    "braking_distance": "40",
    "emergency_braking": "on",
    START: "",
}
"""A driver and a car like many; the policy starts today."""

FIELDS = ("age", "miles", "training", "power", "braking_distance", "emergency_braking", START)
"""In the order of the page."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,300}([.,][0-9]{1,300})?")
_LONGEST_KEPT = 40


@dataclass(frozen=True, slots=True)
class Form:
    """The form as it was filled in; `wrong` are the names of its fields that cannot be priced.

    `key` names one sending of it: sent again (a reload, a double click), it gives the same quote.
    """

    values: Mapping[str, str]
    key: str
    asked: Asked | None = None
    wrong: tuple[str, ...] = field(default=())

    @classmethod
    def empty(cls) -> "Form":
        """As a visitor finds it."""
        return cls(DEFAULTS, new_key())

    @classmethod
    def read(cls, sent: Mapping[str, str]) -> "Form":
        """Everything that was sent, what is wrong with it, and the question if nothing is."""
        values = {name: sent.get(name, "").strip() for name in FIELDS}
        numbers = {name: _number(values[name]) for name in NUMBERS}
        features: dict[str, float | bool] = {name: bool(values[name]) for name in FLAGS} | numbers
        document: dict[str, object] = {
            part: {name: features[name] for name, feature in FEATURES.items() if feature.part == part}
            for part in ("driver", "vehicle")
        }
        document[START] = values[START] or None
        # What is kept is shown again: nobody types a thousand digits.
        kept = {name: value[:_LONGEST_KEPT] for name, value in values.items()}
        try:
            asked = QuoteRequest.model_validate(document).asked()
        except ValidationError as error:
            found = {str(part["loc"][-1]) for part in error.errors(include_url=False, include_input=False)}
            return cls(kept, _key(sent), wrong=tuple(name for name in values if name in found))
        return cls(kept, _key(sent), asked)


def _number(text: str) -> float:
    """What a number field says; not a number, which no bounds contain, where it says none."""
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else math.nan


def new_key() -> str:
    """A name for one sending of the form."""
    return str(uuid.uuid4())


def _key(sent: Mapping[str, str]) -> str:
    try:
        return str(uuid.UUID(sent.get(KEY, "")))
    except ValueError:
        return new_key()
