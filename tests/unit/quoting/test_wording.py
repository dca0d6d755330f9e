"""The sentences that customers read."""

from datetime import date

import pytest

from motorisk.domain.rating_plan import Support
from motorisk.quoting.wording import Language, beyond_trend_text, fallback_text, reason_text


@pytest.mark.parametrize(
    ("name", "value", "contribution", "language", "sentence"),
    [
        ("age", 35.5, 0.019, "en", "A driver's age of 35.5 years is about as risky as the average of our portfolio."),
        ("power", 90, 0.02, "en", "An engine power of 90 kW raises the risk slightly"),
        ("power", 90, 0.25, "en", "An engine power of 90 kW raises the risk noticeably"),
        ("miles", 45.9, -1.0, "en", "Driving 45.9 thousand miles a year lowers the risk strongly"),
        ("training", 1, -0.5, "en", "Having taken a driver safety training lowers the risk noticeably"),
        ("training", 0, 0.1, "en", "Having taken no driver safety training raises the risk slightly"),
        ("braking_distance", 45.5, 1.5, "de", "Ein Bremsweg von 45,5 Metern aus 100 km/h erhöht das Risiko stark"),
        ("emergency_braking", 0, -0.1, "de", "Ein Fahrzeug ohne Notbremsassistent senkt das Risiko leicht"),
        ("emergency_braking", 1, 0.0, "de", "Ein Fahrzeug mit Notbremsassistent entspricht beim Risiko etwa"),
    ],
)
def test_a_reason_says_what_and_how_much(
    name: str, value: float, contribution: float, language: Language, sentence: str
) -> None:
    assert reason_text(name, value, contribution, language).startswith(sentence)


def test_a_fallback_names_the_value_and_the_models_experience() -> None:
    assert fallback_text("age", 110.5, Support(10.0, 95.0), "en") == (
        "The underwriters' rules answered, because the driver's age is 110.5 years and the model has experience "
        "from 15 to 95 only."
    )
    assert fallback_text("age", 110.5, Support(20.0, 130.0), "de") == (
        "Es haben die Regeln unserer Versicherungsfachleute entschieden, denn das Alter beträgt 110,5 Jahre, und "
        "das Modell hat nur Erfahrung von 20 bis 120."
    )
    assert "driver safety training is 1 and" in fallback_text("training", 1.0, Support(0.0, 0.0), "en")


def test_a_late_start_is_told_with_the_reach_of_the_trend() -> None:
    asked = (date(2026, 1, 1), date(2029, 5, 1), 24.5)
    assert beyond_trend_text(*asked, "en").startswith(
        "The model of 2026-01-01 foresees how risks change for 24.5 months"
    )
    assert "der Beginn 2029-05-01" in beyond_trend_text(*asked, "de")
    assert "24,5 Monate" in beyond_trend_text(*asked, "de")
