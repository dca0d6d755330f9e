"""What windows say, one after the other: the figures that are kept of each, small enough for years of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class FeatureFigures:
    """One feature in one window.

    `rows` have a value, `missing` have none (`more_missing`: more than chance explains), `outliers` lie outside the
    tolerated range; `mean` is in the feature's unit; `contrasts` are what evidence adds up.
    """

    score: float
    threshold: float
    rows: int
    missing: int
    more_missing: bool
    outliers: int
    mean: float
    contrasts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The figures of the rows from one day to another (both included), by feature."""

    first: date
    last: date
    features: Mapping[str, FeatureFigures]

    def as_json(self) -> dict[str, Any]:
        """The figures, for storage."""
        return {name: asdict(figures) for name, figures in self.features.items()}

    @classmethod
    def of_json(cls, first: date, last: date, content: Mapping[str, Mapping[str, Any]]) -> "Window":
        """What `as_json` wrote."""
        return cls(
            first,
            last,
            {
                name: FeatureFigures(**{**figures, "contrasts": tuple(figures["contrasts"])})
                for name, figures in content.items()
            },
        )
