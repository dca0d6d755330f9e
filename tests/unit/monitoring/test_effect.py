"""What a feature's drift does to premiums and risks."""

import numpy as np
import numpy.typing as npt
import pytest

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import RiskClass
from motorisk.domain.tariff import Tariff
from motorisk.monitoring.effect import effect_of, importances, priced, put_back, share_outside
from motorisk.simulation.portfolio import draw_features

Floats = npt.NDArray[np.float64]


def _world(month: int, rows: int, seed: int) -> dict[str, Floats]:
    return draw_features(np.random.default_rng([61, month, seed]), month, rows)


def _dates(rows: int) -> npt.NDArray[np.datetime64]:
    return np.full(rows, np.datetime64("2023-06-30", "D"))


def test_values_put_back_keep_their_ranks_and_lie_as_in_the_reference() -> None:
    random = np.random.default_rng(1)
    reference = np.sort(random.normal(50, 10, 400))
    values = random.exponential(30, 700)
    back = put_back(values, reference)
    assert np.array_equal(np.argsort(back, kind="stable"), np.argsort(values, kind="stable"))
    for share in (0.1, 0.5, 0.9):
        assert np.quantile(back, share) == pytest.approx(np.quantile(reference, share), abs=0.5)
    own = random.permutation(reference)
    assert put_back(own, reference) == pytest.approx(own)
    assert len(set(put_back(np.array([1.0, 1.0, 2.0]), reference)[:2])) == 1


def test_a_shift_costs_what_both_prices_differ_by(true_plan: RatingPlan, tariff: Tariff) -> None:
    now = _world(0, 800, 1)
    reference = now["miles"] + 7.0
    found = effect_of("miles", true_plan, tariff, now, _dates(800), reference, draws=20)
    between = priced(true_plan, tariff, now, _dates(800)) - priced(
        true_plan, tariff, now | {"miles": reference}, _dates(800)
    )
    assert found.net.value == pytest.approx(between[:, 0].mean())
    assert found.risk is not None
    assert found.risk.value == pytest.approx(between[~np.isnan(between[:, 1]), 1].mean())
    assert found.net.value < 0
    assert sum(share.value for share in found.classes.values()) == pytest.approx(0, abs=1e-12)
    assert found.classes[RiskClass.HIGH].value == pytest.approx(between[:, 4].mean())


def test_a_flag_put_back_changes_sides_by_the_difference_of_the_shares(true_plan: RatingPlan, tariff: Tariff) -> None:
    now = _world(20, 1000, 2)
    for share in (0.2, 0.95):
        reference = (np.arange(1000) < 1000 * share).astype(np.float64)
        off, on = (
            priced(true_plan, tariff, now | {"emergency_braking": np.full(1000, side)}, _dates(1000))[:, 0]
            for side in (0.0, 1.0)
        )
        is_on = now["emergency_braking"] == 1
        have = is_on.mean()
        if share < have:
            expected = np.sum((on - off)[is_on]) * (1 - share / have) / 1000
        else:
            expected = -np.sum((on - off)[~is_on]) * (share - have) / (1 - have) / 1000
        found = effect_of("emergency_braking", true_plan, tariff, now, _dates(1000), reference, draws=20)
        assert found.net.value == pytest.approx(expected)


@pytest.mark.parametrize("feature", ["miles", "emergency_braking"])
def test_intervals_cover_what_it_does_to_a_large_portfolio(true_plan: RatingPlan, tariff: Tariff, feature: str) -> None:
    large = _world(20, 200_000, 3)
    before = _world(0, 200_000, 4)[feature]
    truth = effect_of(feature, true_plan, tariff, large, _dates(200_000), before, draws=2).net.value
    covered = []
    for seed in range(25):
        now, then = _world(20, 600, 100 + seed), _world(0, 600, 200 + seed)[feature]
        found = effect_of(feature, true_plan, tariff, now, _dates(600), then, draws=100).net
        assert found.low < found.value < found.high
        covered.append(found.low <= truth <= found.high)
    assert sum(covered) >= 20  # 24 expected


def test_the_same_values_have_no_effect_and_the_same_night_says_the_same(true_plan: RatingPlan, tariff: Tariff) -> None:
    now = _world(0, 500, 5)
    first, second = (
        effect_of("age", true_plan, tariff, now, _dates(500), np.sort(now["age"]), draws=50) for _ in range(2)
    )
    assert first == second
    assert first.net.value == pytest.approx(0, abs=1e-9)
    assert not first.net.is_certain


def test_rules_answer_both_times_where_the_version_may_not(true_plan: RatingPlan, tariff: Tariff) -> None:
    now = _world(0, 400, 6) | {"power": np.full(400, 900.0)}
    found = effect_of("miles", true_plan, tariff, now, _dates(400), np.full(400, 20.0), draws=20)
    assert found.risk is None
    assert np.isfinite(found.net.value)
    assert share_outside("power", true_plan, now) == 1.0
    assert share_outside("miles", true_plan, now) == 0.0


def test_importances_share_out_the_variance(true_plan: RatingPlan) -> None:
    features = _world(0, 20_000, 7)
    found = importances(true_plan, features, _dates(20_000))
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=lambda name: found[name]) == "training"
    risk = priced_risk(true_plan, features)
    spreads = {"training": 16 * 0.16, "braking_distance": 1.0, "emergency_braking": 0.24}
    for name, variance in spreads.items():
        assert found[name] == pytest.approx(variance / risk.var(), rel=0.1)
    still = {name: np.full(10, 1.0) for name in FEATURES}
    assert set(importances(true_plan, still, _dates(10)).values()) == {0.0}


def priced_risk(plan: RatingPlan, features: dict[str, Floats]) -> Floats:
    from motorisk.scoring.pricing import estimate

    return estimate(plan, features, _dates(len(features["age"]))).expected_risk
