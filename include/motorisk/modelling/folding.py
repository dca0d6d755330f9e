"""Fold a fitted GAM into a rating plan: the same function, as breakpoints and cubics."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline, PPoly
from sklearn.pipeline import Pipeline

from motorisk.domain.policy import FEATURES, FLAGS, NUMBERS
from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic, RatingPlan, Support
from motorisk.domain.risk import CLASS_BOUNDS
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import contribution


def fold_spline(spline: Any, coefficients: npt.NDArray[np.float64]) -> PiecewiseCubic:
    """A spline basis of scikit-learn times its coefficients, linear beyond the outer knots.

    `spline` is a fitted transformer's `bsplines_[j]`; the piecewise cubic equals it to rounding.
    """
    degree = spline.k
    first, last = spline.t[degree], spline.t[-degree - 1]
    polynomial = PPoly.from_spline(BSpline(spline.t, coefficients, degree))
    inside = [i for i in range(len(polynomial.x) - 1) if first <= polynomial.x[i] < polynomial.x[i + 1] <= last]
    breakpoints = [float(polynomial.x[i]) for i in inside] + [float(last)]
    rising_powers = polynomial.c[::-1, :]
    segments = [tuple(float(value) for value in rising_powers[:, i]) for i in inside]
    slope = polynomial.derivative()
    width = breakpoints[-1] - breakpoints[-2]
    last_value = segments[-1][0] + width * (segments[-1][1] + width * (segments[-1][2] + width * segments[-1][3]))
    last_slope = segments[-1][1] + width * (2 * segments[-1][2] + width * 3 * segments[-1][3])
    return PiecewiseCubic(
        breakpoints=tuple(breakpoints),
        coefficients=(
            (segments[0][0], float(slope(first)), 0.0, 0.0),
            *segments,  # type: ignore[arg-type]
            (last_value, last_slope, 0.0, 0.0),
        ),
    )


def fold_gam(model: Pipeline, snapshot: Snapshot, spread: float, candidate: str) -> RatingPlan:
    """The rating plan of a fitted GAM with residual sd `spread`, with the snapshot's support and averages."""
    terms = model.named_steps["terms"]
    ridge = model.named_steps["ridge"]
    splines = terms.named_transformers_["numbers"].bsplines_
    sizes = [spline.c.shape[1] for spline in splines] + [1] * len(FLAGS)
    parts = dict(zip((*NUMBERS, *FLAGS), np.split(ridge.coef_, np.cumsum(sizes)[:-1]), strict=True))

    levels: dict[str, NumberTerm | FlagTerm] = {}
    for name, spline in zip(NUMBERS, splines, strict=True):
        levels[name] = NumberTerm(level=fold_spline(spline, parts[name]), average=0.0)
    for name in FLAGS:
        levels[name] = FlagTerm(level=(0.0, float(parts[name][0])), average=0.0)

    now = np.zeros(len(snapshot))
    averages = {name: float(np.mean(contribution(term, snapshot.features[name], now))) for name, term in levels.items()}
    return RatingPlan(
        candidate=candidate,
        as_of=snapshot.as_of,
        snapshot_digest=snapshot.digest,
        intercept=float(ridge.intercept_),
        spread=spread,
        class_bounds=CLASS_BOUNDS,
        terms={name: levels[name].model_copy(update={"average": averages[name]}) for name in FEATURES},
        support={name: Support(float(values.min()), float(values.max())) for name, values in snapshot.features.items()},
    )
