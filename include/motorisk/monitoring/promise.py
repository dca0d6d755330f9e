"""Does a version keep its promise? A sequential test that may be looked at every night.

A rating plan states how outcomes lie about what it expects. So each error, in stated spreads, has three scores between
0 and 1 that are 0.5 on average where the statement is honest: its *surprise* (the share of outcomes that would have
lain nearer to the expectation), its *height* (the share that would have been lower) and its *depth* (the share that
would have been higher). A bet against the version wins where a score is larger than promised and loses otherwise:
surprises find errors that are wider than stated, heights and depths find what is wrong on average. Under an honest
version the capital of somebody who bets is a non-negative supermartingale that starts at one, so the chance that it
ever reaches 1/alpha is at most alpha (Ville's inequality), however often one looks. The capital is the evidence: an
e-value (Shafer 2021, doi:10.1111/rssa.12647; betting on means: Waudby-Smith and Ramdas 2024,
doi:10.1093/jrsssb/qkad009).

Capital is spread over the scores, over bets of different boldness, and over the months in which betting may start (as
in the e-detectors of Shin, Ramdas and Rinaldo 2024): so a version that was right for two years is not given two years'
credit when the world turns. A mixture of such capitals is such a capital again.

Why scores and not hits: `bench/alarms.py` compares them. A term that loses its meaning shifts and widens the errors of
the risk index long before it changes which class is the most likely.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats = npt.NDArray[np.float64]
Dates = npt.NDArray[np.datetime64]

ALPHA = 0.001
"""Chance of ever raising a false alarm about a version. Small, because a platform serves a new version every month."""

MARGIN = 0.03
"""Mean score above the promised one that is always tolerated: errors that are typically 10 % wider than stated, or a
tenth of the stated spread too high or too low on average.

A model is estimated, so that what it states is never quite true even in a world that stands still: `bench/alarms.py`
measures what 1,500 policies to learn from leave uncertain (mean surprise ± 0.006, mean height ± 0.008).
"""

ESTIMATION_ERROR = float(0.5 / np.sqrt(np.pi))
"""Standard deviation of a mean score, times the square root of the policies learned from.

Of n errors the mean is known to 1/√n, and by its unit the mean height of normal errors changes by 1/(2√π). That is more
than for surprises: the logarithm of the spread is known to 1/√(2n), and the mean surprise changes by 1/π.
"""
ESTIMATION_ERRORS_TOLERATED = 4.0

BOLDNESS = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
"""Shares of the capital that bets put at risk with each policy: bold ones see upheavals soon, timid ones see shifts."""

HONEST = 0.5
MAX_LOG = 700.0
"""Evidence beyond e to this power would overflow; it convinces as it is."""


def scores(errors: Floats) -> Floats:
    """(3, n) surprises, heights and depths of (n,) errors in stated spreads."""
    heights = np.asarray(ndtr(errors))
    return np.stack([2 * ndtr(np.abs(errors)) - 1, heights, 1 - heights])


def promised_scores(learned: Floats) -> Floats:
    """(3,) mean scores that a version promises, from its (n,) errors on the policies that it learned from.

    Outcomes need not be normal about their expectation. Errors that are centred and as wide as stated can score more
    than normal ones on average, by their shape alone; the gates have judged that when the version was trained, and it
    is no news.
    """
    width = float(learned.std()) if len(learned) else 0.0
    if not width:
        return np.full(3, HONEST)
    return np.asarray(np.maximum(HONEST, scores((learned - learned.mean()) / width).mean(axis=1)))


def tolerated_margin(learned: int) -> float:
    """Mean score above the promised one that says nothing against a version that learned from so many policies."""
    return max(MARGIN, ESTIMATION_ERRORS_TOLERATED * ESTIMATION_ERROR / float(np.sqrt(learned))) if learned else MARGIN


def e_value(log: float) -> float:
    """Evidence, given by its natural logarithm, as a number that JSON can hold."""
    return float(np.exp(min(log, MAX_LOG)))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the outcomes that became known say against a version, at the end of each of the days, oldest first.

    `logs` are natural logarithms of the capital of somebody who has bet against the version with a capital of one.
    """

    days: Dates
    logs: Floats

    @property
    def e_value(self) -> float:
        """The evidence on the last day; one where nothing is known."""
        return e_value(self.logs[-1]) if len(self.logs) else 1.0

    def since(self, alpha: float = ALPHA) -> date | None:
        """The first day on which the evidence had reached 1/alpha; None where it never did."""
        convincing = np.flatnonzero(self.logs >= -np.log(alpha))
        return self.days[convincing[0]].astype("datetime64[D]").astype(object) if len(convincing) else None


def gather_evidence(
    errors: Floats, known_on: Dates, promised: Floats | float = HONEST, margin: float = MARGIN
) -> Evidence:
    """Bet against (n,) errors in the order of the days on which the outcomes became known, (n,).

    The order within a day does not matter. So the evidence of a day depends on nothing later, and computing it again
    from what is stored gives the same.
    """
    wanted = np.broadcast_to(promised, 3)[:, None] + margin
    return accumulate(scores(errors) / wanted - 1, known_on)


def accumulate(payoffs: Floats, known_on: Dates) -> Evidence:
    """The capital from (k, n) payoffs of at least -1, whose means are at most zero under the hypothesis bet against."""
    days, where = np.unique(known_on.astype("datetime64[D]"), return_inverse=True)
    if not len(days):
        return Evidence(days, np.zeros(0))
    gains = np.array(
        [np.bincount(where, np.log1p(share * row), minlength=len(days)) for row in payoffs for share in BOLDNESS]
    )
    after = np.cumsum(gains, axis=1)
    before = after - gains
    months = days.astype("datetime64[M]")
    starts = np.concatenate([[True], months[1:] != months[:-1]])
    # The k-th start gets 1 / (k (k + 1)) of the capital; what starts later has not been risked yet.
    started = np.cumsum(starts)
    stakes = np.where(starts, -np.log(started * (started + 1.0)), -np.inf)
    risked = np.logaddexp.accumulate(stakes - before, axis=1) + after
    capital = np.logaddexp.reduce(risked, axis=0) - np.log(len(gains))
    return Evidence(days, np.logaddexp(capital, -np.log(started + 1.0)))
