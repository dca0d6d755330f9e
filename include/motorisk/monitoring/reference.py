"""The champion's reference, prepared once: what windows are compared with, and how far chance alone moves them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from scipy.stats import hypergeom

from motorisk.errors import InvalidData
from motorisk.monitoring.calibration import RELEVANT, Budget, calibrate, calibrated_size
from motorisk.monitoring.columns import Column, Floats, Range, column_of
from motorisk.monitoring.evidence import flag_contrasts, number_contrasts
from motorisk.monitoring.measures import MEASURES
from motorisk.monitoring.scores import score
from motorisk.monitoring.windows import FeatureFigures

FLAG_RANGE = Range(0.0, 1.0)

Thresholds = dict[tuple[str, int], float]
"""By feature and calibrated size."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Columns and tolerated ranges of the reference, and thresholds, which grow as they are asked for.

    `fixed` is a threshold for every feature and size instead, for comparison.
    """

    columns: Mapping[str, Column]
    ranges: Mapping[str, Range]
    budget: Budget = field(default_factory=Budget)
    fixed: float | None = None
    thresholds: Thresholds = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        features: Mapping[str, Floats],
        budget: Budget | None = None,
        fixed: float | None = None,
        thresholds: Thresholds | None = None,
    ) -> "Reference":
        """From the reference's values by feature, each (m,); `InvalidData` where a feature has none."""
        ranges, columns = {}, {}
        for name, values in features.items():
            exact = column_of(values, Range(-float("inf"), float("inf")))
            if not len(exact.values):
                raise InvalidData(f"{name} has no value in the reference: nothing can be compared with it")
            ranges[name] = FLAG_RANGE if MEASURES[name].is_flag else Range.around(values)
            columns[name] = column_of(values, ranges[name])
        return cls(columns, ranges, budget or Budget(), fixed, thresholds if thresholds is not None else {})

    def column(self, feature: str, values: Floats) -> Column:
        """The exact column of a window's values (n,)."""
        return column_of(values, self.ranges[feature])

    def threshold(self, feature: str, rows: int) -> float:
        """What a score reaches by chance with so many rows as rarely as budgeted, or else what matters at all."""
        if self.fixed is not None:
            return self.fixed
        key = feature, calibrated_size(rows)
        if key not in self.thresholds:
            self.thresholds[key] = calibrate(
                feature, self.columns[feature], key[1], self.budget.threshold_chance, seed=_seed(feature)
            )
        return max(self.thresholds[key], RELEVANT)

    def measure(self, feature: str, current: Column) -> FeatureFigures:
        """What a window's column says; `InvalidData` where it has no value at all."""
        reference = self.columns[feature]
        if not len(current.values):
            raise InvalidData(f"{feature} has no value in the window: all {current.missing:,} are missing")
        contrasts = flag_contrasts if MEASURES[feature].is_flag else number_contrasts
        return FeatureFigures(
            score=score(feature, reference, current),
            threshold=self.threshold(feature, current.rows),
            rows=current.rows,
            missing=current.missing,
            more_missing=self._has_more_missing(reference, current),
            outliers=current.outliers,
            mean=current.mean,
            contrasts=tuple(contrasts(reference, current).tolist()),
        )

    def _has_more_missing(self, reference: Column, current: Column) -> bool:
        """Whether the window misses more values than it may share with the reference by chance (Fisher's test)."""
        size, total = current.rows + current.missing, reference.missing + current.missing
        rows = reference.rows + reference.missing + size
        return bool(hypergeom.sf(current.missing - 1, rows, total, size) <= self.budget.threshold_chance)


def _seed(feature: str) -> int:
    """The same draws whenever and wherever they are made."""
    return int.from_bytes(hashlib.sha256(feature.encode()).digest()[:4])
