"""What an alarm means and what to do: every case of the four-way reading."""

import itertools
import json
from datetime import date
from typing import Any

import pytest

from motorisk.domain.risk import RISK_CLASSES
from motorisk.monitoring.concentration import Segment
from motorisk.monitoring.effect import Effect, Estimate
from motorisk.monitoring.reading import Action, Findings, interpret
from motorisk.monitoring.realised import Performance, Realised
from motorisk.monitoring.telling import Portfolio, told

STILL = Estimate(0.0, -0.01, 0.01)
PORTFOLIO = Portfolio(policies=16_898, month=date(2024, 3, 1), tariff="standard", currency="EUR")
UNKNOWN = Realised(Performance.UNKNOWN, 12, known_from=date(2024, 9, 1))
KEPT = Realised(Performance.KEPT, 900, 0.2, 0.01, 1.0, 0.99, 0.92, 0.7)
BENT = Realised(Performance.BROKEN, 900, 1e5, 0.4, 1.6, 1.02, 0.8, 0.7)
LOST = Realised(Performance.BROKEN, 900, 1e5, 0.1, 1.6, 1.58, 0.75, 0.7)
WORSE_THAN_RULES = Realised(Performance.BROKEN, 900, 1e5, 0.1, 3.0, 1.05, 0.49, 0.7)


def _effect(relative: float, *, classes: float = 0.0) -> Effect:
    def about(value: float, width: float) -> Estimate:
        return Estimate(value, value - width, value + width)

    moved = dict(zip(RISK_CLASSES, (about(-classes, 0.004), about(0.0, 0.004), about(classes, 0.004)), strict=True))
    return Effect(about(640 * relative, 1.3), about(relative, 0.002), about(relative * 2, 0.01), moved)


def _findings(**known: Any) -> Findings:
    usual: dict[str, Any] = {
        "feature": "miles",
        "version": 3,
        "since": date(2023, 8, 1),
        "importance": 0.2,
        "rank": 2,
        "effect": _effect(-0.03),
        "realised": KEPT,
    }
    return Findings(**usual | known)


@pytest.mark.parametrize(
    ("known", "action", "words"),
    [
        ({"realised": KEPT}, Action.NOTHING, "prices follow miles; rightly, since version 3 keeps its promise"),
        ({"realised": KEPT, "importance": 0.02}, Action.NOTHING, "tells policies apart by little"),
        ({"realised": KEPT, "effect": _effect(0.001)}, Action.NOTHING, "up and down cancel out"),
        ({"realised": KEPT, "effect": _effect(0.001), "importance": 0.01}, Action.NOTHING, "has little weight"),
        ({"realised": UNKNOWN}, Action.NOTHING, "whether rightly, nobody knows yet: there are 12 outcomes"),
        ({"realised": UNKNOWN, "effect": _effect(0.0)}, Action.NOTHING, "Prices hardly notice"),
        ({"realised": BENT}, Action.RECALIBRATE, "straight line through observed against expected risk"),
        ({"realised": LOST}, Action.RETRAIN, "what the features mean has changed"),
        ({"realised": LOST, "effect": _effect(0.0)}, Action.RETRAIN, "prices do not follow its drift"),
        ({"realised": LOST, "effect": _effect(0.0), "importance": 0.01}, Action.RETRAIN, "hardly the reason"),
        ({"realised": LOST, "repeated": True}, Action.RE_ENGINEER, "training again has not helped"),
        ({"realised": WORSE_THAN_RULES}, Action.FALL_BACK, "right more often (70 % against 49 %)"),
        ({"realised": WORSE_THAN_RULES, "repeated": True}, Action.FALL_BACK, "rules alone"),
        ({"outside": 0.08}, Action.FALL_BACK, "8 % of the newest policies have values of miles that version 3"),
        ({"more_missing": True, "realised": LOST}, Action.RE_ENGINEER, "go missing more often"),
        ({"outliers": 0.05}, Action.RE_ENGINEER, "lie far outside what is usual"),
    ],
)
def test_each_case_has_its_meaning_and_remedy(known: dict[str, Any], action: Action, words: str) -> None:
    meaning = interpret(_findings(**known))
    assert meaning.action is action
    assert words in meaning.means


