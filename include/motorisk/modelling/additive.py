"""An additive model whose terms may change with calendar time, fitted by penalised least squares.

risk = intercept + t trend + sum over features of (level(x) + t change(x)) + noise, where t is the time in months
since the as-of date (negative for the past). Levels and changes are cubic splines of the numbers, linear beyond
the data, and steps of the flags.

Every group of coefficients has its own ridge penalty, chosen by maximal marginal likelihood (the generalised
Fellner-Schall method of Wood and Fasiolo 2017, doi:10.1111/biom.12666). So a change that the data do not support
shrinks to nothing, and the strength of the evidence decides how far one is believed. The noise's standard deviation
is fitted month by month and follows a log-linear trend of its own.
"""

import itertools
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotri
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.preprocessing import SplineTransformer
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[np.float64]

DEGREE = 3
NEAREST_KNOTS = 1e-6
"""Share of a feature's range below which two knots are one: cubics between them would have no digits left."""

MAX_ROUNDS = 60
TOLERANCE = 0.01
MIN_PENALTY, MAX_PENALTY = 1e-4, 1e8
MIN_SPREAD_MONTHS = 6
"""Fewer months than this tell nothing about how the spread changes."""
SPREAD_TREND_BOUNDS = (-0.05, 0.02)
"""Log change a month: precision may grow faster than it is lost, because too narrow a spread costs more."""


def distinct_quantiles(values: Floats, count: int) -> Floats:
    """At most `count` quantiles of (n,) values at equal steps, from the least to the greatest, no two the same."""
    quantiles = np.quantile(values, np.linspace(0, 1, count))
    apart = NEAREST_KNOTS * (quantiles[-1] - quantiles[0])
    inner = [quantiles[0]]
    for quantile in quantiles[1:-1]:
        if quantile - inner[-1] > apart and quantiles[-1] - quantile > apart:
            inner.append(quantile)
    return np.array([*inner, quantiles[-1]])


@dataclass(frozen=True, slots=True)
class Basis:
    """The basis functions of one feature: B-splines, or the value itself where it has fewer than three."""

    transformer: SplineTransformer | None
    width: int

    @classmethod
    def of(cls, values: Floats, knots: int) -> Self:
        """A basis for (n,) values with at most so many knots at their distinct quantiles."""
        if len(np.unique(values)) < 3:
            return cls(None, 1)
        places = distinct_quantiles(values, knots)
        transformer = SplineTransformer(degree=DEGREE, knots=places[:, None], extrapolation="linear")
        transformer.fit(values[:, None])
        return cls(transformer, transformer.n_features_out_)

    def __call__(self, values: Floats) -> Floats:
        """(n, width) basis functions at (n,) values."""
        column = values[:, None]
        return column if self.transformer is None else np.asarray(self.transformer.transform(column))


@dataclass(frozen=True, slots=True)
class Curve:
    """One feature's level or change: basis times coefficients, less its mean over the training data."""

    basis: Basis
    coefficients: Floats
    mean: float

    def __call__(self, values: Floats) -> Floats:
        """The curve at (n,) values."""
        return np.asarray(self.basis(values) @ self.coefficients - self.mean)


class AdditiveRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Additive splines with trends.

    Parameters
    ----------
    n_knots
        Knots of each number's level, at its quantiles.
    n_trend_knots
        Knots of each number's change.
    trend
        Whether terms may change with time at all; takes effect from `min_trend_months` months of data on.
    min_trend_months
        Fewest different months that can show a trend.
    still
        Positions of features whose terms may not change with time.
    """

    def __init__(
        self,
        *,
        n_knots: int = 10,
        n_trend_knots: int = 6,
        trend: bool = True,
        min_trend_months: int = 3,
        still: tuple[int, ...] = (),
    ) -> None:
        self.n_knots = n_knots
        self.n_trend_knots = n_trend_knots
        self.trend = trend
        self.min_trend_months = min_trend_months
        self.still = still

    def fit(self, X: Any, y: Any, months: Floats | None = None) -> Self:  # noqa: N803  scikit-learn's name
        """Fit to (n, p) features, (n,) outcomes and (n,) months since the as-of date (default: all now)."""
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64, ensure_min_samples=2)  # noqa: N806
        y = np.asarray(y, dtype=np.float64)
        times = np.zeros(len(y)) if months is None else np.asarray(months, dtype=np.float64)
        # The matrices are small: more threads would mostly wait for each other, and round differently.
        with threadpool_limits(limits=1, user_api="blas"):
            return self._fit(X, y, times)

    def _fit(self, X: Floats, y: Floats, times: Floats) -> Self:  # noqa: N803
        self.has_trend_ = self.trend and len(np.unique(np.floor(times))) >= self.min_trend_months
        design = _Design.of(X, times, self)
        weights, self.log_spread_, self.spread_trend_ = np.ones(len(y)), 0.0, 0.0
        solution = _solve(design, y, weights)
        if len(np.unique(np.floor(times))) >= MIN_SPREAD_MONTHS:
            for _ in range(2):
                self.log_spread_, self.spread_trend_ = _spread_over_time(y - solution.fitted, times)
                weights = np.exp(-2 * (self.log_spread_ + self.spread_trend_ * times))
                solution = _solve(design, y, weights, solution.penalties)
        else:
            self.log_spread_ = float(np.log(max(np.sqrt(solution.variance), np.finfo(float).tiny)))
        self._keep(design, solution)
        return self

    def _keep(self, design: "_Design", solution: "_Solution") -> None:
        coefficients = solution.coefficients / design.scale
        parts = np.split(coefficients, np.cumsum(design.sizes)[:-1])
        p = self.n_features_in_
        self.levels_ = [
            Curve(basis, part, float(mean @ part))
            for basis, part, mean in zip(design.levels, parts[:p], design.level_means, strict=True)
        ]
        self.changes_: list[Curve | None] = [None] * p
        self.intercept_, self.intercept_trend_, self.center_ = solution.mean, 0.0, design.center
        if self.has_trend_:
            for (j, basis), part, mean in zip(design.changes, parts[p:-1], design.change_means, strict=True):
                self.changes_[j] = Curve(basis, part, float(mean @ part))
            self.intercept_trend_ = float(parts[-1][0])
        # What is not known of the coefficients widens the spread of what is foretold for now.
        now = design.rows_at(0.0)
        uncertainty = float(np.mean(np.sum((now @ solution.covariance) * now, axis=1)))
        self.spread_ = float(np.sqrt(np.exp(2 * self.log_spread_) + max(uncertainty, 0.0)))

    def contributions(self, X: Any, months: Floats | float = 0.0) -> Floats:  # noqa: N803
        """(n, p) parts of the prediction, one a feature; with `base` they sum to it."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)  # noqa: N806
        since = np.broadcast_to(np.asarray(months, dtype=np.float64), len(X)) - self.center_
        columns = []
        for j, (level, change) in enumerate(zip(self.levels_, self.changes_, strict=True)):
            part = level(X[:, j])
            columns.append(part if change is None else part + since * change(X[:, j]))
        return np.column_stack(columns)

    def base(self, months: Floats | float = 0.0) -> Floats:
        """The part of the prediction that no feature has: intercept and its trend."""
        check_is_fitted(self)
        return np.asarray(self.intercept_ + (np.asarray(months) - self.center_) * self.intercept_trend_)

    def predict(self, X: Any, months: Floats | float = 0.0) -> Floats:  # noqa: N803
        """(n,) expected outcomes at times `months` since the as-of date."""
        return np.asarray(self.contributions(X, months).sum(axis=1) + self.base(months))

    def predict_spread(self, months: Floats | float = 0.0) -> Floats:
        """Standard deviation of outcomes about the prediction at times `months`."""
        check_is_fitted(self)
        return np.asarray(self.spread_ * np.exp(self.spread_trend_ * np.asarray(months, dtype=np.float64)))


@dataclass(frozen=True, slots=True)
class _Design:
    """Centred and scaled columns: levels of all features, then their changes times (t - center), then t itself."""

    matrix: Floats
    scale: Floats
    sizes: list[int]
    levels: list[Basis]
    level_means: list[Floats]
    changes: list[tuple[int, Basis]]
    change_means: list[Floats]
    times: Floats
    center: float

    @classmethod
    def of(cls, X: Floats, times: Floats, model: AdditiveRegressor) -> Self:  # noqa: N803
        levels = [Basis.of(column, model.n_knots) for column in X.T]
        blocks = [basis(column) for basis, column in zip(levels, X.T, strict=True)]
        level_means = [block.mean(axis=0) for block in blocks]
        columns = [block - mean for block, mean in zip(blocks, level_means, strict=True)]
        changes: list[tuple[int, Basis]] = []
        change_means: list[Floats] = []
        center = float(times.mean()) if model.has_trend_ else 0.0
        since = (times - center)[:, None]
        if model.has_trend_:
            for j, column in enumerate(X.T):
                if j in model.still:
                    continue
                changes.append((j, Basis.of(column, model.n_trend_knots)))
                block = changes[-1][1](column)
                change_means.append(block.mean(axis=0))
                columns.append(since * (block - change_means[-1]))
            columns.append(since)
        matrix = np.column_stack(columns)
        scale = np.sqrt(np.mean(matrix**2, axis=0))
        scale[scale < np.finfo(float).tiny ** 0.5] = 1.0
        sizes = [column.shape[1] for column in columns]
        return cls(matrix / scale, scale, sizes, levels, level_means, changes, change_means, times, center)

    def rows_at(self, months: float) -> Floats:
        """The same policies' rows as if they were written at another time."""
        first = sum(self.sizes[: len(self.levels)])
        rows = self.matrix.copy()
        if rows.shape[1] > first:
            since = self.times - self.center
            # Rows at the centre itself carry no trace of their change: they are left out.
            factor = np.divide(months - self.center, since, out=np.zeros_like(since), where=np.abs(since) > 1e-6)
            rows[:, first:] *= factor[:, None]
        return rows


