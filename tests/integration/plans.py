"""A small rating plan for tests that are about what happens to versions, not about prices."""

from datetime import date

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic, RatingPlan, Support


def make_plan(intercept: float = 2.0, as_of: date = date(2024, 1, 31)) -> RatingPlan:
    """A plan that the intercept and the date tell from others."""
    line = PiecewiseCubic(breakpoints=(0.0,), coefficients=((0.0, 0.01, 0.0, 0.0), (0.0, 0.01, 0.0, 0.0)))
    return RatingPlan(
        candidate="gam",
        as_of=as_of,
        snapshot_digest="a" * 64,
        intercept=intercept,
        spread=0.4,
        class_bounds=(1.0, 3.0),
        terms={
            name: FlagTerm(level=(0.0, -1.0), average=-0.3) if feature.is_flag else NumberTerm(level=line, average=0.4)
            for name, feature in FEATURES.items()
        },
        support={name: Support(0.0, 200.0) for name in FEATURES},
    )
