"""What each candidate brings to the competition: the settings that suit it, and its backtest.

Settings are searched on months before those of the backtest, so that the comparison of candidates stays one with
the unknown. The configuration's settings stay unless others are clearly better, by more than two standard errors.
"""

import itertools
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tokenize import TokenError
from typing import Any, Self

import numpy as np
from threadpoolctl import threadpool_limits

from motorisk.domain.calendar import add_months
from motorisk.domain.risk import CLASS_BOUNDS
from motorisk.errors import InvalidData
from motorisk.files import make_folder
from motorisk.modelling.backtest import BacktestResult, backtest, distance, is_bridged, no_worse, origins
from motorisk.modelling.candidates import Candidate, Classifier
from motorisk.modelling.configuration import CHAMPION, TrainingConfiguration
from motorisk.modelling.evaluation import evaluate
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import risk_classes

HELD_OUT = 0.2
SEEDS = 5
MIN_LEARNT = 1100
"""From fewer policies not even the workshop's network learns whatever the seed: nothing is told of it then."""
CLEARLY = 2.0

# A zip archive of arrays can be broken in any of its layers.
_DAMAGES = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    TokenError,
)

Settings = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of a candidate and how it did on the months before the backtest's."""

    settings: Settings
    log_loss: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A candidate as it competes: the configuration that suits it, its backtest (None: too few months), its search.

    `at_edge` names settings whose best value is the first or the last that was tried: the best may lie beyond.
    `in_time` holds a learning yardstick's least accuracy and certainty on unseen policies of the months that it learnt
    from, over some seeds: one that fails even there has too little capacity to be measured by.
    """

    candidate: str
    configuration: TrainingConfiguration
    result: BacktestResult | None
    trials: tuple[Trial, ...] = ()
    at_edge: tuple[str, ...] = ()
    in_time: tuple[float, float] | None = None

    def save(self, folder: Path) -> None:
        """Write to `folder/<candidate>.npz`, replacing what is there."""
        make_folder(folder)
        arrays: dict[str, Any] = {}
        if self.result is not None:
            found = {field.name: getattr(self.result, field.name) for field in fields(self.result)}
            arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
            arrays |= {f"without_trend/{name}": value for name, value in self.result.without_trend.items()}
        facts = {
            "configuration": self.configuration.model_dump(mode="json"),
            "trials": [[dict(trial.settings), trial.log_loss, trial.standard_error] for trial in self.trials],
            "at_edge": self.at_edge,
            "in_time": self.in_time,
        }
        unfinished = folder / f".{self.candidate}.{os.getpid()}.npz"  # two trainings may be at it
        np.savez_compressed(unfinished, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)
        unfinished.replace(folder / f"{self.candidate}.npz")

    @classmethod
    def load(cls, folder: Path, candidate: str) -> Self:
        """What `save` wrote; `InvalidData` where it is missing or damaged."""
        path = folder / f"{candidate}.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls._of_arrays(candidate, {name: arrays[name] for name in arrays.files})
        except _DAMAGES as error:
            raise InvalidData(f"the backtest of {candidate} cannot be read from {path}: {error}") from error

    @classmethod
    def _of_arrays(cls, candidate: str, parts: dict[str, Any]) -> Self:
        facts = json.loads(str(parts.pop("facts")))
        still = {name.partition("/")[2]: parts.pop(name) for name in list(parts) if name.startswith("without_trend/")}
        return cls(
            candidate,
            TrainingConfiguration.model_validate_json(json.dumps(facts["configuration"])),
            BacktestResult(candidate, without_trend=still, **parts) if parts else None,
            tuple(Trial(*trial) for trial in facts["trials"]),
            tuple(facts["at_edge"]),
            None if facts["in_time"] is None else (facts["in_time"][0], facts["in_time"][1]),
        )


def enter(
    snapshot: Snapshot,
    candidate: Candidate,
    configuration: TrainingConfiguration,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Entry:
    """Search the candidate's settings, hold still the terms whose change does not help, and backtest it.

    `progress` is told how many fits are done, of how many at most.
    """
    snapshot.require_trainable()
    # Models are small and competitors run side by side: threads of one would mostly wait for those of the others.
    with threadpool_limits(limits=1):
        return _enter(snapshot, candidate, configuration, progress)


def _enter(
    snapshot: Snapshot,
    candidate: Candidate,
    configuration: TrainingConfiguration,
    progress: Callable[[int, int], None],
) -> Entry:
    earlier = _before_backtest(snapshot, configuration)
    trying = _trials(candidate, configuration) if earlier is not None else []
    tell = _Counter(progress, snapshot, earlier, configuration, len(trying))
    trials: list[Trial] = []
    at_edge: tuple[str, ...] = ()
    if earlier is not None and len(trying) > 1:
        configuration, trials, at_edge = _search(earlier, candidate, configuration, trying, tell)
    result = backtest(snapshot, candidate, configuration, tell)
    # Over shorter distances a change shows less than it will do over the whole: there shrinkage alone decides.
    if result is not None and is_bridged(snapshot, configuration) and (still := _unhelpful(result)):
        calmer = configuration.model_copy(update={"still": tuple(sorted({*configuration.still, *still}))})
        without = backtest(snapshot, candidate, calmer, tell)
        if without is not None and no_worse(without.losses, result.losses):
            configuration, result = calmer, without
    in_time = _in_time(snapshot, candidate, configuration) if isinstance(candidate, Classifier) else None
    tell.finish()
    return Entry(candidate.name, configuration, result, tuple(trials), at_edge, in_time)


def as_champion(entry: Entry) -> Entry:
    """The entry under the name by which the champion's way of training competes."""
    result = None if entry.result is None else replace(entry.result, candidate=CHAMPION)
    return replace(entry, candidate=CHAMPION, result=result)


