"""Net premiums that a shadow would have answered, against those that were."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from motorisk.domain.tariff import CENT

NOTICEABLE = 0.05
"""A premium that moves by more than this share counts as moved."""


@dataclass(frozen=True, slots=True)
class Premiums:
    """Relative changes of the net premium, as shares of what was answered, and sums in the tariff's currency.

    A premium of nought has no relative change: it counts as one cent.
    """

    median: float
    low: float
    high: float
    largest_rise: float
    largest_fall: float
    share_above_5_percent: float
    answered_total: Decimal
    shadow_total: Decimal
    total_change: float


def relative_changes(answered: npt.NDArray[np.int64], shadow: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Changes of n net premiums in cents as shares of what was answered, (n,)."""
    return np.asarray((shadow - answered) / np.maximum(answered, 1))


def premiums_against(answered: npt.NDArray[np.int64], shadow: npt.NDArray[np.int64]) -> Premiums:
    """Of n quotes, at least one: the premiums answered and the shadow's, in cents, (n,) each."""
    changes, sums = relative_changes(answered, shadow), (int(answered.sum()), int(shadow.sum()))
    low, median, high = (float(value) for value in np.quantile(changes, (0.05, 0.5, 0.95)))
    return Premiums(
        median=median,
        low=low,
        high=high,
        largest_rise=max(float(changes.max()), 0.0),
        largest_fall=min(float(changes.min()), 0.0),
        share_above_5_percent=float(np.mean(np.abs(changes) > NOTICEABLE)),
        answered_total=sums[0] * CENT,
        shadow_total=sums[1] * CENT,
        total_change=(sums[1] - sums[0]) / max(sums[0], 1),
    )
