"""Gates: inclusive at their thresholds, never passed by what is not a number."""

import math
from dataclasses import replace

import pytest

from motorisk.modelling.configuration import GateThresholds
from motorisk.modelling.evaluation import Evaluation
from motorisk.modelling.gates import at_least, at_most, workshop_gates

# Figures that are exact in binary, so that a threshold can be met exactly.
THRESHOLDS = GateThresholds(
    min_accuracy=0.875,
    max_accuracy_spread=0.0625,
    max_share_difference=0.0625,
    min_certainty=0.75,
    max_certainty=0.96875,
)
GOOD = Evaluation(
    accuracy=0.9375,
    log_loss=0.25,
    certainty=0.875,
    predicted_shares=(0.25, 0.25, 0.5),
    observed_shares=(0.25, 0.25, 0.5),
)
NAMES = [
    "training accuracy",
    "hold-out accuracy",
    "accuracy spread",
    "share of low off by",
    "share of medium off by",
    "share of high off by",
    "certainty",
    "certainty not above",
]


def failed(training: Evaluation = GOOD, holdout: Evaluation = GOOD) -> set[str]:
    return {gate["name"] for gate in workshop_gates(training, holdout, THRESHOLDS) if not gate["passed"]}


@pytest.mark.parametrize(
    ("value", "passed"), [(0.85, True), (math.nextafter(0.85, 0), False), (0.9, True), (-1, False), (math.inf, True)]
)
def test_at_least_is_passed_at_the_threshold_itself(value: float, passed: bool) -> None:
    assert at_least("accuracy", value, 0.85) == {
        "name": "accuracy",
        "value": value,
        "rule": ">=",
        "threshold": 0.85,
        "passed": passed,
    }


@pytest.mark.parametrize(
    ("value", "passed"), [(0.05, True), (math.nextafter(0.05, 1), False), (0.0, True), (math.inf, False)]
)
def test_at_most_is_passed_at_the_threshold_itself(value: float, passed: bool) -> None:
    assert at_most("spread", value, 0.05) == {
        "name": "spread",
        "value": value,
        "rule": "<=",
        "threshold": 0.05,
        "passed": passed,
    }


def test_what_is_not_a_number_passes_neither_kind_of_gate() -> None:
    assert at_least("any", math.nan, 0.0)["passed"] is False
    assert at_most("any", math.nan, 1.0)["passed"] is False


def test_a_good_model_passes_all_gates() -> None:
    gates = workshop_gates(GOOD, GOOD, THRESHOLDS)
    assert [gate["name"] for gate in gates] == NAMES
    assert all(gate["passed"] for gate in gates)


def test_a_figure_exactly_at_its_threshold_passes() -> None:
    training = replace(GOOD, accuracy=0.9375)
    holdout = replace(GOOD, accuracy=0.875, certainty=0.75, predicted_shares=(0.3125, 0.1875, 0.5))
    assert failed(training, holdout) == set()
    assert failed(holdout=replace(GOOD, certainty=0.96875)) == set()


@pytest.mark.parametrize(
    ("training", "holdout", "expected"),
    [
        ({"accuracy": 0.8125}, {"accuracy": 0.875}, {"training accuracy"}),
        ({"accuracy": 0.875}, {"accuracy": 0.8125}, {"hold-out accuracy"}),
        ({"accuracy": 1.0}, {"accuracy": 0.875}, {"accuracy spread"}),
        ({"accuracy": 0.875}, {"accuracy": 1.0}, {"accuracy spread"}),
        ({}, {"predicted_shares": (0.375, 0.25, 0.375)}, {"share of low off by", "share of high off by"}),
        ({}, {"observed_shares": (0.125, 0.375, 0.5)}, {"share of low off by", "share of medium off by"}),
        ({}, {"certainty": 0.5}, {"certainty"}),
        ({}, {"certainty": 0.984375}, {"certainty not above"}),
        ({"certainty": 0.1, "predicted_shares": (1.0, 0.0, 0.0)}, {}, set()),  # of training, only accuracy counts
    ],
)
def test_each_gate_fails_for_its_own_reason(
    training: dict[str, float], holdout: dict[str, float], expected: set[str]
) -> None:
    assert failed(replace(GOOD, **training), replace(GOOD, **holdout)) == expected


@pytest.mark.parametrize(
    ("training", "holdout", "expected"),
    [
        ({"accuracy": math.nan}, {}, {"training accuracy", "accuracy spread"}),
        ({}, {"accuracy": math.nan}, {"hold-out accuracy", "accuracy spread"}),
        ({}, {"certainty": math.nan}, {"certainty", "certainty not above"}),
        ({}, {"predicted_shares": (math.nan,) * 3}, set(NAMES[3:6])),
        ({}, {"observed_shares": (math.nan,) * 3}, set(NAMES[3:6])),
    ],
)
def test_a_figure_that_could_not_be_computed_fails_its_gates(
    training: dict[str, float], holdout: dict[str, float], expected: set[str]
) -> None:
    assert failed(replace(GOOD, **training), replace(GOOD, **holdout)) == expected


def test_a_gate_tells_value_and_threshold_as_they_were_compared() -> None:
    gates = {gate["name"]: gate for gate in workshop_gates(replace(GOOD, accuracy=0.96875), GOOD, THRESHOLDS)}
    assert (gates["accuracy spread"]["value"], gates["accuracy spread"]["threshold"]) == (0.03125, 0.0625)
    assert (gates["training accuracy"]["value"], gates["hold-out accuracy"]["value"]) == (0.96875, 0.9375)
    assert (gates["certainty not above"]["rule"], gates["certainty not above"]["threshold"]) == ("<=", 0.96875)
