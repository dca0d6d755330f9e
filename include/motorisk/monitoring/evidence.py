"""Evidence of drift that adds up over windows.

One window of 1,500 policies cannot show a slow drift, and the mean of many is no cure: they are all compared with the
same reference, whose own noise does not average out. So the reference's error is part of the model. Each window is told
in a few *contrasts* with the reference, standardised rank scores of its values: normal scores (all values move),
exponential scores of the low and of the high end (one end moves more), squared normal scores (values move apart), and
for flags the share. Where nothing changes the contrasts of T windows of n_t rows against a reference of m rows are

    y_t = r + e_t,   r ~ N(0, 1/m) the same for all windows,   e_t ~ N(0, 1/n_t),

so that earlier windows make the reference known better. Against it stand a ramp from window tau on, and a step. The
likelihood ratio of the two, averaged over the size of the change (normal about zero), over tau, shapes and contrasts,
is the capital of somebody who bets on drift: it starts at one, and where nothing changes it ever reaches k with a
chance of at most 1/k (Ville's inequality), however often one looks. The average over tau follows `promise.py`: the
k-th start gets 1 / (k (k + 1)) of the capital.

Ranks: Hájek, Šidák and Sen, Theory of Rank Tests, 1999. Bounded ranks also keep one absurd value from mattering.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from motorisk.monitoring.columns import Column, Floats

VILLE_TIGHTNESS = 0.5
"""Of Ville's bound so much is reached within 180 windows; `bench/drift.py` measures it, and a test keeps it. A bet
spread over many alternatives never reaches all of it."""

RAMPS = (0.01, 0.04)
"""Standard deviations, a window, of the changes that are bet on: 0.02 a window is 0.5 in two years of months."""
STEPS = (0.1,)
"""Standard deviations of a change that comes at once."""


def _rank_scores(ranks: Floats) -> Floats:
    """Raw rank scores (4, n) of ranks strictly between 0 and 1, (n,)."""
    normal: Floats = ndtri(ranks)
    return np.stack([normal, 1 + np.log(ranks), -1 - np.log1p(-ranks), normal**2 - 1])


def number_contrasts(reference: Column, current: Column) -> Floats:
    """(4,) mean rank scores of a column among the reference's values: of level, low end, high end and spread.

    Their variance is one a row where nothing has changed.
    """
    size = reference.weights.sum()
    below = np.concatenate([[0.0], np.cumsum(reference.weights)])

    def ranks(values: Floats) -> Floats:
        left, right = (np.searchsorted(reference.values, values, side) for side in ("left", "right"))
        return np.asarray(np.clip((below[left] + below[right]) / 2, 0.5, size - 0.5) / size)

    own = _rank_scores(ranks(reference.values))
    mean = np.average(own, axis=1, weights=reference.weights)
    variance = np.average((own - mean[:, None]) ** 2, axis=1, weights=reference.weights)
    found = np.average(_rank_scores(ranks(current.values)), axis=1, weights=current.weights)
    return np.asarray((found - mean) / np.sqrt(np.maximum(variance, 1e-12)))


def flag_contrasts(reference: Column, current: Column) -> Floats:
    """(1,) difference of the shares, in standard deviations of a row."""
    size = reference.weights.sum()
    share = (reference.mean * size + 0.5) / (size + 1)
    return np.array([(current.mean - reference.mean) / np.sqrt(share * (1 - share))])


@dataclass(frozen=True, slots=True)
class Sums:
    """Running sums over windows, from which every alternative's likelihood ratio follows without another look.

    `rows`, `rows_time`, `rows_time2`: (T + 1,); `contrasts`, `contrasts_time`: (K, T + 1), weighted by rows.
    """

    rows: Floats
    rows_time: Floats
    rows_time2: Floats
    contrasts: Floats
    contrasts_time: Floats

    @classmethod
    def of(cls, contrasts: Floats, rows: Floats) -> "Sums":
        """From contrasts (K, T) of windows of so many rows (T,)."""
        time = np.arange(1.0, len(rows) + 1)

        def running(values: Floats) -> Floats:
            start = np.zeros((*values.shape[:-1], 1))
            return np.concatenate([start, np.cumsum(values, axis=-1)], axis=-1)

        return cls(*map(running, (rows, rows * time, rows * time**2, rows * contrasts, rows * time * contrasts)))

    def shape(self, last: int, ramp: bool) -> tuple[Floats, Floats]:
        """For changes from each window up to `last` on: information (K, last) about the size, and its score.

        `a` is d' S⁻¹ y and `b` is d' S⁻¹ d, with S the covariance of the windows and d the shape of the change.
        """
        start = np.arange(last)
        rows = self.rows[last] - self.rows[start]
        time = self.rows_time[last] - self.rows_time[start]
        found = self.contrasts[:, last, None] - self.contrasts[:, start]
        if ramp:
            found_time = self.contrasts_time[:, last, None] - self.contrasts_time[:, start]
            squares = self.rows_time2[last] - self.rows_time2[start] - 2 * start * time + start**2 * rows
            weight, found = time - start * rows, found_time - start * found
        else:
            weight = squares = rows
        return weight, np.concatenate([found, np.broadcast_to(squares, (1, last))])


def log_evidence(contrasts: Floats, rows: Floats, reference_rows: float) -> Floats:
    """Logarithm (T,) of the evidence against "nothing has changed", after each of T windows.

    `contrasts` (K, T) of windows of `rows` (T,) rows; what a window has evidence for never depends on later ones.
    """
    sums = Sums.of(contrasts, rows.astype(np.float64))
    return np.array([_evidence_after(sums, last, reference_rows) for last in range(1, len(rows) + 1)])


def newest_log_evidence(contrasts: Floats, rows: Floats, reference_rows: float) -> float:
    """The last of `log_evidence`, for somebody who knows the others."""
    return _evidence_after(Sums.of(contrasts, rows.astype(np.float64)), len(rows), reference_rows)


def likelihoods(sums: Sums, last: int, reference_rows: float, ramp: bool) -> tuple[Floats, Floats]:
    """For changes from each window on: score (K, last) and information (last,) about their size."""
    weight, parts = sums.shape(last, ramp)
    total = reference_rows + sums.rows[last]
    score = parts[:-1] - weight * (sums.contrasts[:, last, None] / total)
    return score, np.asarray(parts[-1] - weight**2 / total)


def _evidence_after(sums: Sums, last: int, reference_rows: float) -> float:
    start = np.arange(1.0, last + 1)
    stakes = -np.log(start * (start + 1))
    logs = []
    for ramp, sizes in ((True, RAMPS), (False, STEPS)):
        score, information = likelihoods(sums, last, reference_rows, ramp)
        for size in sizes:
            known = 1 + size**2 * information
            logs.append(stakes + (size**2 * score**2 / known - np.log(known)) / 2)
    risked = np.logaddexp.reduce(logs, axis=None) - np.log(len(logs) * len(sums.contrasts))
    return float(np.logaddexp(risked, -np.log(last + 1.0)))


def convincing(chance: float) -> float:
    """Logarithm of the evidence that is reached with no more than this chance where nothing changes."""
    return float(np.log(VILLE_TIGHTNESS / chance)) if chance < VILLE_TIGHTNESS else 0.0
