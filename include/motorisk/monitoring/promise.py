"""Does a version keep its promise? A sequential test that may be looked at every night.

A rating plan states how far outcomes lie from what it expects. A policy's *surprise* is the share of outcomes that, by
that statement, would have lain nearer to the expectation than the one that came: between 0 and 1, and 0.5 on average
where the statement is honest, whatever the expectation. A bet against the version wins where outcomes surprise more
than promised and loses otherwise. Under an honest version its capital is a non-negative supermartingale that starts at
one, so the chance that it ever reaches 1/alpha is at most alpha (Ville's inequality), however often one looks. The
capital is the evidence: an e-value (Shafer 2021, doi:10.1111/rssa.12647; betting on means: Waudby-Smith and Ramdas
2024, doi:10.1093/jrsssb/qkad009).

Capital is spread over bets of different boldness, and over the months in which betting may start (as in the e-detectors
of Shin, Ramdas and Rinaldo 2024): so a version that was right for two years is not given two years' credit when the
world turns. A mixture of such capitals is such a capital again.

Why surprises and not hits: `bench/alarms.py` compares them. A term that loses its meaning widens the errors of the risk
index long before it changes which class is the most likely.
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

MARGIN = 0.025
"""Mean surprise above the promised one that is always tolerated: errors that are typically 8 % wider than stated.

A model is estimated, so that what it states is never quite true even in a world that stands still: with 1,500 policies
to learn from, the mean surprise is off by 0.006 (standard deviation over a thousand fitted models, `bench/alarms.py`).
"""

ESTIMATION_ERROR = 0.318 / np.sqrt(2)
"""Standard deviation of the mean surprise, times the square root of the policies learned from.

The logarithm of a spread is estimated with the standard deviation 1/√(2n); the mean surprise of normal errors,
(2/π) arctan(width), changes by 1/π times its change.
"""
ESTIMATION_ERRORS_TOLERATED = 4.0

BOLDNESS = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
"""Shares of the capital that bets put at risk with each policy: bold ones see upheavals soon, timid ones see shifts."""

HONEST = 0.5
MAX_LOG = 700.0
"""Evidence beyond e to this power would overflow; it convinces as it is."""


def surprises(errors: Floats) -> Floats:
    """(n,) shares of a normal distribution that lie nearer to its centre than (n,) errors, in stated spreads, do."""
    return np.asarray(2 * ndtr(np.abs(errors)) - 1)


def promised_surprise(learned: Floats) -> float:
    """The mean surprise that a version promises, from its (n,) errors on the policies that it learned from.

    Outcomes need not be normal about their expectation. Errors that are as wide as stated can surprise more than normal
    ones on average, by their shape alone; the gates have judged that when the version was trained, and it is no news.
    """
    width = float(np.sqrt(np.mean(learned**2))) if len(learned) else 0.0
    return max(HONEST, float(surprises(learned / width).mean())) if width else HONEST


def tolerated_margin(learned: int) -> float:
    """Mean surprise above the promised one that says nothing against a version that learned from so many policies."""
    return max(MARGIN, ESTIMATION_ERRORS_TOLERATED * float(ESTIMATION_ERROR) / np.sqrt(learned)) if learned else MARGIN


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
        return float(np.exp(min(self.logs[-1], MAX_LOG))) if len(self.logs) else 1.0

    def since(self, alpha: float = ALPHA) -> date | None:
        """The first day on which the evidence had reached 1/alpha; None where it never did."""
        convincing = np.flatnonzero(self.logs >= -np.log(alpha))
        return self.days[convincing[0]].astype("datetime64[D]").astype(object) if len(convincing) else None


def gather_evidence(found: Floats, known_on: Dates, promised: float = HONEST, margin: float = MARGIN) -> Evidence:
    """Bet against (n,) surprises in the order of the days on which the outcomes became known, (n,).

    The order within a day does not matter. So the evidence of a day depends on nothing later, and computing it again
    from what is stored gives the same.
    """
    return accumulate(found / (promised + margin) - 1, known_on)


def accumulate(payoffs: Floats, known_on: Dates) -> Evidence:
    """The capital from (n,) payoffs of at least -1, whose mean is at most zero under the hypothesis bet against."""
    days, where = np.unique(known_on.astype("datetime64[D]"), return_inverse=True)
    if not len(days):
        return Evidence(days, np.zeros(0))
    gains = [np.bincount(where, np.log1p(share * payoffs), minlength=len(days)) for share in BOLDNESS]
    after = np.cumsum(gains, axis=1)
    before = after - gains
    months = days.astype("datetime64[M]")
    starts = np.concatenate([[True], months[1:] != months[:-1]])
    # The k-th start gets 1 / (k (k + 1)) of the capital; what starts later has not been risked yet.
    started = np.cumsum(starts)
    stakes = np.where(starts, -np.log(started * (started + 1.0)), -np.inf)
    risked = np.logaddexp.accumulate(stakes - before, axis=1) + after
    capital = np.logaddexp.reduce(risked, axis=0) - np.log(len(BOLDNESS))
    return Evidence(days, np.logaddexp(capital, -np.log(started + 1.0)))
