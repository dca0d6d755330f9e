"""Since when a feature drifts, how fast, and when it will pass its bound.

*Since when*: the window from which on a change explains the history best, among ramps and steps, in the contrast that
shows it most; the interval holds every window whose profile likelihood is not significantly worse (95 %, half of the
chi-squared quantile with one degree of freedom). The reference's own noise is part of the likelihood, as in
`evidence.py`. A gradual drift has no day on which it began: its interval says so.

*How fast*: a straight line through the means of the windows from then on, weighted by their rows. *When*: where that
line, and its 95 % confidence band, leave the values whose score would reach the threshold. A mean that has moved that
far makes a score at least as large; so the feature passes its bound then at the latest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from motorisk.domain.calendar import DAYS_A_MONTH
from motorisk.domain.policy import FEATURES
from motorisk.monitoring.columns import Floats
from motorisk.monitoring.evidence import Sums, likelihoods
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.scores import SMALLEST_NORM, jensen_shannon_of_shares
from motorisk.monitoring.windows import Window

CONFIDENCE = 0.95
FEWEST_FOR_A_LINE = 4
HORIZON_MONTHS = 60
"""Nobody foretells longer."""
STEP_DAYS = 7.0
"""Forecasts are made to the week."""


@dataclass(frozen=True, slots=True)
class Onset:
    """First days of the window that a drift began in, and of the earliest and latest that it may have begun in."""

    since: date
    earliest: date
    latest: date


@dataclass(frozen=True, slots=True)
class Trend:
    """Movement of a feature's mean, in its unit a month, with a standard error; and when it passes its bound.

    `bound` is the mean from which on a window shows the drift by itself; None where it has been passed, or the mean is
    on its way back. `passes` is None where there is no bound or more than five years are needed; `latest` is None where
    the data do not say that it ever passes.
    """

    per_month: float
    error: float
    passes: date | None = None
    earliest: date | None = None
    latest: date | None = None
    bound: float | None = None


def find_onset(reference: Reference, windows: Sequence[Window], feature: str) -> Onset:
    """Where the change of a feature most likely began, given that it changed."""
    figures = [window.features[feature] for window in windows]
    contrasts = np.array([one.contrasts for one in figures]).T
    rows = np.array([one.rows for one in figures], dtype=np.float64)
    sums = Sums.of(contrasts, rows)
    profiles = []
    for ramp in (True, False):
        score, information = likelihoods(sums, len(rows), reference.columns[feature].rows, ramp)
        profiles.append(score**2 / np.maximum(information, 1e-12) / 2)
    profile = np.max(profiles, axis=0)  # (K, T): the better shape
    best = profile[np.unravel_index(np.argmax(profile), profile.shape)[0]]
    likely = np.flatnonzero(best >= best.max() - chi2.ppf(CONFIDENCE, 1) / 2)
    return Onset(windows[int(np.argmax(best))].first, windows[likely[0]].first, windows[likely[-1]].first)


def bounds_of_mean(reference: Reference, feature: str, threshold: float) -> tuple[float, float]:
    """Between which values the mean may lie without its shift alone making the score reach a threshold."""
    column = reference.columns[feature]
    if not FEATURES[feature].is_flag:
        shift = threshold * max(column.spread, SMALLEST_NORM)
        return column.mean - shift, column.mean + shift
    share = column.mean

    def beyond(other: float) -> float:
        shares = (np.array([one, 1 - one]) for one in (share, other))
        return float(jensen_shannon_of_shares(*shares)) - threshold

    low = brentq(beyond, 0.0, share) if share > 0 and beyond(0.0) > 0 else -np.inf
    high = brentq(beyond, share, 1.0) if share < 1 and beyond(1.0) > 0 else np.inf
    return float(low), float(high)


def find_trend(reference: Reference, windows: Sequence[Window], feature: str, since: date) -> Trend | None:
    """How a feature has moved since, and when it passes its bound; None where there are too few windows to say."""
    windows = [window for window in windows if window.first >= since]
    days = np.array([_middle(window) for window in windows])
    if len(set(days)) < FEWEST_FOR_A_LINE:
        return None
    means = np.array([window.features[feature].mean for window in windows])
    weights = np.array([window.features[feature].rows for window in windows], dtype=np.float64)
    line = _Line.through(days / DAYS_A_MONTH, means, weights, reference.columns[feature].spread)
    trend = Trend(line.slope, line.slope_error)
    newest = windows[-1].features[feature]
    low, high = bounds_of_mean(reference, feature, newest.threshold)
    if newest.score >= newest.threshold or not low < newest.mean < high or not line.slope:
        return trend
    away = float(line.at(days[-1:] / DAYS_A_MONTH)[0][0]) - reference.columns[feature].mean
    if line.slope * away < 0:
        return trend
    ahead = np.arange(days[-1], days[-1] + HORIZON_MONTHS * DAYS_A_MONTH, STEP_DAYS)
    middle, half = line.at(ahead / DAYS_A_MONTH)
    sign, bound = (1.0, high) if line.slope > 0 else (-1.0, -low)

    def first(values: Floats) -> date | None:
        past = np.flatnonzero(sign * values >= bound)
        return date.fromordinal(int(ahead[past[0]])) if len(past) else None

    passes = first(middle)
    if passes is None:
        return Trend(line.slope, line.slope_error, bound=sign * bound)
    ends = (first(middle + sign * half), first(middle - sign * half))
    return Trend(line.slope, line.slope_error, passes, *ends, bound=sign * bound)


def _middle(window: Window) -> float:
    return window.first.toordinal() + (window.last - window.first) / timedelta(days=1) / 2


@dataclass(frozen=True, slots=True)
class _Line:
    """A weighted straight line with the covariance of its value at the centre and its slope."""

    centre: float
    level: float
    slope: float
    level_error: float
    slope_error: float

    @classmethod
    def through(cls, x: Floats, y: Floats, weights: Floats, spread: float) -> "_Line":
        """Through means (n,) of so many rows, whose values spread as in the reference, or more if the means say so."""
        centre, level = (float(np.average(values, weights=weights)) for values in (x, y))
        across = float((weights * (x - centre) ** 2).sum())
        slope = float((weights * (x - centre) * (y - level)).sum()) / across
        residuals = y - level - slope * (x - centre)
        variance = max(spread**2, float((weights * residuals**2).sum()) / (len(x) - 2))
        errors = (np.sqrt(variance / weights.sum()), np.sqrt(variance / across))
        return cls(centre, level, slope, *map(float, errors))

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """The line (n,) and half the width of its confidence band (n,)."""
        away = x - self.centre
        half = norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(self.level_error**2 + (self.slope_error * away) ** 2)
        return self.level + self.slope * away, half
