"""Figures about predictions, against scikit-learn's and by hand."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss

from motorisk.domain.risk import PROBABILITY_UNITS
from motorisk.modelling.evaluation import evaluate


def random_case(seed: int, size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
    random = np.random.default_rng(seed)
    fractions = random.dirichlet([0.7, 0.5, 0.6], size)
    low, high = (np.rint(fractions[:, column] * PROBABILITY_UNITS).astype(np.int64) for column in (0, 2))
    observed = np.array([random.choice(3, p=row) for row in fractions], dtype=np.int8)
    return np.column_stack([low, PROBABILITY_UNITS - low - high, high]), observed


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_accuracy_and_log_loss_are_scikit_learns(seed: int, size: int) -> None:
    probabilities, observed = random_case(seed, size)
    found = evaluate(probabilities, observed)
    fractions = probabilities / PROBABILITY_UNITS
    assert found.accuracy == pytest.approx(accuracy_score(observed, fractions.argmax(axis=1)), abs=1e-12)
    assert found.log_loss == pytest.approx(log_loss(observed, fractions, labels=[0, 1, 2]), rel=1e-9)
    assert found.certainty == pytest.approx(fractions.max(axis=1).mean(), rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_shares_are_those_of_the_classes_and_sum_to_one(seed: int, size: int) -> None:
    probabilities, observed = random_case(seed, size)
    found = evaluate(probabilities, observed)
    predicted = probabilities.argmax(axis=1)
    for index in range(3):
        assert found.predicted_shares[index] == pytest.approx(sum(predicted == index) / size)
        assert found.observed_shares[index] == pytest.approx(sum(observed == index) / size)
    assert sum(found.predicted_shares) == pytest.approx(1)
    assert sum(found.observed_shares) == pytest.approx(1)


def test_figures_computed_by_hand() -> None:
    probabilities = np.array(
        [
            [50_000_000, 25_000_000, 25_000_000],  # low, came true
            [25_000_000, 50_000_000, 25_000_000],  # medium, but high came true
            [0, 0, 100_000_000],  # high, came true
            [40_000_000, 40_000_000, 20_000_000],  # even: the riskier of the two, which came true
        ]
    )
    found = evaluate(probabilities, np.array([0, 2, 2, 1], dtype=np.int8))
    assert found.accuracy == 0.75
    assert found.log_loss == pytest.approx(-(math.log(0.5) + math.log(0.25) + math.log(1) + math.log(0.4)) / 4)
    assert found.certainty == pytest.approx((0.5 + 0.5 + 1 + 0.4) / 4)
    assert found.predicted_shares == (0.25, 0.5, 0.25)
    assert found.observed_shares == (0.25, 0.25, 0.5)


def test_what_was_held_impossible_and_came_true_costs_much_but_not_without_bound() -> None:
    found = evaluate(np.array([[PROBABILITY_UNITS, 0, 0]]), np.array([2], dtype=np.int8))
    assert found.log_loss == pytest.approx(math.log(1e8))
    assert found.accuracy == 0.0


def test_a_class_that_never_occurs_has_no_share() -> None:
    found = evaluate(np.array([[PROBABILITY_UNITS, 0, 0]] * 2), np.array([0, 0], dtype=np.int8))
    assert found.predicted_shares == found.observed_shares == (1.0, 0.0, 0.0)
