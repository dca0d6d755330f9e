"""Betting against what a version promised."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest
from scipy.stats import kstest, norm

from motorisk.monitoring.promise import (
    BOLDNESS,
    ESTIMATION_ERROR,
    HONEST,
    MARGIN,
    Evidence,
    Floats,
    gather_evidence,
    promised_scores,
    scores,
    tolerated_margin,
)

START = np.datetime64("2024-01-01")


def _days(count: int, a_day: int = 50) -> "np.ndarray[tuple[int], np.dtype[np.datetime64]]":
    return np.asarray(START + np.arange(count) // a_day)


def _errors(seed: int, count: int, width: float = 1.0, shift: float = 0.0) -> Floats:
    """Errors in stated spreads: so many times as wide as stated, and so many spreads too high."""
    return shift + width * np.random.default_rng(seed).standard_normal(count)


def test_honest_errors_score_evenly() -> None:
    for score in scores(_errors(1, 20_000)):
        assert kstest(score, "uniform").pvalue > 0.01
        assert score.mean() == pytest.approx(HONEST, abs=0.01)


def test_the_outcome_that_was_expected_is_no_surprise_and_a_far_one_is_a_whole_one() -> None:
    surprise, height, depth = scores(np.array([0.0, 1e9, -1e9]))
    assert surprise.tolist() == [0.0, 1.0, 1.0]
    assert height.tolist() == [0.5, 1.0, 0.0]
    assert depth.tolist() == [0.5, 0.0, 1.0]


def test_the_evidence_is_the_capital_of_all_bets_taken_one_by_one() -> None:
    errors, known_on = _errors(2, 3000, 1.3), _days(3000, 20)
    months = known_on.astype("datetime64[M]")
    starts = np.unique(months)
    capital = 1 / (len(starts) + 1)
    for number, start in enumerate(starts, 1):
        for share in BOLDNESS:
            for row in scores(errors):
                stake = 1 / (number * (number + 1)) / len(BOLDNESS) / 3
                for score in row[months >= start]:
                    stake *= 1 + share * (score / 0.52 - 1)
                capital += stake
    evidence = gather_evidence(errors, known_on, margin=0.02)
    assert evidence.e_value == pytest.approx(capital, rel=1e-9)


def test_the_order_within_a_day_does_not_matter_and_nothing_later_does() -> None:
    found, known_on = _errors(3, 2000, 1.2), _days(2000)
    order = np.random.default_rng(0).permutation(2000)
    whole = gather_evidence(found, known_on)
    mixed = gather_evidence(found[order], known_on[order])
    assert mixed.days.tolist() == whole.days.tolist()
    np.testing.assert_allclose(mixed.logs, whole.logs, rtol=0, atol=1e-12)
    early = known_on < START + 10
    np.testing.assert_array_equal(gather_evidence(found[early], known_on[early]).logs, whole.logs[:10])


def test_an_honest_version_is_rarely_accused_however_often_one_looks() -> None:
    """Without any tolerance, at alpha = 0.05, looking every day for a year: the bound is Ville's."""
    accused = sum(
        gather_evidence(_errors(seed, 3650), _days(3650, 10), margin=0.0).since(0.05) is not None for seed in range(400)
    )
    assert 0 < accused <= 400 * 0.05


def test_errors_a_little_wider_than_stated_are_tolerated_for_ever() -> None:
    assert gather_evidence(_errors(4, 200_000, 1.05), _days(200_000)).since() is None


def test_errors_a_third_wider_than_stated_are_found_within_a_month() -> None:
    evidence = gather_evidence(_errors(5, 54_000, 1.33), _days(54_000))
    since = evidence.since()
    assert since is not None
    assert date(2024, 1, 2) < since < date(2024, 2, 1)


def test_two_good_years_are_no_credit_when_the_world_turns() -> None:
    good, bad = _errors(6, 36_500), _errors(7, 3000, 1.33)
    evidence = gather_evidence(np.concatenate([good, bad]), _days(39_500))
    turned = (START + 730).astype(object)
    since = evidence.since()
    assert since is not None
    assert 0 < (since - turned).days < 45


