"""Betting against what a version promised."""

from datetime import date

import numpy as np
import pytest
from scipy.stats import kstest

from motorisk.monitoring.promise import (
    BOLDNESS,
    ESTIMATION_ERROR,
    HONEST,
    MARGIN,
    Evidence,
    Floats,
    gather_evidence,
    promised_surprise,
    surprises,
    tolerated_margin,
)

START = np.datetime64("2024-01-01")


def _days(count: int, a_day: int = 50) -> "np.ndarray[tuple[int], np.dtype[np.datetime64]]":
    return np.asarray(START + np.arange(count) // a_day)


def _outcomes(seed: int, count: int, width: float = 1.0) -> Floats:
    """Surprises of outcomes that lie about their expectation, errors so many times as wide as stated."""
    return surprises(width * np.random.default_rng(seed).standard_normal(count))


def test_honest_outcomes_surprise_evenly() -> None:
    found = _outcomes(1, 20_000)
    assert kstest(found, "uniform").pvalue > 0.01
    assert found.mean() == pytest.approx(HONEST, abs=0.01)


def test_the_outcome_that_was_expected_is_no_surprise_and_a_far_one_is_a_whole_one() -> None:
    assert surprises(np.array([0.0, 1e9, -1e9])).tolist() == [0.0, 1.0, 1.0]


def test_the_evidence_is_the_capital_of_all_bets_taken_one_by_one() -> None:
    found, known_on = _outcomes(2, 3000, 1.3), _days(3000, 20)
    months = known_on.astype("datetime64[M]")
    starts = np.unique(months)
    capital = 1 / (len(starts) + 1)
    for number, start in enumerate(starts, 1):
        for share in BOLDNESS:
            stake = 1 / (number * (number + 1)) / len(BOLDNESS)
            for surprise in found[months >= start]:
                stake *= 1 + share * (surprise / 0.52 - 1)
            capital += stake
    evidence = gather_evidence(found, known_on, margin=0.02)
    assert evidence.e_value == pytest.approx(capital, rel=1e-9)


def test_the_order_within_a_day_does_not_matter_and_nothing_later_does() -> None:
    found, known_on = _outcomes(3, 2000, 1.2), _days(2000)
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
        gather_evidence(_outcomes(seed, 3650), _days(3650, 10), margin=0.0).since(0.05) is not None
        for seed in range(400)
    )
    assert 0 < accused <= 400 * 0.05


def test_errors_a_little_wider_than_stated_are_tolerated_for_ever() -> None:
    assert gather_evidence(_outcomes(4, 200_000, 1.05), _days(200_000)).since() is None


def test_errors_a_quarter_wider_than_stated_are_found_within_a_month() -> None:
    evidence = gather_evidence(_outcomes(5, 54_000, 1.25), _days(54_000))
    since = evidence.since()
    assert since is not None
    assert date(2024, 1, 2) < since < date(2024, 2, 1)


def test_two_good_years_are_no_credit_when_the_world_turns() -> None:
    good, bad = _outcomes(6, 36_500), _outcomes(7, 3000, 1.25)
    evidence = gather_evidence(np.concatenate([good, bad]), _days(39_500))
    turned = (START + 730).astype(object)
    since = evidence.since()
    assert since is not None
    assert 0 < (since - turned).days < 45


def test_noise_of_another_shape_is_no_news_where_it_was_so_when_the_version_learned() -> None:
    random = np.random.default_rng(8)
    errors = random.uniform(-np.sqrt(3), np.sqrt(3), 55_500)
    learned, served = errors[:1500], surprises(errors[1500:])
    assert promised_surprise(learned) > 0.53
    assert gather_evidence(served, _days(54_000)).since() is not None
    assert gather_evidence(served, _days(54_000), promised_surprise(learned)).since() is None


def test_the_width_of_the_errors_that_a_version_learned_from_excuses_nothing() -> None:
    errors = np.random.default_rng(10).uniform(-1, 1, 1500)
    assert promised_surprise(3 * errors) == pytest.approx(promised_surprise(errors))


def test_a_version_that_learned_from_less_surprising_errors_promises_no_more_than_honesty() -> None:
    assert promised_surprise(np.random.default_rng(11).standard_t(3, 1500)) == HONEST
    assert promised_surprise(np.zeros(100)) == promised_surprise(np.zeros(0)) == HONEST


def test_the_fewer_policies_a_version_learned_from_the_more_is_tolerated() -> None:
    assert tolerated_margin(10_000) == tolerated_margin(1500) == MARGIN
    assert MARGIN < tolerated_margin(600) < tolerated_margin(200) < 0.07


def test_what_estimating_the_spread_moves_the_mean_surprise_by_is_what_is_said() -> None:
    """A thousand spreads, each estimated from 500 errors."""
    estimated = np.random.default_rng(12).standard_normal((1000, 500)).std(axis=1)
    mean_surprise = 2 / np.pi * np.arctan(1 / estimated)
    assert mean_surprise.std() == pytest.approx(ESTIMATION_ERROR / np.sqrt(500), rel=0.1)


def test_a_handful_of_absurd_outcomes_convinces_nobody() -> None:
    found = _outcomes(9, 1500)
    found[:5] = surprises(np.full(5, 1e12))
    assert gather_evidence(found, _days(1500)).since() is None


def test_without_outcomes_there_is_no_evidence() -> None:
    nothing = gather_evidence(np.zeros(0), np.zeros(0, dtype="datetime64[D]"))
    assert (nothing.e_value, nothing.since()) == (1.0, None)


def test_overwhelming_evidence_stays_a_number() -> None:
    evidence = gather_evidence(np.ones(50_000), _days(50_000))
    assert np.isfinite(evidence.e_value)
    assert evidence.e_value > 1e300


def test_an_alarm_stays_when_later_outcomes_speak_for_the_version() -> None:
    days = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[D]")
    evidence = Evidence(days, np.log([10.0, 2000.0, 5.0]))
    assert evidence.since() == date(2024, 1, 2)
    assert evidence.e_value == pytest.approx(5.0)
