"""The underwriters' rules, as the workshop's list has them."""

import pytest

from motorisk.domain.policy import PolicyFeatures
from motorisk.domain.risk import RiskClass
from motorisk.domain.rules import rule_class

LOW, MEDIUM, HIGH = RiskClass.LOW, RiskClass.MEDIUM, RiskClass.HIGH
MIDDLE = PolicyFeatures(training=0, age=40, emergency_braking=0, braking_distance=40, power=100, miles=20)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # A safety training outweighs everything.
        ({"training": 1, "age": 18, "power": 300, "miles": 100}, LOW),
        ({"training": 1, "age": 80}, LOW),
        # The young, by power; the vehicle's brakes do not help them.
        ({"age": 29.99, "power": 130}, MEDIUM),
        ({"age": 29.99, "power": 130.01}, HIGH),
        ({"age": 18, "power": 131, "emergency_braking": 1}, HIGH),
        ({"age": 18, "power": 60, "emergency_braking": 1}, MEDIUM),
        ({"age": 18, "power": 60, "miles": 100}, MEDIUM),
        ({"age": 30, "power": 131}, LOW),
        # The old.
        ({"age": 50.01}, HIGH),
        ({"age": 51, "emergency_braking": 1}, HIGH),
        ({"age": 50}, LOW),
        # Between them, emergency braking, then distance.
        ({"emergency_braking": 1, "miles": 100}, LOW),
        ({"miles": 50.01}, HIGH),
        ({"miles": 50}, MEDIUM),
        ({"miles": 30.01}, MEDIUM),
        ({"miles": 30}, LOW),
        ({}, LOW),
    ],
)
def test_the_first_rule_that_applies_decides(changes: dict[str, float], expected: RiskClass) -> None:
    assert rule_class(MIDDLE._replace(**changes)) is expected


def test_braking_distance_has_no_rule() -> None:
    assert len({rule_class(MIDDLE._replace(braking_distance=metres)) for metres in (1, 20, 40, 80, 1000)}) == 1
