"""Backtest: what each candidate would have foretold in the past, knowing only what was known then.

For each of the newest matured months the candidates are trained on the months that lie at least as far back as
today's newest outcomes lie behind the month to be priced. Where the history is too short for that, every shorter
distance stands in for it, so that a trend can be believed as soon as it helps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from motorisk.domain.calendar import months_between
from motorisk.domain.risk import CLASS_BOUNDS, PROBABILITY_UNITS
from motorisk.modelling.candidates import Candidate
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.evaluation import SMALLEST_PROBABILITY
from motorisk.modelling.snapshot import MIN_ROWS, Snapshot
from motorisk.scoring.pricing import Integers, most_likely, risk_classes

MIN_TRAINING_MONTHS = 3
"""Fewer months show no trend, and a comparison of models with and without one would be empty."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """How one candidate did; losses and hits are (n,), of the same policies for all candidates."""

    candidate: str
    losses: Floats
    hits: Floats

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
        return _standard_error(self.losses)


def _standard_error(values: Floats) -> float:
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


def backtest(
    snapshot: Snapshot,
    candidates: Sequence[Candidate],
    configuration: TrainingConfiguration,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[BacktestResult]:
    """Compare the candidates; empty where fewer than four months have matured."""
    numbers = snapshot.month_numbers()
    months = np.unique(numbers)
    planned = list(origins(months.tolist(), distance(snapshot), configuration.backtest_months))
    losses: dict[str, dict[int, list[Floats]]] = {candidate.name: {} for candidate in candidates}
    hits: dict[str, dict[int, list[Floats]]] = {candidate.name: {} for candidate in candidates}
    done, total = 0, len(planned) * len(candidates)
    for origin, evaluated in planned:
        known = numbers <= months[origin]
        if known.sum() < MIN_ROWS:
            continue
        parts = {index: snapshot.where(numbers == months[index]) for index in evaluated}
        classes = {index: risk_classes(part.risk, CLASS_BOUNDS) for index, part in parts.items()}
        # What was known on the day before the first of these months began, if outcomes took as long as they do.
        day = np.datetime64(int(months[evaluated[0]]), "M").astype("datetime64[D]").astype(object) - timedelta(days=1)
        past = snapshot.where(known, as_of=day)
        for candidate in candidates:
            forecaster = candidate.fit(past, configuration)
            for index, part in parts.items():
                probabilities = forecaster.probabilities(part.features, part.effective_dates)
                losses[candidate.name].setdefault(index, []).append(_losses(probabilities, classes[index]))
                hits[candidate.name].setdefault(index, []).append(most_likely(probabilities) == classes[index])
            done += 1
            progress(done, total)
    if not any(losses.values()):
        return []
    return [
        BacktestResult(candidate.name, _pool(losses[candidate.name]), _pool(hits[candidate.name]))
        for candidate in candidates
    ]


def _losses(probabilities: Integers, observed: npt.NDArray[np.int8]) -> Floats:
    chosen = probabilities[np.arange(len(observed)), observed] / PROBABILITY_UNITS
    return np.asarray(-np.log(np.maximum(chosen, SMALLEST_PROBABILITY)))


def _pool(by_month: dict[int, list[Floats]]) -> Floats:
    """Mean over the origins for each policy, policies of all months in one array."""
    return np.concatenate([np.mean(found, axis=0) for _, found in sorted(by_month.items())])


def choose(results: Sequence[BacktestResult], additive: Sequence[str]) -> str:
    """The additive candidate with the least log loss; the simplest that is within a standard error of it.

    `additive` are names from the simplest; without a backtest the simplest is chosen.
    """
    found = {result.candidate: result for result in results if result.candidate in additive}
    if not found:
        return additive[0]
    best = min(found.values(), key=lambda result: result.log_loss)
    for name in additive:
        difference = found[name].losses - best.losses
        if name == best.candidate or difference.mean() <= _standard_error(difference):
            return name
    return best.candidate
