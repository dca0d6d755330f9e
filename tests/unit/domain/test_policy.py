"""What is plausible about a policy, and what is refused."""

import math

import pytest

from motorisk.domain.policy import FEATURES, FLAGS, NUMBERS, PolicyFeatures

TYPICAL = PolicyFeatures(training=0.0, age=35.0, emergency_braking=1.0, braking_distance=45.0, power=90.0, miles=45.9)


def test_features_are_always_in_the_same_order() -> None:
    assert tuple(FEATURES) == PolicyFeatures._fields
    assert all(name == feature.name for name, feature in FEATURES.items())


def test_every_feature_is_either_a_number_or_a_flag() -> None:
    assert set(FLAGS) == {"training", "emergency_braking"}
    assert set(NUMBERS) == {"age", "braking_distance", "power", "miles"}


def test_driver_and_vehicle_share_the_features_as_in_the_quote_request() -> None:
    parts = {name: feature.part for name, feature in FEATURES.items()}
    assert parts == {
        "training": "driver",
        "age": "driver",
        "miles": "driver",
        "emergency_braking": "vehicle",
        "braking_distance": "vehicle",
        "power": "vehicle",
    }


def test_a_typical_policy_has_no_problem() -> None:
    assert [FEATURES[name].problem_with(value) for name, value in TYPICAL._asdict().items()] == [None] * 6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("training", 0.0),
        ("training", 1.0),
        ("emergency_braking", 0.0),
        ("emergency_braking", 1.0),
        ("age", 15.0),
        ("age", 120.0),
        ("braking_distance", math.nextafter(0, 1)),
        ("power", math.nextafter(0, 1)),
        ("miles", 0.0),
        ("power", 1e300),
    ],
)
def test_the_last_plausible_value_is_accepted(name: str, value: float) -> None:
    assert FEATURES[name].problem_with(value) is None


@pytest.mark.bad_input("policy")
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("training", 0.5, "must be 0 or 1"),
        ("training", 2.0, "must be 0 or 1"),
        ("emergency_braking", -1.0, "must be 0 or 1"),
        ("emergency_braking", math.nextafter(1, 2), "must be 0 or 1"),
        ("age", math.nextafter(15, 0), "must be at least 15"),
        ("age", math.nextafter(120, 121), "must be at most 120"),
        ("braking_distance", 0.0, "must be greater than 0"),
        ("braking_distance", -0.0, "must be greater than 0"),
        ("braking_distance", -40.0, "must be greater than 0"),
        ("power", 0.0, "must be greater than 0"),
        ("power", -1.0, "must be greater than 0"),
        ("miles", math.nextafter(0, -1), "must be at least 0"),
    ],
)
def test_an_implausible_value_is_refused_and_the_bound_is_named(name: str, value: float, problem: str) -> None:
    assert FEATURES[name].problem_with(value) == problem


@pytest.mark.bad_input("policy")
@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_finite_number_is_refused_for_every_feature(name: str, value: float) -> None:
    assert FEATURES[name].problem_with(value) == "must be a finite number"
