"""What the page says, in English and in German; reasons and warnings come from `motorisk.quoting.wording`."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from motorisk.domain.policy import FEATURES, Feature
from motorisk.domain.rating_plan import Support
from motorisk.quoting.wording import Language
from motorisk_web.page import formats


class Words(NamedTuple):
    """The page's texts in one language."""

    title: str
    introduction: str
    parts: Mapping[str, str]
    labels: Mapping[str, str]
    """In the order in which the page asks."""
    units: Mapping[str, str]
    explanations: Mapping[str, str]
    start: str
    start_hint: str
    between: str
    above: str
    at_least: str
    usual: str
    wrong_number: str
    wrong_start: str
    wrong_title: str
    error: str
    submit: str
    unavailable: str
    foreign: str
    journalled: str
    empty_title: str
    empty: tuple[str, str, str]
    answer: str
    a_year: str
    net: str
    tax: str
    gross: str
    classes: Mapping[str, str]
    class_names: Mapping[str, str]
    chances: str
    why: str
    lowers: str
    raises: str
    why_hint: str
    what_if: str
    what_if_hint: str
    as_quoted: str
    by_rules: str
    no_answer: str
    reset: str
    yes: str
    no: str
    facts: str
    priced_by: str
    by_model: str
    rules: str
    valid_until: str
    starts: str
    tariff: str
    quote_id: str
    documentation: str


WORDS: Mapping[Language, Words] = {
    "en": Words(
        title="What will insuring the car cost?",
        introduction="Six answers, one price, and the reasons for it.",
        parts={"driver": "Driver", "vehicle": "Vehicle", "policy": "Policy"},
        labels={
            "age": "Age",
            "miles": "Distance driven",
            "training": "Driver safety training",
            "power": "Engine power",
            "braking_distance": "Braking distance",
            "emergency_braking": "Emergency braking",
        },
        units={"age": "years", "miles": "thousand miles a year", "braking_distance": "metres", "power": "kW"},
        explanations={
            "training": "The driver has taken one.",
            "emergency_braking": "The car brakes by itself in danger.",
            "braking_distance": "From 100 km/h to a standstill.",
        },
        start="Start",
        start_hint="Left empty: today.",
        between="from {minimum} to {maximum}",
        above="above {minimum}",
        at_least="{minimum} or more",
        usual="Usually {minimum} to {maximum}.",
        wrong_number="Enter a number {bounds}.",
        wrong_start="Enter a day for which there are prices, such as today.",
        wrong_title="Please look at {count} once more:",
        error="Error",
        submit="Get the price",
        unavailable="There are no prices right now. Please try again in a minute; nothing was stored.",
        foreign="Please send the form once more: it was too old, or the browser did not keep this page's cookie.",
        journalled="Our database is away at the moment. The quote is kept safely and will be in it soon.",
        empty_title="What you will see",
        empty=(
            "The premium for a year, with its tax",
            "How each answer moves the price",
            "What would change it, before you decide",
        ),
        answer="Your quote",
        a_year="a year, tax included",
        net="Net premium",
        tax="Insurance tax",
        gross="Gross premium",
        classes={"low": "Low risk", "medium": "Medium risk", "high": "High risk"},
        class_names={"low": "low", "medium": "medium", "high": "high"},
        chances="Chances of the classes",
        why="Why this price",
        lowers="lowers the risk",
        raises="raises the risk",
        why_hint="Each answer against the average of our portfolio, on the risk index.",
        what_if="What if?",
        what_if_hint="One answer changed at a time, all others as quoted. Nothing of this is stored.",
        as_quoted="as quoted",
        by_rules="by the underwriters' rules",
        no_answer="no price",
        reset="Back to the quote",
        yes="yes",
        no="no",
        facts="About this quote",
        priced_by="Priced by",
        by_model="model, version {version}",
        rules="the underwriters' rules",
        valid_until="Valid until",
        starts="Starts on",
        tariff="Tariff",
        quote_id="Quote",
        documentation="For programs: the API",
    ),
    "de": Words(
        title="Was kostet die Versicherung des Autos?",
        introduction="Sechs Angaben, ein Preis, und die Gründe dafür.",
        parts={"driver": "Fahrer", "vehicle": "Fahrzeug", "policy": "Vertrag"},
        labels={
            "age": "Alter",
            "miles": "Fahrleistung",
            "training": "Fahrsicherheitstraining",
            "power": "Motorleistung",
            "braking_distance": "Bremsweg",
            "emergency_braking": "Notbremsassistent",
        },
        units={"age": "Jahre", "miles": "tausend Meilen im Jahr", "braking_distance": "Meter", "power": "kW"},
        explanations={
            "training": "Der Fahrer hat eines gemacht.",
            "emergency_braking": "Das Auto bremst bei Gefahr von selbst.",
            "braking_distance": "Aus 100 km/h bis zum Stillstand.",
        },
        start="Beginn",
        start_hint="Ohne Angabe: heute.",
        between="von {minimum} bis {maximum}",
        above="über {minimum}",
        at_least="ab {minimum}",
        usual="Üblich: {minimum} bis {maximum}.",
        wrong_number="Bitte eine Zahl {bounds} eingeben.",
        wrong_start="Bitte einen Tag eingeben, für den es Preise gibt, zum Beispiel heute.",
        wrong_title="Bitte {count} noch einmal ansehen:",
        error="Fehler",
        submit="Preis berechnen",
        unavailable="Zurzeit gibt es keine Preise. Bitte in einer Minute erneut versuchen; gespeichert wurde nichts.",
        foreign="Bitte noch einmal absenden: Das Formular war zu alt, oder der Browser hat den Cookie dieser Seite "
        "nicht behalten.",
        journalled="Unsere Datenbank ist gerade nicht da. Das Angebot ist sicher verwahrt und steht bald darin.",
        empty_title="Was Sie sehen werden",
        empty=(
            "Den Beitrag für ein Jahr, mit seiner Steuer",
            "Wie jede Angabe den Preis bewegt",
            "Was ihn ändern würde, bevor Sie sich entscheiden",
        ),
        answer="Ihr Angebot",
        a_year="im Jahr, mit Steuer",
        net="Nettobeitrag",
        tax="Versicherungsteuer",
        gross="Bruttobeitrag",
        classes={"low": "Niedriges Risiko", "medium": "Mittleres Risiko", "high": "Hohes Risiko"},
        class_names={"low": "niedrig", "medium": "mittel", "high": "hoch"},
        chances="Wahrscheinlichkeit der Klassen",
        why="Warum dieser Preis",
        lowers="senkt das Risiko",
        raises="erhöht das Risiko",
        why_hint="Jede Angabe gegenüber dem Durchschnitt unseres Bestands, auf dem Risikoindex.",
        what_if="Was wäre, wenn?",
        what_if_hint="Je eine Angabe geändert, alle anderen wie im Angebot. Davon wird nichts gespeichert.",
        as_quoted="wie im Angebot",
        by_rules="nach den Regeln unserer Fachleute",
        no_answer="kein Preis",
        reset="Zurück zum Angebot",
        yes="ja",
        no="nein",
        facts="Zu diesem Angebot",
        priced_by="Berechnet durch",
        by_model="Modell, Version {version}",
        rules="die Regeln unserer Versicherungsfachleute",
        valid_until="Gültig bis",
        starts="Beginnt am",
        tariff="Tarif",
        quote_id="Angebot",
        documentation="Für Programme: die API",
    ),
}

