"""Our scores are Evidently's, on exact columns to 1e-6 and on reduced ones within the stated bound."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from motorisk.domain.policy import FEATURES, FLAGS, NUMBERS
from motorisk.monitoring.columns import POINTS, Column, Grid, Range, Sketch, column_of
from motorisk.monitoring.drift import evidently_report, far_features, scores_of_report
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.scores import score, wasserstein
from motorisk.simulation.portfolio import draw_features

Floats = npt.NDArray[np.float64]


def _month(number: int, size: int = 1500, seed: int = 7) -> dict[str, Floats]:
    return draw_features(np.random.default_rng([seed, number]), number, size)


def _evidently(current: dict[str, Floats], reference: dict[str, Floats]) -> dict[str, float]:
    """Evidently's own scores of the rows as they are, by nothing of ours."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(numerical_columns=list(NUMBERS), categorical_columns=list(FLAGS))
    preset = DataDriftPreset(num_method="wasserstein", cat_method="jensenshannon")
    frames = (Dataset.from_pandas(pd.DataFrame(rows), definition) for rows in (current, reference))
    return scores_of_report(Report([preset]).run(*frames))


def _scores(current: dict[str, Floats], reference: dict[str, Floats]) -> dict[str, float]:
    prepared = Reference.of(reference)
    return {name: score(name, prepared.columns[name], prepared.column(name, current[name])) for name in FEATURES}


@pytest.mark.parametrize(("month", "rows", "reference_rows"), [(0, 1500, 1500), (12, 1500, 1500), (30, 311, 2222)])
def test_scores_are_evidentlys_own(month: int, rows: int, reference_rows: int) -> None:
    current, reference = _month(month, rows), _month(0, reference_rows, seed=8)
    assert _scores(current, reference) == pytest.approx(_evidently(current, reference), abs=1e-6)


def test_missing_values_and_ties_are_treated_as_evidently_does() -> None:
    current, reference = _month(12, 800), _month(0, 900)
    current["age"][:50] = np.nan
    current["miles"][:20] = np.nan
    current["training"][100:130] = np.nan
    reference["power"][:10] = np.nan
    for rows in (current, reference):
        rows["braking_distance"] = np.round(rows["braking_distance"])
    assert _scores(current, reference) == pytest.approx(_evidently(current, reference), abs=1e-6)


def test_a_flag_that_nobody_has_any_more_is_far_away() -> None:
    current, reference = _month(0), _month(0, seed=8)
    current["training"] = np.zeros(1500)
    found = _scores(current, reference)
    assert found == pytest.approx(_evidently(current, reference), abs=1e-6)
    assert found["training"] > 0.2


def test_evidently_is_handed_the_same_columns_and_thresholds() -> None:
    current, reference = _month(12), _month(0)
    prepared = Reference.of(reference)
    columns = {name: prepared.column(name, current[name]) for name in FEATURES}
    thresholds = {name: prepared.threshold(name, 1500) for name in FEATURES}
    report = evidently_report(columns, prepared.columns, thresholds)
    assert scores_of_report(report) == pytest.approx(_scores(current, reference), abs=1e-6)
    told = {
        metric["config"]["column"]: metric["config"]["threshold"]
        for metric in report.dict()["metrics"]
        if "column" in metric["config"]
    }
    assert told == pytest.approx(thresholds)


def _sketched(values: Floats, tolerated: Range, batch: int = 7_000) -> Column:
    sketch = Sketch(Grid(tolerated))
    for start in range(0, len(values), batch):
        sketch.add(values[start : start + batch])
    return sketch.column()


