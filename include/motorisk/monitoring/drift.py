"""Drift of the features, measured by Evidently: Wasserstein distance for numbers, Jensen-Shannon for flags."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from motorisk.domain.policy import FEATURES, FLAGS, NUMBERS

# Named, because Evidently's choice for fewer than 1,000 rows is tests whose scores mean the opposite (p-values).
NUMBER_METHOD, FLAG_METHOD = "wasserstein", "jensenshannon"
THRESHOLD = 0.1

_METRIC = re.compile(r"ValueDrift\(column=(?P<feature>\w+),method=(?P<method>.+),threshold=(?P<threshold>[^,)]+)\)")


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """How far one feature is from the reference; drifted where the score reaches the threshold."""

    score: float
    method: str
    threshold: float
    drifted: bool


@dataclass(frozen=True, slots=True)
class DriftMeasurement:
    """Drift by feature; the dataset drifts where at least half of the features do (Evidently's preset)."""

    features: dict[str, FeatureDrift]
    drifted_share: float
    dataset_drift: bool
    report: Any

    def save(self, folder: Path) -> Path:
        """Write `report.html` and `snapshot.json` into a folder; return the path of the HTML."""
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / "report.html"
        self.report.save_html(str(page))
        (folder / "snapshot.json").write_text(self.report.json(), encoding="utf-8")
        return page


def _frame(features: dict[str, npt.NDArray[np.float64]]) -> pd.DataFrame:
    return pd.DataFrame({name: features[name] for name in FEATURES})


def measure_drift(
    current: dict[str, npt.NDArray[np.float64]], reference: dict[str, npt.NDArray[np.float64]]
) -> DriftMeasurement:
    """Compare current features, each (n,), with the reference's, each (m,)."""
    # Takes seconds to import.
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(numerical_columns=list(NUMBERS), categorical_columns=list(FLAGS))
    preset = DataDriftPreset(
        num_method=NUMBER_METHOD, num_threshold=THRESHOLD, cat_method=FLAG_METHOD, cat_threshold=THRESHOLD
    )
    report = Report([preset]).run(
        Dataset.from_pandas(_frame(current), definition), Dataset.from_pandas(_frame(reference), definition)
    )
    found: dict[str, FeatureDrift] = {}
    share = limit = 0.0
    for metric in report.dict()["metrics"]:
        match = _METRIC.fullmatch(metric["metric_name"])
        if match is None:
            share, limit = metric["value"]["share"], metric["config"]["drift_share"]
            continue
        score, threshold = float(metric["value"]), float(match["threshold"])
        found[match["feature"]] = FeatureDrift(score, match["method"], threshold, score >= threshold)
    return DriftMeasurement({name: found[name] for name in FEATURES}, float(share), share >= limit, report)
