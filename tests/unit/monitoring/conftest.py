"""Simulated windows of the workshop's world."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pytest

from motorisk.domain.calendar import add_months
from motorisk.domain.policy import FEATURES
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.windows import Window
from motorisk.simulation.portfolio import draw_features

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
