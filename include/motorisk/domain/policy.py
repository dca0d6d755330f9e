"""The features of a policy, their units and what is plausible.

Bounds come from the platform's design: anything outside them is refused, never clipped.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Feature:
    """One rating feature: its unit, whose it is and its plausible range (flags: 0 or 1)."""

    name: str
    part: str
    unit: str
    description: str
    is_flag: bool = False
    minimum: float = 0.0
    maximum: float = math.inf
    minimum_allowed: bool = True

    def problem_with(self, value: float) -> str | None:
        """Why `value` is impossible for this feature, or None where it is plausible."""
        if not math.isfinite(value):
            return "must be a finite number"
        if self.is_flag:
            return None if value in (0.0, 1.0) else "must be 0 or 1"
        if value < self.minimum or (value == self.minimum and not self.minimum_allowed):
            return f"must be {'at least' if self.minimum_allowed else 'greater than'} {self.minimum:g}"
        if value > self.maximum:
            return f"must be at most {self.maximum:g}"
        return None


FEATURES: dict[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature("training", "driver", "yes/no", "the driver took a driver safety training", is_flag=True),
        Feature("age", "driver", "years", "the driver's age", minimum=15, maximum=120),
        Feature("emergency_braking", "vehicle", "yes/no", "the vehicle brakes by itself in danger", is_flag=True),
        Feature("braking_distance", "vehicle", "metres", "metres to stand still from 100 km/h", minimum_allowed=False),
        Feature("power", "vehicle", "kW", "engine power", minimum_allowed=False),
        Feature("miles", "driver", "thousand miles a year", "distance driven in a year"),
    )
}
NUMBERS = tuple(name for name, feature in FEATURES.items() if not feature.is_flag)
FLAGS = tuple(name for name, feature in FEATURES.items() if feature.is_flag)


class PolicyFeatures(NamedTuple):
    """A policy's six features, in the order of `FEATURES`: years, metres, kW, thousand miles a year."""

    training: float
    age: float
    emergency_braking: float
    braking_distance: float
    power: float
    miles: float