def test_unknown_outcomes_are_promised_for_a_month() -> None:
    assert "outcomes tell from 2024-09 on" in interpret(_findings(realised=UNKNOWN)).todo


def test_classes_that_move_are_prices_that_move() -> None:
    assert _findings(effect=_effect(0.0, classes=0.02)).moves_prices
    assert not _findings(effect=_effect(0.0, classes=0.004)).moves_prices
    wide = Effect(STILL, Estimate(0.05, -0.01, 0.11), None, dict.fromkeys(RISK_CLASSES, STILL))
    assert not _findings(effect=wide).moves_prices, "it may be chance"


def test_every_combination_ends_in_sentences() -> None:
    options = itertools.product(
        (UNKNOWN, KEPT, BENT, LOST, WORSE_THAN_RULES), (0.01, 0.3), (0.0, 0.05), (False, True), (0.0, 0.1)
    )
    for realised, importance, relative, repeated, outside in options:
        found = _findings(
            realised=realised,
            importance=importance,
            effect=_effect(relative),
            repeated=repeated,
            outside=outside,
        )
        reading = told(found, PORTFOLIO, 640.0)
        assert reading.says.endswith(".")
        assert "None" not in reading.says
        assert f"To do: {reading.todo}" in reading.says
        assert json.loads(json.dumps(reading.as_json()))["action"] == reading.action


def test_money_is_told_for_the_portfolio_with_its_interval() -> None:
    reading = told(_findings(), PORTFOLIO, 640.0)
    assert reading.premium_a_year.value == pytest.approx(16_898 * 640 * -0.03)
    assert (
        "16,898 policies in force, were they all like those of 2024-03, pay 324,000 EUR a year less than with miles as "
        "in the reference and all else as it is (-3.0 %, 95 % interval -3.2 to -2.8 %)." in reading.says
    )
    assert reading.short == "premium -324,000 EUR a year; to do: nothing"
    nothing = told(_findings(effect=_effect(0.0)), PORTFOLIO, 640.0)
    assert "about as much as with miles as in the reference (95 % interval -22,000 to +22,000 EUR" in nothing.says


def test_the_gap_to_what_outcomes_deserve_is_told() -> None:
    realised = Realised(
        Performance.KEPT, 5000, 1.0, 0.0, 1.0, 1.0, 0.9, 0.7, Estimate(1.05, 1.02, 1.08), Estimate(1.01, 0.99, 1.03)
    )
    reading = told(_findings(realised=realised), PORTFOLIO, 600.0)
    assert reading.gap_a_year is not None
    assert reading.gap_a_year.value == pytest.approx(0.05 * 600 * 16_898)
    assert (
        "The 5,000 known outcomes of policies since 2023-08 deserve 1.05 of what the version charges (1.02 to 1.08) "
        "with the values of miles that come now, and 1.01 with those of the reference." in reading.says
    )
    assert told(_findings(), PORTFOLIO, 600.0).gap_a_year is None


def test_segments_are_told_in_the_units_of_the_feature() -> None:
    segment = Segment("age below 27 years and with emergency_braking", 0.12, 0.6, -8.1, -1.0)
    says = told(_findings(segments=(segment,)), PORTFOLIO, 640.0).says
    assert (
        "It concentrates in age below 27 years and with emergency_braking (12 % of the policies, 60 % of the movement: "
        "-8.1 thousand miles a year there, -1 thousand miles a year elsewhere)." in says
    )
    flag = Segment("power above 160 kW", 0.3, 0.9, 0.25, 0.01)
    says = told(_findings(feature="training", segments=(flag,)), PORTFOLIO, 640.0).says
    assert "+25.0 percentage points there" in says
    assert "No segment stands out" in told(_findings(), PORTFOLIO, 640.0).says
