"""The backtest: nobody knows more than was known, and the simpler of equals wins."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from tests.unit.modelling.histories import history

from motorisk.errors import NotEnoughData
from motorisk.modelling.backtest import BacktestResult, backtest, choose, distance, is_bridged, origins
from motorisk.modelling.candidates import CANDIDATES, Candidate, Forecast, Forecaster
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import Columns, Dates

CONFIGURATION = TrainingConfiguration()
ADDITIVE = ["gam", "trend_gam"]


def result(name: str, losses: list[float]) -> BacktestResult:
    n = len(losses)
    return BacktestResult(name, np.arange(n), np.array(losses), np.ones(n), np.zeros(n), np.full((n, 3), 1 / 3), {})


def results_of(snapshot: Snapshot, names: Sequence[str]) -> list[BacktestResult]:
    found = [backtest(snapshot, CANDIDATES[name], CONFIGURATION) for name in names]
    return [one for one in found if one is not None]


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
    results = results_of(history(months), ADDITIVE)
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
            def foretell(self, features: Columns, effective_dates: Dates) -> Forecast:
                watcher.asked.append((snapshot.as_of, effective_dates))
                n = len(effective_dates)
                return Forecast(np.tile(np.array([30_000_000, 40_000_000, 30_000_000]), (n, 1)), np.full(n, 2.0))

        return _Answer()


def test_no_candidate_sees_what_came_after() -> None:
    watcher = _Watcher()
    backtest(history(18), watcher, CONFIGURATION)
    assert watcher.trained
    for snapshot in watcher.trained:
        assert snapshot.effective_dates.max() <= np.datetime64(snapshot.as_of)
    for as_of, dates in watcher.asked:
        assert dates.min() > np.datetime64(as_of)


def test_all_candidates_are_compared_on_the_same_policies() -> None:
    snapshot = history(8)
    results = results_of(snapshot, ("rules", *ADDITIVE))
    assert [found.candidate for found in results] == ["rules", "gam", "trend_gam"]
    newest_five = np.flatnonzero(snapshot.month_numbers() >= snapshot.month_numbers().max() - 4)
    for found in results:
        assert sorted(found.rows) == newest_five.tolist()
        assert len(found.losses) == len(found.hits) == len(found.expected_risk) == len(found.shares) == 5 * 300
        assert found.shares.sum(axis=1) == pytest.approx(1.0)


def test_what_was_foretold_stands_beside_the_policy_that_it_was_foretold_of() -> None:
    snapshot = history(14, policies=400)
    (found,) = results_of(snapshot, ["gam"])
    assert np.corrcoef(found.expected_risk, snapshot.risk[found.rows])[0, 1] > 0.8


def test_a_term_that_changes_is_missed_where_it_is_held_and_one_that_does_not_is_not() -> None:
    (found,) = results_of(history(30, policies=500), ["trend_gam"])
    missed = {name: float(losses.mean()) - found.log_loss for name, losses in found.without_trend.items()}
    assert min(missed["training"], missed["age"]) > 0.05
    assert max(missed[name] for name in ("power", "miles", "braking_distance", "emergency_braking")) < 0.02


def test_a_history_bridges_the_delay_once_it_is_longer_than_the_delay_and_the_months_compared() -> None:
    assert not is_bridged(history(20, policies=20), CONFIGURATION)
    assert is_bridged(history(21, policies=20), CONFIGURATION)
    assert not is_bridged(history(2, policies=20), CONFIGURATION)


def test_a_drifting_world_needs_trends_and_a_still_one_does_not() -> None:
    for drift_until, expected in ((None, "trend_gam"), (0, "gam")):
        results = results_of(history(14, policies=800, drift_until=drift_until), ADDITIVE)
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


YARDSTICKS = [name for name, candidate in CANDIDATES.items() if not candidate.is_additive]


def _with_highs(snapshot: Snapshot, highs: int) -> Snapshot:
    risk = np.minimum(snapshot.risk, 2.5)
    risk[:highs] = 3.5
    return replace(snapshot, risk=risk)


@pytest.mark.bad_input("training data")
@pytest.mark.parametrize("name", YARDSTICKS)
@pytest.mark.parametrize("policies", [1, 2, 8, 20, 60])
@pytest.mark.parametrize("highs", [0, 1, 2])
def test_yardsticks_cope_with_few_policies_and_with_classes_that_hardly_occur(
    name: str, policies: int, highs: int
) -> None:
    snapshot = history(2, policies=60)
    newest = _with_highs(snapshot.where(np.arange(len(snapshot)) >= len(snapshot) - policies), min(highs, policies))
    found, expected = CANDIDATES[name].fit(newest, CONFIGURATION).foretell(snapshot.features, snapshot.effective_dates)
    assert (found.sum(axis=1) == 100_000_000).all()
    assert (found >= 0).all()
    assert np.isfinite(expected).all()


@pytest.mark.bad_input("training data")
@pytest.mark.parametrize("name", YARDSTICKS)
def test_a_single_class_in_the_newest_months_is_foretold_for_all(name: str) -> None:
    snapshot = history(2, policies=100)
    medium = replace(snapshot, risk=np.clip(snapshot.risk, 1.5, 2.5))
    found, _ = CANDIDATES[name].fit(medium, CONFIGURATION).foretell(snapshot.features, snapshot.effective_dates)
    assert (found[:, 1] > 90_000_000).all()


@pytest.mark.bad_input("training data")
def test_newest_months_with_a_single_outcome_are_refused_with_the_setting_to_change() -> None:
    snapshot = history(8, policies=60)
    numbers = snapshot.month_numbers()
    one = snapshot.where((numbers < numbers.max() - 2) | (np.arange(len(numbers)) == len(numbers) - 1))
    with pytest.raises(NotEnoughData, match=r"of the newest 3 months only 1 policies .*: raise window_months"):
        CANDIDATES["gam"].fit(one, CONFIGURATION)


@pytest.mark.parametrize("name", list(CANDIDATES))
def test_every_candidate_foretells_whole_probabilities(name: str) -> None:
    snapshot = history(2, policies=300)
    forecaster = CANDIDATES[name].fit(snapshot, TrainingConfiguration(neurons=5))
    found, expected = forecaster.foretell(snapshot.features, snapshot.effective_dates)
    assert found.shape == (600, 3)
    assert (found.sum(axis=1) == 100_000_000).all()
    assert (found >= 0).all()
    assert expected.shape == (600,)
    assert abs(float(expected.mean() - snapshot.risk.mean())) < 0.3
