"""How far a column is from the reference's: the scores of Evidently 0.7, on exact and on reduced columns.

Evidently computes each of them three times a column and wants every row as a row; on the same rows these agree with it
within 1e-6, which a test checks against Evidently itself.
"""

import numpy as np
from scipy.special import rel_entr

from motorisk.monitoring.columns import Column, Floats
from motorisk.monitoring.measures import MEASURES

# Evidently's names. Given explicitly, because its choice for fewer than 1,000 rows is tests whose scores mean the
# opposite (p-values).
NUMBER_METHOD, FLAG_METHOD = "wasserstein", "jensenshannon"

SMALLEST_NORM = 0.001
"""Evidently's; a constant reference has no spread to norm by."""


def method_of(feature: str) -> str:
    """The score that a feature is measured by."""
    return FLAG_METHOD if MEASURES[feature].is_flag else NUMBER_METHOD


def wasserstein(reference: Column, current: Column) -> float:
    """First Wasserstein distance of two columns, in standard deviations of the reference."""
    places = np.concatenate([reference.values, current.values])
    masses = np.concatenate([reference.weights / reference.weights.sum(), -current.weights / current.weights.sum()])
    order = np.argsort(places, kind="stable")
    between = np.cumsum(masses[order])[:-1]  # the difference of the distribution functions
    distance = float(np.abs(between) @ np.diff(places[order]))
    return distance / max(reference.spread, SMALLEST_NORM)


def jensen_shannon(reference: Column, current: Column) -> float:
    """Jensen-Shannon distance (natural logarithms) of the shares of each value."""
    values = np.union1d(reference.values, current.values)
    return float(jensen_shannon_of_shares(_shares(reference, values), _shares(current, values)))


def jensen_shannon_of_shares(first: Floats, second: Floats) -> Floats:
    """Jensen-Shannon distances of shares (…, k), each summing to one."""
    middle = (first + second) / 2
    divergence = (rel_entr(first, middle) + rel_entr(second, middle)).sum(axis=-1) / 2
    return np.asarray(np.sqrt(np.maximum(divergence, 0.0)))


def _shares(column: Column, values: Floats) -> Floats:
    where = np.searchsorted(values, column.values)
    return np.asarray(np.bincount(where, column.weights, minlength=len(values)) / column.weights.sum())


def score(feature: str, reference: Column, current: Column) -> float:
    """The feature's score."""
    return jensen_shannon(reference, current) if MEASURES[feature].is_flag else wasserstein(reference, current)
