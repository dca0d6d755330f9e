"""Risk index, risk classes and their probabilities."""

import math
from enum import StrEnum
from typing import NamedTuple

CLASS_BOUNDS = (1.0, 3.0)
"""low < 1 <= medium <= 3 < high, on the risk index."""

PROBABILITY_UNITS = 10**8
"""Class probabilities are whole hundred-millionths.

Scalar and vectorised evaluation differ in the last bits of a float; rounded to this grid they agree,
the three classes sum to exactly one, and premiums follow from them in exact integer arithmetic.
"""


class RiskClass(StrEnum):
    """The three classes, from the least risky."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


RISK_CLASSES = tuple(RiskClass)


class ClassProbabilities(NamedTuple):
    """Probabilities of the classes in units of 1/`PROBABILITY_UNITS`; they sum to one exactly."""

    low: int
    medium: int
    high: int

    def most_likely(self) -> RiskClass:
        """The class with the largest probability; of equal ones the riskier."""
        low, medium, high = self
        if high >= medium and high >= low:
            return RiskClass.HIGH
        return RiskClass.MEDIUM if medium >= low else RiskClass.LOW

    def as_floats(self) -> dict[RiskClass, float]:
        """The probabilities as fractions of one."""
        return {name: units / PROBABILITY_UNITS for name, units in zip(RISK_CLASSES, self, strict=True)}


def class_of(risk: float, bounds: tuple[float, float] = CLASS_BOUNDS) -> RiskClass:
    """The class of a risk index."""
    if risk < bounds[0]:
        return RiskClass.LOW
    return RiskClass.MEDIUM if risk <= bounds[1] else RiskClass.HIGH


def certain(risk_class: RiskClass) -> ClassProbabilities:
    """All probability on one class: what a rule says."""
    return ClassProbabilities(*(PROBABILITY_UNITS if name is risk_class else 0 for name in RISK_CLASSES))


def class_probabilities(
    expected_risk: float, spread: float, bounds: tuple[float, float] = CLASS_BOUNDS
) -> ClassProbabilities:
    """Class probabilities of a normal predictive distribution with mean `expected_risk` and sd `spread`."""
    scale = spread * math.sqrt(2.0)
    low = round(0.5 * math.erfc((expected_risk - bounds[0]) / scale) * PROBABILITY_UNITS)
    high = round(0.5 * math.erfc((bounds[1] - expected_risk) / scale) * PROBABILITY_UNITS)
    return ClassProbabilities(low, PROBABILITY_UNITS - low - high, high)
