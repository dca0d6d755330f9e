"""Evidence adds up, budgets are kept, states do not flap."""

import itertools
from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from motorisk.domain.policy import FEATURES
from motorisk.monitoring.calibration import Budget
from motorisk.monitoring.evidence import convincing, flag_contrasts, log_evidence, newest_log_evidence, number_contrasts
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.verdict import follow, latched
from motorisk.monitoring.windows import Window
from motorisk.simulation.portfolio import draw_features

DAY = date(2024, 1, 1)
Windows = Callable[..., list[Window]]
WORKSHOP = {"miles": 6, "emergency_braking": 10, "age": 11}


def test_drifting_features_are_alarmed_no_later_than_by_fixed_thresholds_and_stay_so(
    reference: Reference, windows: Windows
) -> None:
    verdicts = follow(reference, windows(reference, range(1, 37)))
    for name, month in WORKSHOP.items():
        states = [verdict.drifted[name] for verdict in verdicts]
        assert any(states[:month]), name
        assert all(states[states.index(True) :]), name
    for name in FEATURES.keys() - WORKSHOP.keys():
        assert not any(verdict.drifted[name] for verdict in verdicts), name
    flags = [verdict.dataset_drift for verdict in verdicts]
    assert flags == sorted(flags)
    assert flags[-1]


def test_small_windows_find_it_as_well(reference: Reference, windows: Windows) -> None:
    """Five windows of 300 a month."""
    verdicts = follow(reference, windows(reference, np.repeat(np.arange(1, 15), 5).tolist(), rows=300))
    for name, month in WORKSHOP.items():
        assert any(verdict.drifted[name] for verdict in verdicts[: (month + 3) * 5]), name
    assert not any(verdict.drifted[name] for verdict in verdicts for name in FEATURES.keys() - WORKSHOP.keys())


def test_a_world_that_stands_still_keeps_within_the_budget(windows: Windows) -> None:
    """Eight references, 240 windows each: eight alarms are allowed, and the luck of the draw on top."""
    raised = 0
    for seed in range(8):
        reference = Reference.of(draw_features(np.random.default_rng([21, seed]), 0, 1000))
        verdicts = follow(reference, windows(reference, [0] * 240, rows=400, seed=100 + seed))
        for name in FEATURES:
            states = np.array([False] + [verdict.drifted[name] for verdict in verdicts])
            raised += int((states[1:] & ~states[:-1]).sum())
    assert raised <= 8 + 2 * np.sqrt(8)


def _null(random: np.random.Generator, windows: int, rows: float, reference_rows: float) -> np.ndarray:
    shared = random.standard_normal((1, 1)) / np.sqrt(reference_rows)
    return np.asarray(shared + random.standard_normal((1, windows)) / np.sqrt(rows))


@pytest.mark.parametrize(("rows", "windows"), [(1500, 36), (300, 90)])
def test_evidence_for_nothing_is_as_rare_as_promised(rows: int, windows: int) -> None:
    random = np.random.default_rng(4)
    highest = [log_evidence(_null(random, windows, rows, 1500), np.full(windows, rows), 1500).max() for _ in range(800)]
    for chance in (0.05, 0.02):
        share = np.mean(np.array(highest) >= convincing(chance))
        assert share <= chance + 3 * np.sqrt(chance / 800)


def test_the_references_own_error_does_not_add_up() -> None:
    """A reference that is two standard errors off is no drift, however many windows say so."""
    off = np.full((1, 500), 2 / np.sqrt(1500))
    assert log_evidence(off, np.full(500, 1500), 1500).max() < convincing(0.02)
    grows = log_evidence(2 * off, np.full(500, 1500), 1500)
    assert grows.max() > convincing(0.02), "four are another matter"


def test_evidence_never_depends_on_later_windows() -> None:
    random = np.random.default_rng(5)
    contrasts, rows = random.normal(0, 0.05, (4, 30)), random.integers(100, 2000, 30)
    whole = log_evidence(contrasts, rows, 1500)
    for last in (1, 7, 30):
        part = contrasts[:, :last], rows[:last], 1500
        assert log_evidence(*part)[-1] == pytest.approx(whole[last - 1])
        assert newest_log_evidence(*part) == pytest.approx(whole[last - 1])


