"""The last check before a rating plan is served."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorisk.domain.rating_plan import FlagTerm, PiecewiseCubic, RatingPlan
from motorisk.errors import PlanRefused
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.smoke import smoke_test


def with_term(plan: RatingPlan, name: str, **changes: object) -> RatingPlan:
    return plan.model_copy(update={"terms": {**plan.terms, name: plan.terms[name].model_copy(update=changes)}})


def test_a_sound_plan_passes(plan: RatingPlan) -> None:
    smoke_test(Pricer(plan), [])


@pytest.mark.bad_input("rating plan")
def test_a_plan_that_says_nonsense_about_its_own_policies_is_refused(plan: RatingPlan) -> None:
    steep = PiecewiseCubic(breakpoints=(50.0,), coefficients=((0.0, 1e9, 0.0, 0.0), (0.0, 1e9, 0.0, 0.0)))
    with pytest.raises(PlanRefused, match=r"smoke prediction for training=0, age=20, .*: the risk index is -4\.5e\+10"):
        smoke_test(Pricer(with_term(plan, "miles", level=steep)), [])


@pytest.mark.bad_input("rating plan")
def test_a_plan_that_fails_only_at_an_end_of_its_trends_is_refused(plan: RatingPlan) -> None:
    with pytest.raises(PlanRefused, match="from 2023-05-02"):  # 8 months before the as-of date
        smoke_test(Pricer(with_term(plan, "training", trend=(0.0, 1000.0))), [])


@pytest.mark.bad_input("rating plan")
def test_a_plan_that_cannot_be_computed_is_refused(plan: RatingPlan) -> None:
    broken = plan.model_copy(update={"spread": 0.0})  # as a later schema might let through
    with pytest.raises(PlanRefused, match="division by zero"):
        smoke_test(Pricer(broken), [])


@given(level=st.tuples(st.floats(-50, 50), st.floats(-50, 50)))
def test_no_plan_of_a_plausible_size_is_refused(plan: RatingPlan, level: tuple[float, float]) -> None:
    term = FlagTerm(level=level, average=0.0)
    smoke_test(Pricer(plan.model_copy(update={"terms": {**plan.terms, "training": term}})), [])
