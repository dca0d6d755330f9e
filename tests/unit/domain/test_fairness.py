"""What may not price policies is known by its name, in every way of writing it."""

import pytest

from motorisk.domain.fairness import reason_against
from motorisk.domain.policy import FEATURES


@pytest.mark.parametrize("name", list(FEATURES))
def test_nothing_speaks_against_the_features_of_a_policy(name: str) -> None:
    assert reason_against(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gender", "stands for the driver's gender"),
        ("driver_gender", "stands for the driver's gender"),
        ("driverSex", "stands for the driver's gender"),
        ("SALUTATION", "stands for the driver's gender"),
        ("first_name", "gives gender and origin away"),
        ("FirstName", "gives gender and origin away"),
        ("nationality_code", "stands for the driver's origin"),
        ("birth country", "stands for the driver's origin"),
        ("customer-postcode", "gives origin away, street by street"),
        ("maritalStatus", "stands for the driver's sexual identity"),
        ("religion", "stands for the driver's religion or belief"),
    ],
)
def test_proxies_are_recognised_however_they_are_written(name: str, reason: str) -> None:
    assert reason_against(name) == reason


@pytest.mark.parametrize("name", ["sextant", "horsepower", "mileage", "engine_size", "age_of_vehicle", "named_drivers"])
def test_words_that_only_contain_a_forbidden_one_are_allowed(name: str) -> None:
    assert reason_against(name) is None
