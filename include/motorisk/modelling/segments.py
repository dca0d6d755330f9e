"""Segments of the portfolio by age band, driver training and power band: expected against observed."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from motorisk.domain.risk import CLASS_BOUNDS, PROBABILITY_UNITS, RISK_CLASSES, RiskClass
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import Floats, Integers, risk_classes

AGE_BANDS, POWER_BANDS = (25.0, 32.0, 38.0, 50.0), (90.0, 130.0)
MIN_EXPOSURE = 50
"""Fewer policies than this in a segment say nothing about its bias."""
MIN_EXPECTED = 10.0
"""Fewer expected high risks than this say nothing about actual over expected."""
HIGH = RISK_CLASSES.index(RiskClass.HIGH)


@dataclass(frozen=True, slots=True)
class Segment:
    """One cell with its policies; `training` and `power` are None where the cell is not split by them."""

    age: str
    training: str | None
    power: str | None
    policies: int
    observed_risk: float
    expected_risk: float
    actual_high: int
    expected_high: float
    bias: float
    """Mean error on the risk index beyond what chance gives a cell of its size (two standard errors)."""
    excess: float
    """Distance of actual over expected high risks from one, beyond what chance gives (two standard deviations)."""

    def to_json(self) -> dict[str, Any]:
        """As kept with a version."""
        ratio = self.actual_high / self.expected_high if self.expected_high >= MIN_EXPECTED else None
        return {
            "age": self.age,
            "training": self.training,
            "power": self.power,
            "policies": self.policies,
            "observed_risk": self.observed_risk,
            "expected_risk": self.expected_risk,
            "actual_high": self.actual_high,
            "expected_high": self.expected_high,
            "actual_to_expected": ratio,
        }


def segments(snapshot: Snapshot, expected_risk: Floats, probabilities: Integers) -> list[Segment]:
    """All cells with enough exposure, from coarse to fine, so that small portfolios are looked at too.

    (n,) expected risk indices and (n, 3) class probabilities in units, of policies that the model had not seen.
    """
    high = risk_classes(snapshot.risk, CLASS_BOUNDS) == HIGH
    stated = probabilities[:, HIGH] / PROBABILITY_UNITS
    found = []
    for names, inside in _cells(snapshot):
        if inside.sum() < MIN_EXPOSURE:
            continue
        errors = snapshot.risk[inside] - expected_risk[inside]
        chance = 2 * float(errors.std(ddof=1)) / float(np.sqrt(len(errors)))
        expected = float(stated[inside].sum())
        deviation = float(np.sqrt(np.sum(stated[inside] * (1 - stated[inside]))))
        actual = int(high[inside].sum())
        excess = 0.0
        if expected >= MIN_EXPECTED:
            excess = max(abs(actual - expected) - 2 * deviation, 0.0) / expected
        found.append(
            Segment(
                *names,
                policies=int(inside.sum()),
                observed_risk=float(snapshot.risk[inside].mean()),
                expected_risk=float(expected_risk[inside].mean()),
                actual_high=actual,
                expected_high=expected,
                bias=max(abs(float(errors.mean())) - chance, 0.0),
                excess=excess,
            )
        )
    return found


def _cells(snapshot: Snapshot) -> Iterator[tuple[tuple[str, str | None, str | None], npt.NDArray[np.bool_]]]:
    ages = np.digitize(snapshot.features["age"], AGE_BANDS)
    powers = np.digitize(snapshot.features["power"], POWER_BANDS)
    trained = snapshot.features["training"] != 0
    for age, age_name in enumerate(band_names(AGE_BANDS)):
        yield (age_name, None, None), ages == age
        for training, training_name in ((False, "no"), (True, "yes")):
            inside = (ages == age) & (trained == training)
            yield (age_name, training_name, None), inside
            for power, power_name in enumerate(band_names(POWER_BANDS)):
                yield (age_name, training_name, power_name), inside & (powers == power)


def band_names(bounds: tuple[float, ...]) -> list[str]:
    """What people call the bands between bounds, those beyond the ends included."""
    between = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(bounds)]
    return [f"below {bounds[0]:g}", *between, f"{bounds[-1]:g} and more"]
