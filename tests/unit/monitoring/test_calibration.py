"""Thresholds know the sample size and keep to their chance."""

import numpy as np
import pytest

from motorisk.domain.policy import FEATURES
from motorisk.errors import InvalidData
from motorisk.monitoring.calibration import Budget, calibrate, calibrated_size, null_scores, tail_quantile
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.scores import score
from motorisk.simulation.portfolio import draw_features


@pytest.mark.parametrize("name", FEATURES)
def test_scores_of_unchanged_windows_pass_a_threshold_as_rarely_as_they_should(name: str) -> None:
    """Fresh references and fresh windows, against thresholds that each reference gives itself."""
    beyond = []
    for seed in range(400):
        random = np.random.default_rng([11, seed])
        reference = Reference.of({name: draw_features(random, 0, 800)[name]})
        if seed % 20 == 0:
            threshold = calibrate(name, reference.columns[name], 400, 0.1)
        window = draw_features(random, 0, 400)[name]
        beyond.append(score(name, reference.columns[name], reference.column(name, window)) >= threshold)
    assert 0.04 < np.mean(beyond) < 0.17  # 0.1 ± 4 standard errors


def test_the_tail_is_carried_on_as_it_goes() -> None:
    draws = np.abs(np.random.default_rng(1).standard_normal(4000))
    assert tail_quantile(draws, 0.2) == pytest.approx(1.2816, abs=0.06)
    assert tail_quantile(draws, 1 / 7200) == pytest.approx(3.81, abs=0.25)


def test_thresholds_shrink_with_the_window_and_not_below_the_references_own_noise(reference: Reference) -> None:
    found = [reference.threshold("miles", rows) for rows in (100, 300, 1500, 20_000, 10_000_000)]
    assert found[:4] == sorted(found[:4], reverse=True)
    assert found[0] > 0.3
    assert found[-1] == pytest.approx(found[2] / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("rows", [1, 2, 7, 299, 300, 1500, 10_000_000])
def test_a_window_takes_the_threshold_of_a_size_just_below(rows: int) -> None:
    assert rows / 1.1 - 1 < calibrated_size(rows) <= rows


def test_the_same_reference_gives_the_same_thresholds(reference: Reference) -> None:
    again = Reference(reference.columns, reference.ranges)
    assert again.threshold("age", 1500) == reference.threshold("age", 1500)


def test_known_thresholds_are_not_computed_again(reference: Reference) -> None:
    known = {("age", calibrated_size(1500)): 0.5}
    assert Reference(reference.columns, reference.ranges, thresholds=known).threshold("age", 1500) == 0.5


def test_a_flag_that_nobody_had_gets_a_threshold_all_the_same() -> None:
    reference = Reference.of({"training": np.zeros(1000)})
    few, many = ((np.arange(1000) < number).astype(float) for number in (1, 60))
    figures = [reference.measure("training", reference.column("training", values)) for values in (few, many)]
    assert [one.score >= one.threshold for one in figures] == [False, True]


def test_null_scores_are_distances() -> None:
    column = Reference.of({"training": np.arange(500) % 5 == 0}).columns["training"]
    found = null_scores("training", column, 300)
    assert found.min() >= 0
    assert found.max() < 0.2


def test_the_budget_is_spent_once() -> None:
    budget = Budget(240)
    by_windows = budget.threshold_chance * 240 * len(FEATURES)
    by_evidence = budget.evidence_chance * len(FEATURES) * 240 / 36
    assert by_windows + by_evidence == pytest.approx(1.0)


def test_missing_values_are_a_signal_of_their_own(reference: Reference) -> None:
    values = draw_features(np.random.default_rng(5), 0, 1500)["age"]
    clean = reference.measure("age", reference.column("age", values))
    values[:2] = np.nan
    few = reference.measure("age", reference.column("age", values))
    values[:60] = np.nan
    many = reference.measure("age", reference.column("age", values))
    assert [(one.rows, one.missing, one.more_missing) for one in (clean, few, many)] == [
        (1500, 0, False),
        (1498, 2, False),
        (1440, 60, True),
    ]
    assert many.score < many.threshold, "nothing was filled, so the values that are there did not move"


def test_a_column_without_values_is_an_error(reference: Reference) -> None:
    nothing = np.full(10, np.nan)
    with pytest.raises(InvalidData, match="age has no value in the window"):
        reference.measure("age", reference.column("age", nothing))
    with pytest.raises(InvalidData, match="age has no value in the reference"):
        Reference.of({"age": nothing})
