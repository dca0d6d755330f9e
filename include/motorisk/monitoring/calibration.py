"""Thresholds that know the sample size: what a score reaches by chance, from the champion's reference itself.

A reference is only a sample, and so is a window. The two-sample bootstrap draws both from the reference, again and
again, and looks how far they are apart: a threshold is what that distance exceeds with a given chance. The chances that
a false-alarm budget asks for (one in thousands) lie beyond what can be drawn in a second. Squared distances have
exponential tails (a distance is a norm of a nearly normal difference), so the tail is carried on from its outermost
twentieth.
"""

from dataclasses import dataclass

import numpy as np

from motorisk.domain.policy import FEATURES
from motorisk.monitoring.columns import Column, Floats
from motorisk.monitoring.measures import MEASURES
from motorisk.monitoring.scores import SMALLEST_NORM, jensen_shannon_of_shares

DRAWS = 4000
TAIL = 0.05
CELLS = 200
"""The bootstrap draws from means of so many equal shares of the reference: enough for a distance, and hundreds of times
faster than from its rows."""

SIZES_AN_OCTAVE = 8
"""Thresholds are computed for sizes 9 % apart; a window takes that of the next smaller one, which is a little higher
(less than 5 %, as only the window's part of the noise changes)."""

THRESHOLD_SHARE = 0.2
"""Share of the false-alarm budget that single windows may spend; the rest belongs to the evidence over many of them,
which finds slow drift. Abrupt change exceeds a threshold for one in 7,000 as well as for one in 1,500."""

RELEVANT = 0.02
"""Scores below this are no drift, however sure they are: a fiftieth of a standard deviation, or of flags three
percentage points, is known for certain where a month has a million policies, and means nothing for a model. Months of
1,500 differ by more for no reason at all, so that it matters to none of them."""

REFERENCE_WINDOWS = 36
"""Windows that a reference serves for, as the budget counts: three years of months."""


@dataclass(frozen=True, slots=True)
class Budget:
    """At most one false alarm in so many windows of a world that stands still, over all its features.

    240 windows are twenty years of months.
    """

    windows: int = 240

    @property
    def threshold_chance(self) -> float:
        """Chance of one feature's score to reach its threshold in one window."""
        return THRESHOLD_SHARE / (self.windows * len(FEATURES))

    @property
    def evidence_chance(self) -> float:
        """Chance of one feature's evidence to become convincing while a reference serves."""
        return (1 - THRESHOLD_SHARE) * min(1.0, REFERENCE_WINDOWS / self.windows) / len(FEATURES)


def calibrated_size(rows: int) -> int:
    """The size whose threshold a window of so many rows takes: the next smaller of a geometric series."""
    step = int(np.floor(np.log2(max(rows, 1)) * SIZES_AN_OCTAVE + 1e-9))
    return max(1, int(np.floor(2 ** (step / SIZES_AN_OCTAVE) + 1e-9)))


def tail_quantile(draws: Floats, chance: float) -> float:
    """What non-negative scores (n,) exceed with a chance; beyond their outermost twentieth by an exponential tail."""
    squares = np.sort(draws) ** 2
    if chance >= TAIL:
        return float(np.sqrt(np.quantile(squares, 1 - chance)))
    start = float(np.quantile(squares, 1 - TAIL))
    excess = float((squares[squares > start] - start).mean()) if (squares > start).any() else 0.0
    return float(np.sqrt(start + excess * np.log(TAIL / chance)))


def null_scores(feature: str, reference: Column, rows: int, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Scores (draws,) of windows of so many rows, drawn like their references from the reference."""
    random = np.random.default_rng([seed, rows])
    size = reference.rows
    if MEASURES[feature].is_flag:
        share = min(max(reference.mean, 0.5 / (size + 1)), 1 - 0.5 / (size + 1))
        old, new = random.binomial(size, share, draws) / size, random.binomial(rows, share, draws) / rows
        return jensen_shannon_of_shares(np.stack([old, 1 - old], axis=-1), np.stack([new, 1 - new], axis=-1))
    values = reference.points(min(CELLS, size))
    equal = np.full(len(values), 1 / len(values))
    old, new = random.multinomial(size, equal, draws) / size, random.multinomial(rows, equal, draws) / rows
    distances = np.abs(np.cumsum(old - new, axis=1)[:, :-1]) @ np.diff(values)
    return np.asarray(distances / max(reference.spread, SMALLEST_NORM))


def calibrate(feature: str, reference: Column, rows: int, chance: float, seed: int = 0) -> float:
    """The score that a window of so many rows reaches with that chance where nothing has changed."""
    return tail_quantile(null_scores(feature, reference, rows, seed=seed), chance)
