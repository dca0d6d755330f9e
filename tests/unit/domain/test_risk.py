"""Risk classes and their probabilities."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from motorisk.domain.risk import (
    CLASS_BOUNDS,
    PROBABILITY_UNITS,
    RISK_CLASSES,
    ClassProbabilities,
    RiskClass,
    certain,
    class_of,
    class_probabilities,
)

LOW, MEDIUM, HIGH = RISK_CLASSES


def test_the_classes_are_named_as_the_contract_says_from_the_least_risky() -> None:
    assert [str(name) for name in RISK_CLASSES] == ["low", "medium", "high"]


@pytest.mark.parametrize(
    ("risk", "expected"),
    [
        (-7.0, LOW),
        (math.nextafter(1.0, 0.0), LOW),
        (1.0, MEDIUM),
        (2.0, MEDIUM),
        (3.0, MEDIUM),
        (math.nextafter(3.0, 4.0), HIGH),
        (12.0, HIGH),
    ],
)
def test_both_bounds_belong_to_the_medium_class(risk: float, expected: RiskClass) -> None:
    assert class_of(risk) is expected


def test_other_bounds_move_the_classes() -> None:
    assert class_of(2.0, (2.5, 4.0)) is LOW
    assert class_of(4.5, (2.5, 4.0)) is HIGH


@given(st.floats(-20, 25), st.floats(0.02, 50))
def test_probabilities_are_those_of_the_normal_distribution(expected_risk: float, spread: float) -> None:
    found = class_probabilities(expected_risk, spread)
    normal = norm(expected_risk, spread)
    assert abs(found.low - normal.cdf(1.0) * PROBABILITY_UNITS) <= 1
    assert abs(found.high - normal.sf(3.0) * PROBABILITY_UNITS) <= 1


@given(st.floats(-1e6, 1e6) | st.sampled_from(CLASS_BOUNDS), st.floats(1e-9, 1e6))
def test_probabilities_sum_to_one_exactly_and_none_is_negative(expected_risk: float, spread: float) -> None:
    found = class_probabilities(expected_risk, spread)
    assert sum(found) == PROBABILITY_UNITS
    assert min(found) >= 0


@given(st.floats(-10, 14), st.floats(0.05, 5))
def test_the_classes_are_symmetric_about_the_middle_of_the_bounds(expected_risk: float, spread: float) -> None:
    found, mirrored = class_probabilities(expected_risk, spread), class_probabilities(4.0 - expected_risk, spread)
    assert abs(found.low - mirrored.high) <= 1
    assert abs(found.high - mirrored.low) <= 1


def test_an_expected_risk_on_a_bound_is_even_between_two_classes() -> None:
    assert class_probabilities(1.0, 1e-3) == (50_000_000, 50_000_000, 0)
    assert class_probabilities(3.0, 1e-3) == (0, 50_000_000, 50_000_000)


def test_the_bounds_of_the_plan_are_used_where_they_are_given() -> None:
    assert class_probabilities(0.0, 1e-3, (0.0, 9.0)) == (50_000_000, 50_000_000, 0)


def test_a_higher_expected_risk_never_makes_the_high_class_less_likely() -> None:
    high = [class_probabilities(step / 20, 0.42).high for step in range(-40, 140)]
    low = [class_probabilities(step / 20, 0.42).low for step in range(-40, 140)]
    assert high == sorted(high)
    assert low == sorted(low, reverse=True)
    assert high[0] == low[-1] == 0


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ((50, 30, 20), LOW),
        ((20, 50, 30), MEDIUM),
        ((20, 30, 50), HIGH),
        ((40, 40, 20), MEDIUM),
        ((20, 40, 40), HIGH),
        ((40, 20, 40), HIGH),
        ((1, 1, 1), HIGH),
    ],
)
def test_of_equally_likely_classes_the_riskier_is_taken(
    probabilities: tuple[int, int, int], expected: RiskClass
) -> None:
    assert ClassProbabilities(*probabilities).most_likely() is expected


@pytest.mark.parametrize("risk_class", RISK_CLASSES)
def test_a_rule_puts_all_probability_on_its_class(risk_class: RiskClass) -> None:
    assert certain(risk_class).as_floats() == {name: float(name is risk_class) for name in RISK_CLASSES}
    assert certain(risk_class).most_likely() is risk_class


def test_probabilities_read_as_fractions_by_class() -> None:
    assert ClassProbabilities(25_000_000, 70_000_000, 5_000_000).as_floats() == {LOW: 0.25, MEDIUM: 0.7, HIGH: 0.05}
