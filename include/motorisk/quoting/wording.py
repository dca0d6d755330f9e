"""What customers read about a quote: reasons and warnings as sentences, in English and in German."""

from collections.abc import Mapping
from datetime import date
from typing import Literal, NamedTuple, get_args

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import Support

Language = Literal["en", "de"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

NEGLIGIBLE, SLIGHT, NOTICEABLE = 0.02, 0.25, 1.0
"""Bounds on the risk index between the degrees; a class is 2 wide."""


class _Words(NamedTuple):
    numbers: Mapping[str, str]
    """A number as the subject of a sentence."""
    flags: Mapping[str, tuple[str, str]]
    """A flag that is off, and on, as the subject of a sentence."""
    names: Mapping[str, str]
    units: Mapping[str, str]
    raises: tuple[str, str, str]
    """Slightly, noticeably, strongly."""
    lowers: tuple[str, str, str]
    like_the_average: str
    fallback: str
    beyond_trend: str
    decimal_point: str


_WORDS: Mapping[Language, _Words] = {
    "en": _Words(
        numbers={
            "age": "A driver's age of {} years",
            "braking_distance": "A braking distance of {} metres from 100 km/h",
            "power": "An engine power of {} kW",
            "miles": "Driving {} thousand miles a year",
        },
        flags={
            "training": ("Having taken no driver safety training", "Having taken a driver safety training"),
            "emergency_braking": ("A vehicle without emergency braking", "A vehicle with emergency braking"),
        },
        names={
            "training": "driver safety training",
            "age": "the driver's age",
            "emergency_braking": "emergency braking",
            "braking_distance": "the braking distance",
            "power": "the engine power",
            "miles": "the distance driven",
        },
        units={
            "age": " years",
            "braking_distance": " metres",
            "power": " kW",
            "miles": " thousand miles a year",
        },
        raises=(
            "raises the risk slightly against the average of our portfolio.",
            "raises the risk noticeably against the average of our portfolio.",
            "raises the risk strongly against the average of our portfolio.",
        ),
        lowers=(
            "lowers the risk slightly against the average of our portfolio.",
            "lowers the risk noticeably against the average of our portfolio.",
            "lowers the risk strongly against the average of our portfolio.",
        ),
        like_the_average="is about as risky as the average of our portfolio.",
        fallback=(
            "The underwriters' rules answered, because {name} is {value}{unit} and the model has experience "
            "from {minimum} to {maximum} only."
        ),
        beyond_trend=(
            "The model of {as_of} foresees how risks change for {months} months; the effective date {effective} is "
            "later, so that it was priced as at the end of that time."
        ),
        decimal_point=".",
    ),
    "de": _Words(
        numbers={
            "age": "Ein Alter von {} Jahren",
            "braking_distance": "Ein Bremsweg von {} Metern aus 100 km/h",
            "power": "Eine Motorleistung von {} kW",
            "miles": "Eine Fahrleistung von {} tausend Meilen im Jahr",
        },
        flags={
            "training": ("Kein Fahrsicherheitstraining", "Ein Fahrsicherheitstraining"),
            "emergency_braking": ("Ein Fahrzeug ohne Notbremsassistent", "Ein Fahrzeug mit Notbremsassistent"),
        },
        names={
            "training": "das Fahrsicherheitstraining",
            "age": "das Alter",
            "emergency_braking": "der Notbremsassistent",
            "braking_distance": "der Bremsweg",
            "power": "die Motorleistung",
            "miles": "die Fahrleistung",
        },
        units={
            "age": " Jahre",
            "braking_distance": " Meter",
            "power": " kW",
            "miles": " tausend Meilen im Jahr",
        },
        raises=(
            "erhöht das Risiko leicht gegenüber dem Durchschnitt unseres Bestands.",
            "erhöht das Risiko spürbar gegenüber dem Durchschnitt unseres Bestands.",
            "erhöht das Risiko stark gegenüber dem Durchschnitt unseres Bestands.",
        ),
        lowers=(
            "senkt das Risiko leicht gegenüber dem Durchschnitt unseres Bestands.",
            "senkt das Risiko spürbar gegenüber dem Durchschnitt unseres Bestands.",
            "senkt das Risiko stark gegenüber dem Durchschnitt unseres Bestands.",
        ),
        like_the_average="entspricht beim Risiko etwa dem Durchschnitt unseres Bestands.",
        fallback=(
            "Es haben die Regeln unserer Versicherungsfachleute entschieden, denn {name} beträgt {value}{unit}, und "
            "das Modell hat nur Erfahrung von {minimum} bis {maximum}."
        ),
        beyond_trend=(
            "Das Modell vom {as_of} sieht {months} Monate voraus, wie sich Risiken ändern; der Beginn {effective} "
            "liegt später, so dass wie am Ende dieser Zeit gerechnet wurde."
        ),
        decimal_point=",",
    ),
}


def _number(value: float, words: _Words) -> str:
    text = f"{value:g}"
    return text if words.decimal_point == "." else text.replace(".", words.decimal_point)


def reason_text(name: str, value: float, contribution: float, language: Language) -> str:
    """A feature's contribution to the risk index, against the portfolio's average, as a sentence."""
    words = _WORDS[language]
    number = words.numbers.get(name)
    subject = words.flags[name][bool(value)] if number is None else number.format(_number(value, words))
    size = abs(contribution)
    if size < NEGLIGIBLE:
        return f"{subject} {words.like_the_average}"
    degrees = words.raises if contribution > 0 else words.lowers
    return f"{subject} {degrees[(size >= SLIGHT) + (size >= NOTICEABLE)]}"


def fallback_text(name: str, value: float, support: Support, language: Language) -> str:
    """Why the rules answered and not the model."""
    words, feature = _WORDS[language], FEATURES[name]
    return words.fallback.format(
        name=words.names[name],
        value=_number(value, words),
        unit="" if feature.is_flag else words.units[name],
        # What is impossible anyway would only puzzle.
        minimum=_number(max(support.minimum, feature.minimum), words),
        maximum=_number(support.maximum if feature.is_flag else min(support.maximum, feature.maximum), words),
    )


def beyond_trend_text(as_of: date, effective: date, months: float, language: Language) -> str:
    """That a policy starts later than the model's trends reach."""
    words = _WORDS[language]
    return words.beyond_trend.format(as_of=as_of, effective=effective, months=_number(months, words))
