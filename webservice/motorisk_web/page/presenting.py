"""A quote as the page shows it: texts, and the measures of its bars and sliders."""

import math
from dataclasses import dataclass

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.rating_plan import Support
from motorisk.domain.risk import PROBABILITY_UNITS, RISK_CLASSES
from motorisk.quoting.quote import Quote
from motorisk.quoting.wording import Language
from motorisk_web.page import formats
from motorisk_web.page.wording import WORDS, Words

LONGEST_BAR = 100.0
SMALLEST_SCALE = 1.0
"""What fills a bar at least, on the risk index: where everything is average, bars stay short."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A reason: what was answered, how far it moves the risk index, and the bar's place right or left of zero."""

    label: str
    answer: str
    text: str
    contribution: str
    raises: bool
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Chance:
    """A class's probability, and its part of the strip (from 0 to 100)."""

    risk_class: str
    label: str
    share: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Slider:
    """A feature that can be changed; `unit` is empty for flags."""

    name: str
    label: str
    unit: str
    is_flag: bool
    present: float
    answer: str
    minimum: float
    maximum: float
    step: float


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that the page says about a quote."""

    quote_id: str
    gross: str
    net: str
    tax: str
    risk_class: str
    class_label: str
    chances: list[Chance]
    bars: list[Bar]
    warnings: tuple[str, ...]
    predictor: str
    valid_until: str
    valid_until_iso: str
    starts: str
    starts_iso: str
    tariff: str
    currency: str
    gross_amount: str
    sliders: list[Slider]
    body: dict[str, object]
    """The question, as POST /v1/quotes/what-if takes it."""


def shown(quote: Quote, usual: dict[str, Support], language: Language) -> Shown:
    """Put a quote into words; `usual` is the range of each feature that the sliders go through."""
    priced, words = quote.priced, WORDS[language]
    premium, by_rules = priced.premium, priced.predictor == "rules"

    def money(amount: object) -> str:
        return formats.money(amount, quote.currency, language)  # type: ignore[arg-type]

    return Shown(
        quote_id=str(priced.quote_id),
        gross=money(premium.gross),
        net=money(premium.net),
        tax=money(premium.insurance_tax),
        risk_class=priced.risk_class.value,
        class_label=words.classes[priced.risk_class],
        chances=[] if by_rules else _chances(quote, words, language),
        bars=_bars(quote, words, language),
        warnings=quote.warnings,
        predictor=words.rules if by_rules else words.by_model.format(version=priced.version),
        valid_until=formats.moment(priced.valid_until, language),
        valid_until_iso=priced.valid_until.isoformat(timespec="seconds"),
        starts=formats.day(priced.effective_date, language),
        starts_iso=priced.effective_date.isoformat(),
        tariff=priced.tariff,
        currency=quote.currency,
        gross_amount=str(premium.gross),
        sliders=[_slider(name, priced.features, usual.get(name), words, language) for name in words.labels],
        body=_body(priced.features) | {"effective_date": priced.effective_date.isoformat()},
    )


def _answer(name: str, value: float, words: Words, language: Language) -> str:
    if FEATURES[name].is_flag:
        return words.yes if value else words.no
    return f"{formats.number(value, language)} {words.units[name]}"


def _bars(quote: Quote, words: Words, language: Language) -> list[Bar]:
    scale = max([SMALLEST_SCALE, *(abs(reason.contribution) for reason in quote.reasons)])
    bars = []
    for reason in quote.reasons:
        width = round(LONGEST_BAR * abs(reason.contribution) / scale, 2)
        raises = reason.contribution > 0
        bars.append(
            Bar(
                label=words.labels[reason.feature],
                answer=_answer(reason.feature, getattr(quote.priced.features, reason.feature), words, language),
                text=reason.text,
                contribution=formats.signed(reason.contribution, language),
                raises=raises,
                start=0.0 if raises else -width,
                width=width,
            )
        )
    return bars


def _chances(quote: Quote, words: Words, language: Language) -> list[Chance]:
    chances, start = [], 0.0
    for name, units in zip(RISK_CLASSES, quote.priced.probabilities, strict=True):
        share = units / PROBABILITY_UNITS
        width = round(100 * share, 2)
        chances.append(Chance(name.value, words.class_names[name], formats.percent(share, language), start, width))
        start = round(start + width, 2)
    return chances


def _slider(name: str, features: PolicyFeatures, usual: Support | None, words: Words, language: Language) -> Slider:
    feature, present = FEATURES[name], float(getattr(features, name))
    if feature.is_flag:
        minimum, maximum = 0.0, 1.0
    else:
        range_ = usual or Support(present, present)
        # Whole numbers that are possible, and the present one among them.
        minimum = max(math.floor(min(range_.minimum, present)), math.ceil(feature.minimum))
        minimum += float(minimum == feature.minimum and not feature.minimum_allowed)
        maximum = min(math.ceil(max(range_.maximum, present)), feature.maximum)
    return Slider(
        name=name,
        label=words.labels[name],
        unit=words.units.get(name, ""),
        is_flag=feature.is_flag,
        present=present,
        answer=_answer(name, present, words, language),
        minimum=minimum,
        maximum=maximum,
        step=1.0,
    )


def _body(features: PolicyFeatures) -> dict[str, object]:
    parts: dict[str, object] = {}
    for part in ("driver", "vehicle"):
        parts[part] = {
            name: bool(getattr(features, name)) if feature.is_flag else getattr(features, name)
            for name, feature in FEATURES.items()
            if feature.part == part
        }
    return parts