@pytest.mark.parametrize("shift", [0.25, -0.25])
def test_errors_that_are_wrong_on_average_are_found_within_a_month_on_either_side(shift: float) -> None:
    since = gather_evidence(_errors(13, 54_000, shift=shift), _days(54_000)).since()
    assert since is not None
    assert date(2024, 1, 2) < since < date(2024, 2, 1)


def test_errors_that_are_a_little_wrong_on_average_are_tolerated_for_ever() -> None:
    assert gather_evidence(_errors(14, 200_000, shift=0.08), _days(200_000)).since() is None


def _uniform(random: np.random.Generator, count: int) -> Floats:
    return random.uniform(-np.sqrt(3), np.sqrt(3), count)


def _skew(random: np.random.Generator, count: int) -> Floats:
    return random.standard_exponential(count) - 1


@pytest.mark.parametrize("noise", [_uniform, _skew])
def test_noise_of_another_shape_is_no_news_where_it_was_so_when_the_version_learned(
    noise: Callable[[np.random.Generator, int], Floats],
) -> None:
    errors = noise(np.random.default_rng(8), 55_500)
    learned, served = errors[:1500], errors[1500:]
    assert promised_scores(learned).max() > 0.53
    assert gather_evidence(served, _days(54_000)).since() is not None
    assert gather_evidence(served, _days(54_000), promised_scores(learned)).since() is None


def test_width_and_place_of_the_errors_that_a_version_learned_from_excuse_nothing() -> None:
    errors = _uniform(np.random.default_rng(10), 1500)
    np.testing.assert_allclose(promised_scores(3 * errors + 5), promised_scores(errors))


def test_a_version_that_learned_from_less_surprising_errors_promises_no_more_than_honesty() -> None:
    heavy_tailed = np.random.default_rng(11).standard_t(3, 1500)
    assert promised_scores(heavy_tailed)[0] == HONEST
    assert promised_scores(np.zeros(100)).tolist() == promised_scores(np.zeros(0)).tolist() == [HONEST] * 3


def test_the_fewer_policies_a_version_learned_from_the_more_is_tolerated() -> None:
    assert tolerated_margin(10_000) == tolerated_margin(1500) == MARGIN
    assert MARGIN < tolerated_margin(600) < tolerated_margin(200) < 0.09


def test_what_estimating_the_mean_moves_the_mean_scores_by_is_what_is_said() -> None:
    """A thousand expectations and spreads, each estimated from 500 errors, and what they say of a large portfolio."""
    random = np.random.default_rng(12)
    portfolio = norm.ppf((np.arange(2000) + 0.5) / 2000)
    learned = random.standard_normal((1000, 500))
    means = np.array([scores((portfolio - one.mean()) / one.std()).mean(axis=1) for one in learned])
    surprise, height, depth = means.std(axis=0) * np.sqrt(500)
    assert height == pytest.approx(depth) == pytest.approx(ESTIMATION_ERROR, rel=0.1)
    assert surprise < ESTIMATION_ERROR


def test_a_handful_of_absurd_outcomes_convinces_nobody() -> None:
    found = _errors(9, 1500)
    found[:5] = 1e12
    assert gather_evidence(found, _days(1500)).since() is None


def test_without_outcomes_there_is_no_evidence() -> None:
    nothing = gather_evidence(np.zeros(0), np.zeros(0, dtype="datetime64[D]"))
    assert (nothing.e_value, nothing.since()) == (1.0, None)


def test_overwhelming_evidence_stays_a_number() -> None:
    evidence = gather_evidence(np.full(50_000, 9.0), _days(50_000))
    assert np.isfinite(evidence.e_value)
    assert evidence.e_value > 1e300


def test_an_alarm_stays_when_later_outcomes_speak_for_the_version() -> None:
    days = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[D]")
    evidence = Evidence(days, np.log([10.0, 2000.0, 5.0]))
    assert evidence.since() == date(2024, 1, 2)
    assert evidence.e_value == pytest.approx(5.0)
