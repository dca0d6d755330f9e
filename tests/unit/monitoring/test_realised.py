"""What came true of policies since a feature drifts."""

from datetime import date

import numpy as np
import numpy.typing as npt
import pytest

from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.tariff import Tariff
from motorisk.monitoring.promise import gather_evidence
from motorisk.monitoring.realised import Outcomes, Performance, Realised, actual_to_expected, realised
from motorisk.simulation.portfolio import draw_features, expected_risk, noise_spread

Floats = npt.NDArray[np.float64]
ROWS = 2000


def _found(
    plan: RatingPlan, tariff: Tariff, risk: Floats | None = None, *, month: int = 0, rows: int = ROWS
) -> Realised:
    random = np.random.default_rng([81, month])
    features = draw_features(random, month, rows)
    true = expected_risk(features, month) + random.normal(0, noise_spread(month), rows)
    outcome = true if risk is None else risk
    dates = np.arange(rows).astype("timedelta64[h]").astype("timedelta64[D]") + np.datetime64("2023-02-01", "D")
    said = expected_risk(features, 0)
    evidence = gather_evidence((outcome - said) / plan.spread, dates + np.timedelta64(30, "D"))
    newest = draw_features(random, month + 6, rows)["emergency_braking"]
    reference = draw_features(random, 0, rows)["emergency_braking"]
    return realised(
        "emergency_braking", plan, tariff, Outcomes(features, dates, outcome), evidence, newest, reference,
        date(2024, 2, 1),
    )  # fmt: skip


def _said(month: int, rows: int = ROWS) -> tuple[Floats, np.random.Generator]:
    random = np.random.default_rng([81, month])
    return expected_risk(draw_features(random, month, rows), 0), random


def test_a_version_that_is_right_keeps_its_promise(true_plan: RatingPlan, tariff: Tariff) -> None:
    found = _found(true_plan, tariff)
    assert found.performance is Performance.KEPT
    assert found.outcomes == ROWS
    assert found.width == pytest.approx(1, abs=0.05)
    assert found.bias == pytest.approx(0, abs=0.05)
    assert found.accuracy is not None
    assert found.rules_accuracy is not None
    assert found.accuracy > 0.85 > found.rules_accuracy
    for ratio in (found.actual_to_expected, found.actual_to_expected_before):
        assert ratio is not None
        assert ratio.low < 1 < ratio.high
        assert ratio.high - ratio.low < 0.05


def test_outcomes_that_a_straight_line_explains_ask_for_recalibration(true_plan: RatingPlan, tariff: Tariff) -> None:
    said, random = _said(0)
    found = _found(true_plan, tariff, 0.7 * said + 1.2 + random.normal(0, 0.4, ROWS))
    assert found.performance is Performance.BROKEN
    assert found.recalibration_suffices
    assert found.bias == pytest.approx(float((1.2 - 0.3 * said).mean()), abs=0.1)


def test_terms_that_lose_their_meaning_do_not(true_plan: RatingPlan, tariff: Tariff) -> None:
    found = _found(true_plan, tariff, month=24)
    assert found.performance is Performance.BROKEN
    assert not found.recalibration_suffices
    assert found.accuracy is not None
    assert found.rules_accuracy is not None
    assert found.accuracy > found.rules_accuracy


def test_rules_do_better_than_a_version_that_knows_nothing_any_more(true_plan: RatingPlan, tariff: Tariff) -> None:
    from motorisk.scoring.pricing import rule_classes

    features = draw_features(np.random.default_rng([81, 0]), 0, ROWS)
    found = _found(true_plan, tariff, np.array([0.0, 2.0, 4.0])[rule_classes(features)])
    assert found.rules_accuracy == 1.0
    assert found.accuracy is not None
    assert found.accuracy < 1


def test_of_few_outcomes_nothing_is_said_but_when_there_will_be_more(true_plan: RatingPlan, tariff: Tariff) -> None:
    found = _found(true_plan, tariff, rows=150)
    assert (found.performance, found.outcomes, found.known_from) == (Performance.UNKNOWN, 150, date(2024, 2, 1))
    assert found.accuracy is None


def test_actual_over_expected_is_that_of_the_mix_that_is_asked_for() -> None:
    values = np.repeat([0.0, 1.0], [600, 400])
    deserved = np.where(values == 1, 120.0, 100.0)
    charged = np.full(1000, 100.0)
    for share in (0.1, 0.4, 0.9):
        wanted = (np.arange(1000) < 1000 * share).astype(np.float64)
        found = actual_to_expected("training", deserved, charged, values, wanted)
        assert found is not None
        assert found.value == pytest.approx(1 + 0.2 * share)
        assert found.low < found.value < found.high
    old = np.full(1000, 20.0)
    assert actual_to_expected("age", deserved, charged, old, old + 40) is None, "nobody is like them"


def test_intervals_of_actual_over_expected_cover_it() -> None:
    covered = 0
    for seed in range(100):
        random = np.random.default_rng([82, seed])
        values, wanted = random.normal(50, 10, 800), random.normal(53, 10, 800)
        deserved = 100 + 2 * (values - 50) + random.normal(0, 40, 800)
        found = actual_to_expected("miles", deserved, np.full(800, 100.0), values, wanted)
        assert found is not None
        covered += found.low <= 1 + 0.02 * (wanted.mean() - 50) <= found.high
    assert covered >= 88  # 95 expected
