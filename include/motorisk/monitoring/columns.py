"""Columns of a window or of a reference: every value, or what a streaming pass keeps of ten million of them.

A column is sorted values with weights. Exact columns hold every value; reduced ones hold, for each cell of a fine grid
over the tolerated range, the mean of its values and their number. Moving all values of a cell to their mean moves no
value by more than the width of the cell, and on average by at most half of it (the mean absolute deviation about the
mean is at most half the range): so a Wasserstein distance changes by at most half a cell. `Grid.error_bound` says so in
the score's unit, and a test measures it.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

TAILS = (0.01, 0.99)
"""Quantiles of the reference between which its middle lies."""

WIDENING = 1.0
"""The tolerated range reaches beyond the middle by so many times its width: 7 standard deviations of a normal feature,
a driver of 130 years. One policy in 1,500 at that bound moves a score by less than 0.005."""

GRID_CELLS = 8192
"""Cells of a streaming pass over the tolerated range."""

EXACT_ROWS = 100_000
"""Up to so many rows nothing is reduced."""

POINTS = 10_000
"""Rows of the reduced columns that Evidently gets instead of millions."""


@dataclass(frozen=True, slots=True)
class Range:
    """Values that a feature may have without counting as outliers; what lies outside is moved to its nearer end."""

    lower: float
    upper: float

    @classmethod
    def around(cls, reference: Floats) -> "Range":
        """The range of a reference, widened; absurd values in the reference itself do not stretch it."""
        values = reference[np.isfinite(reference)]
        low, high = np.quantile(values, TAILS)
        if low == high:  # nearly constant: the rare other values are not outliers
            low, high = values.min(), values.max()
        width = float(high - low) or max(abs(float(low)), 1.0)
        return cls(float(low) - WIDENING * width, float(high) + WIDENING * width)


@dataclass(frozen=True, slots=True)
class Column:
    """Sorted values (k,) and how often each stands for a row (k,); missing values and outliers are counted apart.

    Outliers are among the values, moved to the nearer end of the range; missing values are not: they are never filled.
    """

    values: Floats
    weights: Floats
    missing: int = 0
    outliers: int = 0

    @property
    def rows(self) -> int:
        """Rows that have a value."""
        return round(float(self.weights.sum()))

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return float(np.average(self.values, weights=self.weights))

    @property
    def spread(self) -> float:
        """Standard deviation of the values (of the population, as Evidently norms by it)."""
        return float(np.sqrt(np.average((self.values - self.mean) ** 2, weights=self.weights)))

    def points(self, number: int) -> Floats:
        """So many values (number,), each the mean of an equal share of the rows, in order."""
        ends = np.linspace(0.0, 1.0, number + 1)
        below = np.concatenate([[0.0], np.cumsum(self.weights)]) / self.weights.sum()
        sums = np.concatenate([[0.0], np.cumsum(self.weights * self.values)]) / self.weights.sum()
        return np.asarray(np.diff(np.interp(ends, below, sums)) * number)


def column_of(values: Floats, tolerated: Range) -> Column:
    """The exact column of (n,) values; what is not finite is missing, as in Evidently."""
    finite = values[np.isfinite(values)]
    outliers = int(((finite < tolerated.lower) | (finite > tolerated.upper)).sum())
    kept = np.sort(np.clip(finite, tolerated.lower, tolerated.upper))
    return Column(kept, np.ones(len(kept)), len(values) - len(finite), outliers)


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of equal width over a tolerated range."""

    tolerated: Range
    cells: int = GRID_CELLS

    @property
    def width(self) -> float:
        """Width of a cell, in the feature's unit."""
        return (self.tolerated.upper - self.tolerated.lower) / self.cells

    def error_bound(self, spread: float, points: int | None = None) -> float:
        """By how much a score may differ from that of all values, at most; with `points`, after those as well.

        Half a cell, and half the mean distance between neighbouring points, in spreads of the reference.
        """
        bound = self.width / 2
        if points is not None:
            bound += (self.tolerated.upper - self.tolerated.lower) / (2 * points)
        return bound / spread


@dataclass(slots=True)
class Sketch:
    """Counts and sums by cell of a grid, from any number of batches; adding two passes up gives one."""

    grid: Grid
    counts: Counts = field(init=False)
    sums: Floats = field(init=False)
    missing: int = 0
    outliers: int = 0

    def __post_init__(self) -> None:
        self.counts = np.zeros(self.grid.cells, dtype=np.int64)
        self.sums = np.zeros(self.grid.cells)

    def add(self, values: Floats) -> None:
        """Count a batch (n,) of values."""
        tolerated = self.grid.tolerated
        finite = values[np.isfinite(values)]
        kept = np.clip(finite, tolerated.lower, tolerated.upper)
        cells = ((kept - tolerated.lower) / self.grid.width).astype(np.int64).clip(0, self.grid.cells - 1)
        self.counts += np.bincount(cells, minlength=self.grid.cells)
        self.sums += np.bincount(cells, kept, minlength=self.grid.cells)
        self.missing += len(values) - len(finite)
        self.outliers += int((kept != finite).sum())

    def column(self) -> Column:
        """The reduced column."""
        filled = self.counts > 0
        counts = self.counts[filled].astype(np.float64)
        return Column(self.sums[filled] / counts, counts, self.missing, self.outliers)