@dataclass(frozen=True, slots=True)
class _Solution:
    mean: float
    coefficients: Floats
    covariance: Floats
    fitted: Floats
    variance: float
    penalties: Floats


def _solve(design: _Design, y: Floats, weights: Floats, start: Floats | None = None) -> _Solution:
    """Ridge with one penalty a group; penalties (from `start` on) and noise variance by marginal likelihood."""
    n, p = design.matrix.shape
    mean = float(np.average(y, weights=weights))
    # Group means are those of the unweighted data: the small difference goes to the intercept.
    weighted = design.matrix * weights[:, None]
    offset = weighted.sum(axis=0) / weights.sum()
    gram = weighted.T @ design.matrix - weights.sum() * np.outer(offset, offset)
    target = weighted.T @ (y - mean)
    total = float(np.sum(weights * (y - mean) ** 2))
    bounds = np.cumsum([0, *design.sizes])
    groups = [slice(a, b) for a, b in itertools.pairwise(bounds)]
    penalties = np.ones(len(groups)) if start is None else start
    smallest = max(total / n, 1.0) * 1e-12
    variance = max(total / n, smallest)
    for _ in range(MAX_ROUNDS):
        ridge = variance * np.repeat(penalties, design.sizes)
        inverse = _inverse(gram + np.diag(ridge))
        coefficients = inverse @ target
        residual = total - 2 * coefficients @ target + coefficients @ gram @ coefficients
        freedom = p - float(np.sum(ridge * np.diag(inverse)))
        updated = np.empty_like(penalties)
        for number, group in enumerate(groups):
            shrunk = penalties[number] * variance * float(np.sum(np.diag(inverse)[group]))
            size = float(np.sum(coefficients[group] ** 2))
            updated[number] = (design.sizes[number] - shrunk) / max(size, 1e-300)
        updated = np.clip(updated, MIN_PENALTY, MAX_PENALTY)
        change = np.max(np.abs(np.log(updated / penalties)))
        penalties = updated
        variance = max(float(residual) / max(n - 1 - freedom, 1.0), smallest)
        if change < TOLERANCE:
            break
    intercept = mean - float(offset @ coefficients)
    fitted = intercept + design.matrix @ coefficients
    return _Solution(intercept, coefficients, variance * inverse, fitted, variance, penalties)


def _inverse(matrix: Floats) -> Floats:
    """Of a symmetric positive definite matrix, by its Cholesky factor; by elimination where rounding hides that."""
    factor, failed = dpotrf(matrix, lower=True)
    if failed:
        return np.asarray(np.linalg.inv(matrix))
    lower, _ = dpotri(factor, lower=True)
    lower = np.tril(lower)
    return np.asarray(lower + lower.T - np.diag(np.diag(lower)))


def _spread_over_time(residuals: Floats, times: Floats) -> tuple[float, float]:
    """Log standard deviation now and its change a month, from the months' residuals."""
    month = np.floor(times)
    _distinct, where, counts = np.unique(month, return_inverse=True, return_counts=True)
    squares = np.bincount(where, weights=residuals**2) / counts
    logs = 0.5 * np.log(np.maximum(squares, np.finfo(float).tiny))
    centers = np.bincount(where, weights=times) / counts
    slope, level = np.polyfit(centers, logs, 1, w=np.sqrt(counts))
    slope = float(np.clip(slope, *SPREAD_TREND_BOUNDS))
    level = float(np.average(logs - slope * centers, weights=counts))
    return level, slope
