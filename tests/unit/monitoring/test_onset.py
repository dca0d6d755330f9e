"""Since when, how fast, and when a bound is passed."""

import re
from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pytest

from motorisk.domain.calendar import add_months, months_between
from motorisk.monitoring.columns import Range
from motorisk.monitoring.drift import drifts_of
from motorisk.monitoring.onset import Trend, bounds_of_mean, find_onset, find_trend
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.scores import score
from motorisk.monitoring.verdict import follow
from motorisk.monitoring.windows import FeatureFigures, Window
from motorisk.monitoring.wording import describe
from motorisk.simulation.portfolio import draw_features

Windows = Callable[..., list[Window]]
START = date(2023, 1, 1)


def _month(number: int) -> date:
    return add_months(START, number)


def test_a_sudden_change_is_dated_to_its_month(reference: Reference, windows: Windows) -> None:
    onset = find_onset(reference, windows(reference, [0] * 10 + [16] * 6), "miles")
    assert onset.since == _month(11)
    assert _month(9) <= onset.earliest <= onset.since <= onset.latest <= _month(12)


def test_intervals_of_gradual_drifts_cover_the_month_in_which_they_began(
    reference: Reference, windows: Windows
) -> None:
    known, covered = reference, []
    for seed in range(20):
        drawn = draw_features(np.random.default_rng([41, seed]), 0, 1500)
        reference = Reference.of(drawn, thresholds=known.thresholds)
        history = windows(reference, [max(month - 8, 0) for month in range(1, 25)], seed=200 + seed)
        onset = find_onset(reference, history, "miles")
        assert onset.earliest <= onset.since <= onset.latest
        covered.append(onset.earliest <= _month(9) <= onset.latest)
    assert sum(covered) >= 16  # 19 expected


def test_the_trend_is_the_worlds_own(reference: Reference, windows: Windows) -> None:
    history = windows(reference, range(1, 37))
    for name, per_month in (("miles", -0.5), ("age", 0.1), ("emergency_braking", 0.015)):
        trend = find_trend(reference, history, name, _month(1))
        assert trend is not None
        assert abs(trend.per_month - per_month) < 4 * trend.error < 0.5 * abs(per_month)


def test_forecasts_cover_the_month_in_which_the_bound_is_passed(reference: Reference, windows: Windows) -> None:
    """The mean of miles falls by half a thousand a month, whatever the noise of a run makes of it."""
    known, covered, off = reference, [], []
    for seed in range(20):
        drawn = draw_features(np.random.default_rng([42, seed]), 0, 1500)
        reference = Reference.of(drawn, thresholds=known.thresholds)
        history = windows(reference, range(1, 7), seed=300 + seed)
        trend = find_trend(reference, history, "miles", _month(1))
        assert trend is not None
        if trend.passes is None:
            continue
        low, _ = bounds_of_mean(reference, "miles", history[-1].features["miles"].threshold)
        world = draw_features(np.random.default_rng(0), 0, 400_000)["miles"].mean()
        truth = _month(0) + timedelta(days=15 + round((world - low) / 0.5 * 30.4375))
        covered.append((trend.earliest or date.max) <= truth <= (trend.latest or date.max))
        off.append(months_between(truth, trend.passes))
    assert len(covered) >= 10
    assert np.mean(covered) > 0.75
    assert abs(np.median(off)) < 2


def test_a_mean_at_its_bound_has_a_score_at_its_threshold(reference: Reference) -> None:
    values = draw_features(np.random.default_rng([3, 0]), 0, 1500)
    for name in ("miles", "age"):
        _, high = bounds_of_mean(reference, name, 0.12)
        moved = reference.column(name, values[name] + (high - values[name].mean()))
        assert score(name, reference.columns[name], moved) == pytest.approx(0.12, abs=1e-6)
    low, high = bounds_of_mean(reference, "training", 0.05)
    for share in (low, high):
        flags = reference.column("training", (np.arange(1_000_000) < share * 1_000_000).astype(float))
        assert score("training", reference.columns["training"], flags) == pytest.approx(0.05, abs=1e-5)


def test_too_few_windows_give_no_trend(reference: Reference, windows: Windows) -> None:
    assert find_trend(reference, windows(reference, [1, 2, 3]), "miles", _month(1)) is None


def _says(reference: Reference, history: list[Window]) -> dict[str, str]:
    found = drifts_of(reference, history, follow(reference, history)[-1])
    return {name: drift.says for name, drift in found.items()}


def test_sentences_tell_what_a_cell_means(reference: Reference, windows: Windows) -> None:
    late = _says(reference, windows(reference, range(1, 25)))
    assert late["miles"].startswith("miles drifts since about 2023-0")
    assert "falling by 0.4" in late["miles"]
    assert "percentage points above that of the reference, rising by 1." in late["emergency_braking"]
    assert late["power"].startswith("power is as in the reference (score 0.0")
    early = _says(reference, windows(reference, range(1, 13)))
    assert "no single window shows it, all together do" in early["age"]
    assert re.search(
        r"At this rate it passes 3\d(\.\d)? years, from where on each month by itself shows it, in 20", early["age"]
    )


def test_forecasts_speak_of_bounds_that_lie_ahead(reference: Reference, windows: Windows) -> None:
    late = _says(reference, windows(reference, range(1, 25)))
    assert "At this rate" not in late["miles"], "it has passed its bound long ago"
    back = _says(reference, windows(reference, [*range(1, 15), 12, 10, 8, 6, 4]))
    assert "At this rate" not in back["emergency_braking"]


def test_sentences_tell_a_drift_that_goes_back_and_one_that_is_slow() -> None:
    figures = FeatureFigures(0.1, 0.12, 1500, 0, False, 0, 48.0, (0.0,))

    def said(trend: Trend) -> str:
        known = {"reference_mean": 50.0, "tolerated": Range(0.0, 200.0), "drifted": True}
        return describe("miles", figures, **known, trend=trend)

    assert "It is on its way back." in said(Trend(per_month=0.5, error=0.1))
    assert "way back" not in said(Trend(per_month=0.5, error=0.4))
    assert "stays within 45 thousand miles a year, from where on" in said(Trend(-0.01, 0.1, bound=45.0))
    dated = Trend(-0.5, 0.1, _month(6), _month(4), None, bound=45.0)
    assert "by itself shows it, in 2023-07 (2023-05 at the earliest, perhaps never)." in said(dated)


def test_sentences_tell_outliers_and_missing_values(reference: Reference) -> None:
    values = draw_features(np.random.default_rng(5), 0, 1500)
    values["miles"][0] = 1e9
    values["age"][:60] = np.nan
    figures = {name: reference.measure(name, reference.column(name, values[name])) for name in values}
    said = _says(reference, [Window(_month(1), _month(2), figures)])
    assert "1 of 1,500 values lie outside" in said["miles"]
    assert "60 of 1,500 values are missing, more than chance explains." in said["age"]
    assert "as in the reference" in said["miles"]


def test_figures_survive_their_storage(reference: Reference, windows: Windows) -> None:
    import json

    for window in windows(reference, [0, 3]):
        content = json.loads(json.dumps(window.as_json()))
        assert Window.of_json(window.first, window.last, content) == window