_COUNTS: Mapping[Language, tuple[str, str]] = {"en": ("one answer", "{} answers"), "de": ("eine Angabe", "{} Angaben")}


def wrong_title(count: int, language: Language) -> str:
    """What stands above the list of the fields that are wrong."""
    one, many = _COUNTS[language]
    return WORDS[language].wrong_title.format(count=one if count == 1 else many.format(count))


def _bounds(feature: Feature, language: Language) -> str:
    words = WORDS[language]
    minimum = formats.number(feature.minimum, language)
    if math.isfinite(feature.maximum):
        return words.between.format(minimum=minimum, maximum=formats.number(feature.maximum, language))
    return (words.at_least if feature.minimum_allowed else words.above).format(minimum=minimum)


def problem_with(name: str, language: Language) -> str:
    """What to enter into a field that is wrong."""
    if name not in FEATURES:
        return WORDS[language].wrong_start
    return WORDS[language].wrong_number.format(bounds=_bounds(FEATURES[name], language))


def hint(name: str, usual: Support | None, language: Language) -> str:
    """What a number means, what is accepted and what is usual, the last where a model knows it."""
    words, feature = WORDS[language], FEATURES[name]
    bounds = _bounds(feature, language)
    said = [words.explanations.get(name, ""), f"{bounds[0].upper()}{bounds[1:]}."]
    if usual is not None:
        said.append(
            words.usual.format(
                minimum=formats.number(math.ceil(max(usual.minimum, feature.minimum)), language),
                maximum=formats.number(math.floor(min(usual.maximum, feature.maximum)), language),
            )
        )
    return " ".join(part for part in said if part)
