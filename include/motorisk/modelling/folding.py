"""Fold a fitted additive model into a rating plan: the same function, as breakpoints and cubics."""

from collections.abc import Sequence

import numpy as np
from pydantic import ValidationError
from scipy.interpolate import BSpline

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic, RatingPlan, Support
from motorisk.domain.risk import CLASS_BOUNDS
from motorisk.errors import InvalidData
from motorisk.modelling.additive import DEGREE, AdditiveRegressor, Curve
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import Floats, contribution

Weighted = Sequence[tuple[float, Curve]]


def fold_curves(curves: Weighted) -> PiecewiseCubic:
    """A weighted sum of curves of one feature as one piecewise cubic, linear beyond the outer knots.

    The parts' knots are united; at each the sum's value and derivatives are those of the parts, so that it equals
    them to rounding.
    """
    splines = [(weight, curve, _spline(curve)) for weight, curve in curves]
    found = [_breakpoints(spline) for _, _, spline in splines if spline is not None]
    knots = np.unique(np.concatenate(found)) if found else np.zeros(1)
    total = sum(
        (weight * _taylor(curve, spline, knots) for weight, curve, spline in splines), np.zeros((4, len(knots)))
    )
    segments = [(float(c0), float(c1), float(c2), float(c3)) for c0, c1, c2, c3 in total.T]
    first, last = segments[0], segments[-1]
    return PiecewiseCubic(
        breakpoints=tuple(float(knot) for knot in knots),
        coefficients=(
            (first[0], first[1], 0.0, 0.0),
            *segments[:-1],
            # Before the last knot its own segment ends: beyond it only value and slope go on.
            (last[0], last[1], 0.0, 0.0),
        ),
    )


def _spline(curve: Curve) -> BSpline | None:
    transformer = curve.basis.transformer
    if transformer is None:
        return None
    return BSpline(transformer.bsplines_[0].t, curve.coefficients, DEGREE)


def _breakpoints(spline: BSpline) -> Floats:
    return np.unique(spline.t[DEGREE:-DEGREE])


def _taylor(curve: Curve, spline: BSpline | None, knots: Floats) -> Floats:
    """(4, n) value and derivatives (over factorials) of a curve to the right of (n,) knots."""
    bent = np.zeros(len(knots))
    if spline is None:
        slope = float(curve.coefficients[0])
        return np.stack([slope * knots - curve.mean, np.full(len(knots), slope), bent, bent])
    ends = _breakpoints(spline)[[0, -1]]
    inside = np.clip(knots, *ends)
    value, slope_there, second, third = (spline(inside, nu=order) for order in range(DEGREE + 1))
    within = (ends[0] <= knots) & (knots < ends[1])
    return np.stack(
        [
            value + slope_there * (knots - inside) - curve.mean,
            slope_there,
            np.where(within, second / 2, 0.0),
            np.where(within, third / 6, 0.0),
        ]
    )


def fold(
    model: AdditiveRegressor, snapshot: Snapshot, *, candidate: str, snapshot_digest: str, extrapolate_months: float
) -> RatingPlan:
    """The rating plan of a model fitted to a snapshot's matrix (columns in the order of `FEATURES`).

    Trends run from the snapshot's first policies to `extrapolate_months` after its as-of date, and stop there.
    `InvalidData` where a term, or the change of the spread, is beyond the bounds of a plan.
    """
    months = snapshot.months()
    terms: dict[str, NumberTerm | FlagTerm] = {}
    for (name, feature), level, change in zip(FEATURES.items(), model.levels_, model.changes_, strict=True):
        # Levels are those of the as-of date, not of the centre of the training data.
        parts: Weighted = [(1.0, level)] if change is None else [(1.0, level), (-model.center_, change)]
        trend: Weighted = [] if change is None else [(1.0, change)]
        term: NumberTerm | FlagTerm
        if feature.is_flag:
            term = FlagTerm(level=_steps(parts), trend=_steps(trend) if trend else None, average=0.0)
        else:
            try:
                term = NumberTerm(level=fold_curves(parts), trend=fold_curves(trend) if trend else None, average=0.0)
            except ValidationError:
                raise InvalidData(
                    f"{name}: its term is steeper than a rating plan may be: values lie too close together, or the "
                    "risk index is in another unit"
                ) from None
        terms[name] = _with_averages(term, snapshot.features[name])
    spread_trend = model.spread_trend_ if model.has_trend_ else 0.0
    try:
        return RatingPlan(
            candidate=candidate,
            as_of=snapshot.as_of,
            snapshot_digest=snapshot_digest,
            intercept=float(model.intercept_ - model.center_ * model.intercept_trend_),
            intercept_trend=float(model.intercept_trend_),
            spread=float(model.spread_),
            spread_trend=float(spread_trend),
            class_bounds=CLASS_BOUNDS,
            trend_months=(float(months.min()), float(extrapolate_months)) if model.has_trend_ else (0.0, 0.0),
            terms=terms,
            support={
                name: Support(float(values.min()), float(values.max())) for name, values in snapshot.features.items()
            },
        )
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise InvalidData(
            f"no rating plan can be made of the model: {problem}: shorten history_months, or see whether the risk "
            "index changed its unit on the way"
        ) from None


def _steps(curves: Weighted) -> tuple[float, float]:
    ends = np.array([0.0, 1.0])
    off, on = sum((weight * curve(ends) for weight, curve in curves), np.zeros(2))
    return (float(off), float(on))


def _with_averages(term: NumberTerm | FlagTerm, values: Floats) -> NumberTerm | FlagTerm:
    at_start = contribution(term, values, np.zeros(len(values)))
    a_month_later = contribution(term, values, np.ones(len(values)))
    return term.model_copy(
        update={
            "average": float(np.mean(at_start)),
            "average_trend": 0.0 if term.trend is None else float(np.mean(a_month_later - at_start)),
        }
    )