def _before_backtest(snapshot: Snapshot, configuration: TrainingConfiguration) -> Snapshot | None:
    """The snapshot of so many months ago that the backtest's months were not known; None where nothing was known."""
    numbers = snapshot.month_numbers()
    months = np.unique(numbers)
    plan = list(origins(months.tolist(), distance(snapshot), configuration.backtest_months))
    if not plan:
        return None
    first = min(index for _, evaluated in plan for index in evaluated)
    earlier = snapshot.where(
        numbers < months[first], as_of=add_months(snapshot.as_of, -int(months[-1] - months[first] + 1))
    )
    known = np.unique(earlier.month_numbers()).tolist()
    return earlier if list(origins(known, distance(earlier), configuration.backtest_months)) else None


def _trials(candidate: Candidate, configuration: TrainingConfiguration) -> list[Settings]:
    """The configuration's own settings first, then a seeded choice of others from the candidate's grid."""
    own = {name: getattr(configuration, name) for name in candidate.grid}
    others = [
        settings
        for values in itertools.product(*candidate.grid.values())
        if (settings := dict(zip(candidate.grid, values, strict=True))) != own
    ]
    count = min(configuration.search_trials, len(others))
    chosen = np.random.default_rng(configuration.seed).permutation(len(others))[:count]
    return [own, *(others[position] for position in sorted(chosen.tolist()))]


def _search(
    earlier: Snapshot,
    candidate: Candidate,
    configuration: TrainingConfiguration,
    trying: list[Settings],
    tell: Callable[[], None],
) -> tuple[TrainingConfiguration, list[Trial], tuple[str, ...]]:
    found: list[tuple[Settings, BacktestResult]] = []
    for settings in trying:
        result = backtest(earlier, candidate, configuration.model_copy(update=dict(settings)), tell)
        if result is None:
            return configuration, [], ()
        found.append((settings, result))
    trials = [Trial(settings, result.log_loss, result.standard_error) for settings, result in found]
    best, least = min(found, key=lambda one: one[1].log_loss)
    at_edge = tuple(name for name, values in candidate.grid.items() if _at_edge(name, values, least, found))
    if no_worse(found[0][1].losses, least.losses, CLEARLY):
        return configuration, trials, at_edge
    return configuration.model_copy(update=dict(best)), trials, at_edge


def _at_edge(
    name: str, values: Sequence[int], least: BacktestResult, found: Sequence[tuple[Settings, BacktestResult]]
) -> bool:
    """Whether every setting as good as the best has the grid's first or last value."""
    as_good = [settings[name] for settings, result in found if no_worse(result.losses, least.losses)]
    return all(value in (values[0], values[-1]) for value in as_good)


def _unhelpful(result: BacktestResult) -> list[str]:
    """Features whose term foretells no worse without its change."""
    return [name for name, losses in result.without_trend.items() if losses.mean() <= result.losses.mean()]


def _in_time(
    snapshot: Snapshot, candidate: Candidate, configuration: TrainingConfiguration
) -> tuple[float, float] | None:
    """Accuracy and certainty on a fifth of the newest months, after learning from the rest of them.

    The least over some seeds: too small a network learns by luck, if at all. None where there are too few policies.
    """
    newest = snapshot.newest(configuration.window_months)
    # A stream of its own: that of the bare seed may be the one that simulated policies were drawn from.
    unseen = np.random.default_rng([configuration.seed, 1]).random(len(newest)) < HELD_OUT
    learned, part = newest.where(~unseen), newest.where(unseen)
    if len(learned) < MIN_LEARNT:
        return None
    observed = risk_classes(part.risk, CLASS_BOUNDS)
    found = []
    for seed in range(configuration.seed, configuration.seed + SEEDS):
        model = candidate.fit(learned, configuration.model_copy(update={"seed": seed}))
        forecast = model.foretell(part.features, part.effective_dates)
        found.append(evaluate(forecast.probabilities, observed))
    return min(one.accuracy for one in found), min(one.certainty for one in found)


class _Counter:
    """Counts fits towards the most that there can be."""

    def __init__(
        self,
        progress: Callable[[int, int], None],
        snapshot: Snapshot,
        earlier: Snapshot | None,
        configuration: TrainingConfiguration,
        trials: int,
    ) -> None:
        self._progress = progress
        self._done = 0
        self._total = 2 * _fits(snapshot, configuration)
        if earlier is not None and trials > 1:
            self._total += trials * _fits(earlier, configuration)

    def __call__(self) -> None:
        self._done += 1
        self._progress(self._done, max(self._total, self._done))

    def finish(self) -> None:
        self._progress(self._total, self._total)


def _fits(snapshot: Snapshot, configuration: TrainingConfiguration) -> int:
    months = np.unique(snapshot.month_numbers()).tolist()
    return sum(1 for _ in origins(months, distance(snapshot), configuration.backtest_months))
