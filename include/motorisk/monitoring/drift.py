"""Drift of the features: Wasserstein distance for numbers, Jensen-Shannon for flags, and Evidently's report of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from motorisk.domain.policy import FEATURES
from motorisk.monitoring.columns import EXACT_ROWS, POINTS, Column, Floats
from motorisk.monitoring.evidence import convincing
from motorisk.monitoring.measures import MEASURES
from motorisk.monitoring.onset import find_onset, find_trend
from motorisk.monitoring.promise import e_value
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.scores import FLAG_METHOD, NUMBER_METHOD, method_of, score
from motorisk.monitoring.verdict import DRIFT_SHARE, Verdict, alone
from motorisk.monitoring.windows import Window
from motorisk.monitoring.wording import describe

THRESHOLD = 0.1
"""Evidently's, the same for every sample size: it fires by chance in 31 % of the months of 500 rows."""


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """How far one feature is from the reference, and whether it drifts: by its score, or by evidence of many windows.

    `rows` have a value; `evidence` is an e-value, and convinces from `evidence_threshold` on (both None with fixed
    thresholds). `since` and its interval are there where the feature drifts; `per_month` is in the feature's unit;
    `passes` is when the score passes its threshold at this rate, with its interval. `says` tells all of it.
    """

    score: float
    method: str
    threshold: float
    drifted: bool
    rows: int
    missing: int
    more_missing: bool
    outliers: int
    evidence: float | None = None
    evidence_threshold: float | None = None
    since: date | None = None
    since_earliest: date | None = None
    since_latest: date | None = None
    per_month: float | None = None
    passes: date | None = None
    passes_earliest: date | None = None
    passes_latest: date | None = None
    says: str = ""


def drifted_names(features: Mapping[str, FeatureDrift]) -> list[str]:
    """Which of the features drift, the farthest first."""
    drifted = {name: drift for name, drift in features.items() if drift.drifted}
    return sorted(drifted, key=lambda name: -drifted[name].score)


def drifts_of(
    reference: Reference, windows: Sequence[Window], verdict: Verdict, *, by_month: bool = True
) -> dict[str, FeatureDrift]:
    """What is known of each feature after the last of the windows, whose verdict is given."""
    is_fixed = reference.fixed is not None
    return {
        name: _drift_of(reference, windows, verdict, name, by_month=by_month, adds_up=not is_fixed)
        for name in reference.columns
    }


def drifts_alone(reference: Reference, window: Window) -> tuple[Verdict, dict[str, FeatureDrift]]:
    """What a window says by its scores alone: nothing of earlier ones, no since when.

    For windows that share most of their rows with their neighbours, or that others add up.
    """
    verdict = alone(window)
    features = {
        name: _drift_of(reference, [window], verdict, name, by_month=False, adds_up=False, dates=False)
        for name in reference.columns
    }
    return verdict, features


def _drift_of(
    reference: Reference,
    windows: Sequence[Window],
    verdict: Verdict,
    feature: str,
    *,
    by_month: bool,
    adds_up: bool,
    dates: bool = True,
) -> FeatureDrift:
    figures, drifted = windows[-1].features[feature], verdict.drifted[feature]
    onset = trend = None
    if drifted and dates:
        onset = find_onset(reference, windows, feature)
        trend = find_trend(reference, windows, feature, onset.since)
    says = describe(
        feature,
        figures,
        reference_mean=reference.columns[feature].mean,
        tolerated=reference.ranges[feature],
        is_fixed=reference.fixed is not None,
        drifted=drifted,
        onset=onset,
        trend=trend,
        by_month=by_month,
    )
    return FeatureDrift(
        score=figures.score,
        method=method_of(feature),
        threshold=figures.threshold,
        drifted=drifted,
        rows=figures.rows,
        missing=figures.missing,
        more_missing=figures.more_missing,
        outliers=figures.outliers,
        evidence=e_value(verdict.log_evidence[feature]) if adds_up else None,
        evidence_threshold=e_value(convincing(reference.budget.evidence_chance)) if adds_up else None,
        since=onset.since if onset else None,
        since_earliest=onset.earliest if onset else None,
        since_latest=onset.latest if onset else None,
        per_month=trend.per_month if trend else None,
        passes=trend.passes if trend else None,
        passes_earliest=trend.earliest if trend else None,
        passes_latest=trend.latest if trend else None,
        says=says,
    )


def far_features(current: Mapping[str, Floats], reference: Mapping[str, Floats]) -> list[str]:
    """Features whose scores reach Evidently's fixed threshold, the farthest first."""
    prepared = Reference.of(reference, fixed=THRESHOLD)
    scores = {name: score(name, prepared.columns[name], prepared.column(name, current[name])) for name in FEATURES}
    return sorted((name for name in scores if scores[name] >= THRESHOLD), key=lambda name: -scores[name])


def evidently_report(
    current: Mapping[str, Column], reference: Mapping[str, Column], thresholds: Mapping[str, float]
) -> Any:
    """Evidently's report on the same columns with the same thresholds.

    Of reduced and of very long columns Evidently gets `POINTS` points each: what is common to several columns of a row
    is lost then, and the preset does not look at it.
    """
    # Takes seconds to import.
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    flags = [name for name in reference if MEASURES[name].is_flag]
    definition = DataDefinition(
        numerical_columns=[name for name in reference if name not in flags], categorical_columns=flags
    )
    preset = DataDriftPreset(
        num_method=NUMBER_METHOD,
        cat_method=FLAG_METHOD,
        per_column_threshold=dict(thresholds),
        drift_share=DRIFT_SHARE,
    )
    return Report([preset]).run(
        Dataset.from_pandas(_frame(current), definition), Dataset.from_pandas(_frame(reference), definition)
    )


def scores_of_report(report: Any) -> dict[str, float]:
    """The score of each feature, as Evidently has computed it."""
    metrics = (metric for metric in report.dict()["metrics"] if "column" in metric["config"])
    return {metric["config"]["column"]: float(metric["value"]) for metric in metrics}


def _frame(columns: Mapping[str, Column]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(_rows(name, column)) for name, column in columns.items()})


def _rows(feature: str, column: Column) -> Floats:
    """One value a row, as Evidently wants them; missing values are left out, as Evidently does itself."""
    if column.weights.max() == 1.0 and column.rows <= EXACT_ROWS:
        return column.values
    if MEASURES[feature].is_flag:
        ones = round(column.mean * POINTS)
        return np.repeat([0.0, 1.0], [POINTS - ones, ones])
    return column.points(POINTS)
