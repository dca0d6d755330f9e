"""Simulated windows of the workshop's world."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pytest

from motorisk.domain.calendar import add_months
from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic, RatingPlan, Support
from motorisk.domain.risk import CLASS_BOUNDS, RiskClass
from motorisk.domain.tariff import Tariff
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.windows import Window
from motorisk.simulation.portfolio import draw_features, noise_spread, weight

Floats = npt.NDArray[np.float64]
Windows = Callable[..., list[Window]]
START = date(2023, 1, 1)


@pytest.fixture(scope="session")
def reference() -> Reference:
    """The first month, 1,500 policies; its thresholds are computed once."""
    return Reference.of(draw_features(np.random.default_rng([3, 0]), 0, 1500))


@pytest.fixture(scope="session")
def windows() -> Windows:
    """`(reference, drift months, rows=1500, seed=3)`: one window a month of a world that has drifted so far."""

    def measured(reference: Reference, drift: Iterable[int], rows: int = 1500, seed: int = 3) -> list[Window]:
        found = []
        for number, month in enumerate(drift, start=1):
            values = draw_features(np.random.default_rng([seed, number]), month, rows)
            figures = {name: reference.measure(name, reference.column(name, values[name])) for name in FEATURES}
            first = add_months(START, number)
            found.append(Window(first, add_months(first, 1) - timedelta(days=1), figures))
        return found

    return measured


@pytest.fixture(scope="session")
def true_plan() -> RatingPlan:
    """The simulated world's first month as a rating plan: what a perfect version would say."""

    def corner(at: float, slope: float) -> NumberTerm:
        sides = ((0.0, -slope, 0.0, 0.0), (0.0, slope, 0.0, 0.0))
        return NumberTerm(level=PiecewiseCubic(breakpoints=(at,), coefficients=sides), average=0.0)

    straight = PiecewiseCubic(breakpoints=(40.0,), coefficients=((0.0, 0.2, 0.0, 0.0), (0.0, 0.2, 0.0, 0.0)))
    return RatingPlan(
        candidate="gam",
        as_of=START,
        snapshot_digest="a" * 64,
        intercept=0.0,
        spread=noise_spread(0),
        class_bounds=CLASS_BOUNDS,
        terms={
            "training": FlagTerm(level=(0.0, -weight(0)), average=0.0),
            "age": corner(35.0, weight(0) / 22),
            "emergency_braking": FlagTerm(level=(0.0, -1.0), average=0.0),
            "braking_distance": NumberTerm(level=straight, average=0.0),
            "power": corner(100.0, 1 / 50),
            "miles": corner(50.0, 1 / 40),
        },
        support={
            name: Support(*ends)
            for name, ends in {
                "training": (0.0, 1.0),
                "age": (16.0, 100.0),
                "emergency_braking": (0.0, 1.0),
                "braking_distance": (20.0, 60.0),
                "power": (40.0, 300.0),
                "miles": (5.0, 200.0),
            }.items()
        },
    )


@pytest.fixture(scope="session")
def tariff() -> Tariff:
    """Euros a year."""
    factors = {RiskClass.LOW: Decimal("0.7"), RiskClass.MEDIUM: Decimal("1"), RiskClass.HIGH: Decimal("1.9")}
    return Tariff("test", START, Decimal("640.00"), factors, Decimal("0.19"))
