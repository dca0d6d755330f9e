"""The generating process of the workshop's data (see the design's domain facts), seeded and vectorised.

risk = -(w (training - |age - 35| / 22) + emergency_braking - (braking_distance - 40) / 5
         - |power - 100| / 50 - |miles - 50| / 40) + noise, with w = 4.0 - 0.1 month.
So age and training lose their meaning slowly: concept drift, which no input shows. Among the inputs
miles, emergency_braking and age drift; the other three do not.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from motorisk.domain.calendar import add_months, days_in_month

Floats = npt.NDArray[np.float64]

NOISE_FLOOR = 0.14
"""Standard deviation of the noise that stays when w is gone; the rest of it is 0.1 w."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What to simulate; every month is drawn from its own seed, so that more months leave the earlier as they are.

    `drift_until` stops all drift at that month (0: a stationary world; None: it never stops).
    `label_delay_months` is how long an outcome takes; the first month's are known at once, so that a first
    model can be trained.
    """

    start: date
    months: int = 36
    policies_a_month: int = 1500
    seed: int = 1
    label_delay_months: int = 12
    drift_until: int | None = None

    def drift_month(self, month: int) -> int:
        """How far the world has drifted by a month, in months."""
        return month if self.drift_until is None else min(month, self.drift_until)


def skew_normal(random: np.random.Generator, shape: float, location: float, scale: float, size: int) -> Floats:
    """Draws from the skew-normal distribution (Azzalini 1985)."""
    delta = shape / math.sqrt(1 + shape**2)
    half, whole = np.abs(random.standard_normal(size)), random.standard_normal(size)
    return location + scale * (delta * half + math.sqrt(1 - delta**2) * whole)


def weight(drift_month: int) -> float:
    """What driver training and age count for: 4.0 at first, 0.1 less every month."""
    return 4.0 - 0.1 * drift_month


def noise_spread(drift_month: int) -> float:
    """Standard deviation of the outcome about its expectation: 0.42 at first."""
    return math.hypot(0.1 * weight(drift_month), NOISE_FLOOR)


def expected_risk(features: dict[str, Floats], drift_month: int) -> Floats:
    """The risk index without its noise."""
    merit = weight(drift_month) * (features["training"] - np.abs(features["age"] - 35) / 22)
    return -(
        merit
        + features["emergency_braking"]
        - (features["braking_distance"] - 40) / 5
        - np.abs(features["power"] - 100) / 50
        - np.abs(features["miles"] - 50) / 40
    )


def draw_features(random: np.random.Generator, drift_month: int, size: int) -> dict[str, Floats]:
    """Features of `size` policies: years, metres, kW, thousand miles a year, flags as 0.0 and 1.0."""
    return {
        "training": (random.random(size) < 0.20).astype(np.float64),
        # After two hundred months the oldest would be older than anybody.
        "age": np.minimum(np.clip(skew_normal(random, 16, 18, 22, size), 16, 100) + 0.1 * drift_month, 120.0),
        "emergency_braking": (random.random(size) < min(0.40 + 0.015 * drift_month, 1.0)).astype(np.float64),
        "braking_distance": random.normal(40, 5, size),
        # Below 1 kW the distribution has next to no mass, but an impossible policy must not come out.
        "power": np.maximum(skew_normal(random, 2, 100, 50, size), 1.0),
        "miles": np.maximum(skew_normal(random, 4, 50, 40, size) - 0.5 * drift_month, 5.0),
    }


def simulate_month(simulation: Simulation, month: int) -> pa.Table:
    """One month's policies and their outcomes, columns as in an import file, sorted by effective date."""
    random = np.random.default_rng([simulation.seed, month])
    size, drift_month = simulation.policies_a_month, simulation.drift_month(month)
    features = draw_features(random, drift_month, size)
    risk = expected_risk(features, drift_month) + random.normal(0, noise_spread(drift_month), size)

    first = add_months(simulation.start, month)
    days = np.sort(random.integers(0, days_in_month(first), size))
    calendar = [first.replace(day=day + 1) for day in range(days_in_month(first))]
    delay = simulation.label_delay_months if month else 0
    effective = [calendar[day] for day in days]
    expiry = [add_months(day, 12) for day in calendar]
    observed = [add_months(day, delay) for day in calendar]
    numbers = range(1, size + 1)
    return pa.table(
        {
            "policy_id": [f"S{simulation.seed}-{month:03d}-{number:06d}" for number in numbers],
            "customer_id": [f"C{simulation.seed}-{month:03d}-{number:06d}" for number in numbers],
            "effective_date": effective,
            "expiry_date": [expiry[day] for day in days],
            **features,
            "risk": risk,
            "observed_on": [observed[day] for day in days],
        }
    )


def simulate(simulation: Simulation) -> Iterator[pa.Table]:
    """All months, one table each."""
    for month in range(simulation.months):
        yield simulate_month(simulation, month)