@pytest.mark.parametrize("month", [0, 1, 24])
@pytest.mark.parametrize("name", NUMBERS)
def test_reduced_columns_keep_the_score_within_the_stated_bound(name: str, month: int) -> None:
    reference = Reference.of(_month(0))
    values = _month(month, 200_000, seed=9)[name]
    exact = wasserstein(reference.columns[name], reference.column(name, values))
    grid = Grid(reference.ranges[name])
    bound = grid.error_bound(reference.columns[name].spread)
    assert bound < 0.002
    reduced = _sketched(values, reference.ranges[name])
    assert abs(wasserstein(reference.columns[name], reduced) - exact) <= bound
    points = column_of(reduced.points(POINTS), reference.ranges[name])
    wider = grid.error_bound(reference.columns[name].spread, POINTS)
    assert abs(wasserstein(reference.columns[name], points) - exact) <= wider < 0.003


def test_the_bound_holds_where_values_lie_as_badly_as_they_can() -> None:
    """Half of a cell's values at its one end and half at the other: the mean is half a cell away from each."""
    tolerated = Range(0.0, 8.0)
    grid = Grid(tolerated, cells=8)
    values = np.repeat([2.0, 3.0 - 1e-12, 5.0, 6.0 - 1e-12], 50)
    reference = column_of(values, tolerated)
    sketch = Sketch(grid)
    sketch.add(values)
    off = wasserstein(reference, sketch.column())
    assert off == pytest.approx(grid.error_bound(reference.spread))


def test_evidentlys_page_of_millions_agrees_with_our_score_within_the_bound() -> None:
    reference = Reference.of(_month(0))
    month = _month(18, 150_000)
    columns = {
        name: reference.column(name, month[name]) if name in FLAGS else _sketched(month[name], reference.ranges[name])
        for name in FEATURES
    }
    told = scores_of_report(evidently_report(columns, reference.columns, dict.fromkeys(FEATURES, 0.1)))
    for name in FEATURES:
        ours = score(name, reference.columns[name], columns[name])
        bound = (
            1e-4 if name in FLAGS else Grid(reference.ranges[name]).error_bound(reference.columns[name].spread, POINTS)
        )
        assert abs(told[name] - ours) <= bound, name


def test_batches_and_missing_values_add_up() -> None:
    values = _month(3, 30_000)["miles"]
    values[::1000], values[1] = np.nan, 1e9
    tolerated = Range.around(values)
    one, many = _sketched(values, tolerated, 30_000), _sketched(values, tolerated, 1_234)
    assert (one.rows, one.missing, one.outliers) == (29_970, 30, 1)
    assert (many.rows, many.missing, many.outliers) == (one.rows, one.missing, one.outliers)
    np.testing.assert_allclose(one.values, many.values)
    assert one.mean == pytest.approx(column_of(values, tolerated).mean)


def test_an_absurd_row_is_counted_and_moves_no_score() -> None:
    reference, current = Reference.of(_month(0)), _month(0, seed=8)
    before = reference.measure("miles", reference.column("miles", current["miles"]))
    current["miles"][5] = 1e9
    after = reference.measure("miles", reference.column("miles", current["miles"]))
    assert (before.outliers, after.outliers) == (0, 1)
    assert after.score == pytest.approx(before.score, abs=0.006)
    assert after.score < after.threshold
    assert _evidently(current, _month(0))["miles"] > 1000


def test_absurd_rows_in_the_reference_do_not_stretch_the_range() -> None:
    reference = _month(0)
    clean = Range.around(reference["miles"])
    reference["miles"][:3] = 1e9
    assert Range.around(reference["miles"]).upper < 1.2 * clean.upper


@pytest.mark.parametrize("values", [np.full(500, 3.0), np.concatenate([np.zeros(999), [7.0]])])
def test_a_nearly_constant_feature_can_still_drift(values: Floats) -> None:
    reference = Reference.of({"power": values})
    moved = reference.measure("power", reference.column("power", values + 1.0))
    assert moved.score > moved.threshold
    same = reference.measure("power", reference.column("power", values))
    assert same.score == pytest.approx(0.0, abs=1e-12)
    assert same.outliers == 0


def test_far_features_are_named_the_farthest_first() -> None:
    assert far_features(_month(12), _month(0)) == ["miles", "emergency_braking", "age"]
    assert far_features(_month(0), _month(0)) == []
