"""Backtest: what each candidate would have foretold in the past, knowing only what was known then.

For each of the newest matured months the candidates are trained on the months that lie at least as far back as
today's newest outcomes lie behind the month to be priced. Where the history is too short for that, every shorter
distance stands in for it, so that a trend can be believed as soon as it helps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from motorisk.domain.calendar import months_between
from motorisk.domain.risk import CLASS_BOUNDS, PROBABILITY_UNITS
from motorisk.modelling.candidates import Candidate
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.evaluation import SMALLEST_PROBABILITY
from motorisk.modelling.snapshot import MIN_ROWS, Snapshot
from motorisk.scoring.pricing import Floats, Integers, most_likely, risk_classes

MIN_TRAINING_MONTHS = 3
"""Fewer months show no trend, and a comparison of models with and without one would be empty."""


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """How one candidate did on n policies, means over the origins from which each was foretold.

    `rows` are their positions in the snapshot, the same for all candidates; `losses`, `hits` and `expected_risk` are
    (n,), `shares` (n, 3) stated class probabilities. `without_trend` holds, by feature, the losses if that feature's
    term alone had not changed over time.
    """

    candidate: str
    rows: npt.NDArray[np.int64]
    losses: Floats
    hits: Floats
    expected_risk: Floats
    shares: Floats
    without_trend: dict[str, Floats]

    @property
    def log_loss(self) -> float:
        """Mean log loss."""
        return float(self.losses.mean())

    @property
    def accuracy(self) -> float:
        """Mean accuracy."""
        return float(self.hits.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean log loss."""
        return standard_error(self.losses)


def standard_error(values: Floats) -> float:
    """Standard error of the mean of (n,) values."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def distance(snapshot: Snapshot) -> int:
    """Months between the newest matured policies and those to be priced next."""
    newest = snapshot.effective_dates.max().astype(object)
    return max(round(months_between(newest, snapshot.as_of)), 0) + 1


def origins(months: Sequence[int], span: int, evaluated: int) -> Iterator[tuple[int, list[int]]]:
    """Each origin (last month trained on) with the months that it is evaluated on.

    `months` are the snapshot's distinct months in order, `span` the distance to bridge, `evaluated` how many of
    the newest months count.
    """
    plan: dict[int, list[int]] = {}
    first = MIN_TRAINING_MONTHS - 1
    newest = list(range(first + 1, len(months)))[-evaluated:]
    for index in newest:
        wanted = [origin for origin in range(first, index) if months[index] - months[origin] >= span]
        for origin in [wanted[-1]] if wanted else range(first, index):
            plan.setdefault(origin, []).append(index)
    for origin in sorted(plan):
        yield origin, plan[origin]


def is_bridged(snapshot: Snapshot, configuration: TrainingConfiguration) -> bool:
    """Whether the history is long enough for every origin to lie as far back as it should: nothing stands in."""
    months = np.unique(snapshot.month_numbers()).tolist()
    span = distance(snapshot)
    found = list(origins(months, span, configuration.backtest_months))
    return bool(found) and all(months[index] - months[origin] >= span for origin, tested in found for index in tested)


def backtest(
    snapshot: Snapshot,
    candidate: Candidate,
    configuration: TrainingConfiguration,
    tell: Callable[[], None] = lambda: None,
) -> BacktestResult | None:
    """What a candidate would have foretold; None where fewer than four months have matured.

    `tell` is called after each fit.
    """
    numbers = snapshot.month_numbers()
    months = np.unique(numbers)
    told: dict[int, list[_Told]] = {}
    for origin, evaluated in origins(months.tolist(), distance(snapshot), configuration.backtest_months):
        known = numbers <= months[origin]
        if known.sum() < MIN_ROWS:
            continue
        # What was known on the day before the first of these months began, if outcomes took as long as they do.
        day = np.datetime64(int(months[evaluated[0]]), "M").astype("datetime64[D]").astype(object) - timedelta(days=1)
        forecaster = candidate.fit(snapshot.where(known, as_of=day), configuration)
        for index in evaluated:
            part = snapshot.where(numbers == months[index])
            observed = risk_classes(part.risk, CLASS_BOUNDS)
            forecast = forecaster.foretell(part.features, part.effective_dates)
            still = forecaster.without_trends(part.features, part.effective_dates)
            told.setdefault(index, []).append(
                _Told(
                    losses(forecast.probabilities, observed),
                    (most_likely(forecast.probabilities) == observed).astype(np.float64),
                    forecast.expected_risk,
                    forecast.probabilities / PROBABILITY_UNITS,
                    {name: losses(probabilities, observed) for name, probabilities in still.items()},
                )
            )
        tell()
    if not told:
        return None
    rows = np.concatenate([np.flatnonzero(numbers == months[index]) for index in sorted(told)])
    # Early origins see too few months for a trend, or too little of a term to change it.
    names = set.intersection(*(set(one.without_trend) for origins_ in told.values() for one in origins_))
    return BacktestResult(
        candidate.name,
        rows,
        _pool(told, attrgetter("losses")),
        _pool(told, attrgetter("hits")),
        _pool(told, attrgetter("expected_risk")),
        _pool(told, attrgetter("shares")),
        {name: _pool(told, lambda one: one.without_trend[name]) for name in sorted(names)},  # noqa: B023
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What was foretold of one month's policies from one origin."""

    losses: Floats
    hits: Floats
    expected_risk: Floats
    shares: Floats
    without_trend: dict[str, Floats]


def losses(probabilities: Integers, observed: npt.NDArray[np.int8]) -> Floats:
    """Log loss of each of n policies: (n, 3) probabilities in units against (n,) observed classes."""
    chosen = probabilities[np.arange(len(observed)), observed] / PROBABILITY_UNITS
    return np.asarray(-np.log(np.maximum(chosen, SMALLEST_PROBABILITY)))


def _pool(told: dict[int, list[_Told]], part: Callable[[_Told], Floats]) -> Floats:
    """Mean over the origins for each policy, policies of all months in one array."""
    return np.concatenate([np.mean([part(one) for one in found], axis=0) for _, found in sorted(told.items())])


def choose(results: Sequence[BacktestResult], additive: Sequence[str]) -> str:
    """The additive candidate with the least log loss; the simplest that is within a standard error of it.

    `additive` are names from the simplest; without a backtest the simplest is chosen.
    """
    found = {result.candidate: result for result in results if result.candidate in additive}
    if not found:
        return additive[0]
    best = min(found.values(), key=lambda result: result.log_loss)
    for name in additive:
        if name == best.candidate or no_worse(found[name].losses, best.losses):
            return name
    return best.candidate


def no_worse(simpler: Floats, best: Floats, width: float = 1.0) -> bool:
    """Whether the losses (n,) of something simpler are within so many standard errors of the best one's."""
    difference = simpler - best
    return float(difference.mean()) <= width * standard_error(difference)