def test_a_likelihood_ratio_is_that_of_the_normal_distributions_it_stands_for() -> None:
    """One window, one contrast, against the densities themselves."""
    from scipy.stats import norm

    y, rows, reference_rows = 0.2, 400.0, 900.0
    noise = np.sqrt(1 / rows + 1 / reference_rows)
    ratios = [norm.pdf(y, 0, np.hypot(noise, size)) / norm.pdf(y, 0, noise) for size in (0.01, 0.04, 0.1)]
    # Half of the capital is risked from the first window on, the other half waits.
    expected = 0.5 * np.mean(ratios) + 0.5
    assert log_evidence(np.array([[y]]), np.array([rows]), reference_rows) == pytest.approx(np.log(expected))


def test_one_absurd_row_is_no_evidence(reference: Reference) -> None:
    values = draw_features(np.random.default_rng(6), 0, 1500)["miles"]
    before = number_contrasts(reference.columns["miles"], reference.column("miles", values))
    values[0] = 1e9
    after = number_contrasts(reference.columns["miles"], reference.column("miles", values))
    assert np.abs(after - before).max() < 0.012


def test_contrasts_have_unit_variance_where_nothing_has_changed() -> None:
    found = []
    for seed in range(300):
        random = np.random.default_rng([31, seed])
        reference = Reference.of(draw_features(random, 0, 500))
        current = draw_features(random, 0, 250)
        numbers = [number_contrasts(reference.columns["age"], reference.column("age", current["age"]))]
        flags = [flag_contrasts(reference.columns["training"], reference.column("training", current["training"]))]
        found.append(np.concatenate(numbers + flags))
    spread = np.array(found).std(axis=0) / np.sqrt(1 / 250 + 1 / 500)
    assert spread == pytest.approx(np.ones(5), abs=0.17)  # 4 standard errors


def test_a_drift_that_is_over_is_over(reference: Reference, windows: Windows) -> None:
    """Eight months far away, then as in the reference again."""
    verdicts = follow(reference, windows(reference, [20] * 8 + [0] * 40))
    states = [verdict.drifted["miles"] for verdict in verdicts]
    assert all(states[:8])
    assert not any(states[-10:])
    assert len([1 for before, after in itertools.pairwise(states) if before != after]) == 1


def test_a_difference_that_means_nothing_is_no_drift_however_certain() -> None:
    """Windows of 200,000 against a reference of as many: a hundredth of a standard deviation is certain."""
    random = np.random.default_rng(8)
    reference = Reference.of({"power": random.normal(100, 10, 200_000)})
    for shift, expected in ((0.12, False), (0.5, True)):
        values = [random.normal(100 + shift, 10, 200_000) for _ in range(6)]
        figures = [reference.measure("power", reference.column("power", column)) for column in values]
        verdicts = follow(reference, [Window(DAY, DAY, {"power": one}) for one in figures])
        assert verdicts[-1].log_evidence["power"] > convincing(reference.budget.evidence_chance)
        assert verdicts[-1].drifted["power"] is expected


def test_fixed_thresholds_judge_each_window_by_itself(windows: Windows) -> None:
    reference = Reference.of(draw_features(np.random.default_rng([3, 0]), 0, 1500), fixed=0.1)
    measured = windows(reference, [0, 24, 0])
    verdicts = follow(reference, measured)
    assert [verdict.drifted["miles"] for verdict in verdicts] == [False, True, False]
    assert [verdict.dataset_drift for verdict in verdicts] == [False, True, False]
    assert {figures.threshold for window in measured for figures in window.features.values()} == {0.1}


def test_a_state_ends_after_two_calm_windows_in_a_row() -> None:
    raised = np.array([0, 1, 0, 0, 1, 0, 0, 0, 0], dtype=bool)
    calm = np.array([1, 0, 1, 0, 0, 1, 1, 1, 1], dtype=bool)
    assert latched(raised, calm).astype(int).tolist() == [0, 1, 1, 1, 1, 1, 0, 0, 0]


def test_a_stricter_budget_is_harder_to_convince() -> None:
    assert convincing(Budget(2400).evidence_chance) > convincing(Budget(240).evidence_chance) > 0
