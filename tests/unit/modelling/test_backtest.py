"""The backtest: nobody knows more than was known, and the simpler of equals wins."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from motorisk.domain.calendar import add_months
from motorisk.modelling.backtest import BacktestResult, backtest, choose, distance, origins
from motorisk.modelling.candidates import CANDIDATES, Candidate, Forecaster
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import Columns, Dates, Integers
from motorisk.simulation.portfolio import Simulation, simulate

CONFIGURATION = TrainingConfiguration()
ADDITIVE = ["gam", "trend_gam"]


def history(months: int, delay: int = 12, policies: int = 300, drift_until: int | None = None) -> Snapshot:
    simulation = Simulation(date(2022, 1, 1), months=months, policies_a_month=policies, drift_until=drift_until)
    end = add_months(date(2022, 1, 31), months - 1 + delay)
    return Snapshot.of_table(end, pa.concat_tables(simulate(simulation)))


def result(name: str, losses: list[float]) -> BacktestResult:
    return BacktestResult(name, np.array(losses), np.ones(len(losses)))


def test_the_distance_is_from_the_newest_outcomes_to_the_month_to_be_priced() -> None:
    assert distance(history(3, delay=12)) == 13
    assert distance(history(3, delay=2)) == 3
    assert distance(history(1, delay=0)) == 1


def test_with_a_long_history_each_month_is_foretold_over_the_full_distance() -> None:
    planned = dict(origins(list(range(30)), 13, 6))
    assert planned == {11: [24], 12: [25], 13: [26], 14: [27], 15: [28], 16: [29]}


def test_with_a_short_history_every_shorter_distance_stands_in() -> None:
    assert dict(origins(list(range(6)), 13, 6)) == {2: [3, 4, 5], 3: [4, 5], 4: [5]}
    assert dict(origins([0, 1, 2], 13, 6)) == {}


@pytest.mark.parametrize("months", [1, 2, 3])
def test_too_few_months_give_no_backtest_and_the_simplest_candidate(months: int) -> None:
    results = backtest(history(months), [CANDIDATES[name] for name in ADDITIVE], CONFIGURATION)
    assert results == []
    assert choose(results, ADDITIVE) == "gam"


class _Watcher(Candidate):
    """Keeps what it was shown."""

    name = "rules"

    def __init__(self) -> None:
        self.trained: list[Snapshot] = []
        self.asked: list[tuple[date, Dates]] = []

    def fit(self, snapshot: Snapshot, configuration: TrainingConfiguration) -> Forecaster:
        self.trained.append(snapshot)
        watcher = self

        class _Answer(Forecaster):
            def probabilities(self, features: Columns, effective_dates: Dates) -> Integers:
                watcher.asked.append((snapshot.as_of, effective_dates))
                return np.tile(np.array([30_000_000, 40_000_000, 30_000_000]), (len(effective_dates), 1))

        return _Answer()


def test_no_candidate_sees_what_came_after() -> None:
    watcher = _Watcher()
    backtest(history(18), [watcher], CONFIGURATION)
    assert watcher.trained
    for snapshot in watcher.trained:
        assert snapshot.effective_dates.max() <= np.datetime64(snapshot.as_of)
    for as_of, dates in watcher.asked:
        assert dates.min() > np.datetime64(as_of)


def test_all_candidates_are_compared_on_the_same_policies() -> None:
    results = backtest(history(8), [CANDIDATES[name] for name in ("rules", *ADDITIVE)], CONFIGURATION)
    assert [found.candidate for found in results] == ["rules", "gam", "trend_gam"]
    assert {len(found.losses) for found in results} == {5 * 300}


def test_a_drifting_world_needs_trends_and_a_still_one_does_not() -> None:
    competing = [CANDIDATES[name] for name in ADDITIVE]
    for drift_until, expected in ((None, "trend_gam"), (0, "gam")):
        results = backtest(history(14, policies=800, drift_until=drift_until), competing, CONFIGURATION)
        assert choose(results, ADDITIVE) == expected


def test_the_simpler_candidate_wins_within_a_standard_error() -> None:
    noise = np.random.default_rng(1).normal(0, 1, 400)
    simple = result("gam", list(1.0 + noise))
    assert choose([simple, result("trend_gam", list(0.999 + noise[::-1]))], ADDITIVE) == "gam"
    assert choose([simple, result("trend_gam", list(0.9 + noise))], ADDITIVE) == "trend_gam"
    assert choose([simple, result("trend_gam", list(1.1 + noise))], ADDITIVE) == "gam"


def test_yardsticks_never_win() -> None:
    results = [result("gam", [1.0, 1.0]), result("boosting", [0.1, 0.1])]
    assert choose(results, ADDITIVE[:1]) == "gam"


@pytest.mark.parametrize("name", list(CANDIDATES))
def test_every_candidate_foretells_whole_probabilities(name: str) -> None:
    snapshot = history(2, policies=300)
    forecaster = CANDIDATES[name].fit(snapshot, TrainingConfiguration(neurons=5))
    found = forecaster.probabilities(snapshot.features, snapshot.effective_dates)
    assert found.shape == (600, 3)
    assert (found.sum(axis=1) == 100_000_000).all()
    assert (found >= 0).all()
