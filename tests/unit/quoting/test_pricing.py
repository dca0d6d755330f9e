"""One policy priced from a rating plan: sums computed by hand, then properties of any plan."""

import math
from collections.abc import Callable
from datetime import date
from functools import reduce
from operator import add

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.rating_plan import RatingPlan, Support
from motorisk.domain.risk import PROBABILITY_UNITS, RiskClass, certain
from motorisk.domain.rules import rule_class
from motorisk.quoting.pricing import Pricer

Policies = Callable[[RatingPlan], st.SearchStrategy[tuple[PolicyFeatures, date]]]

# Shrinking a whole rating plan takes minutes and makes it no clearer.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)

AS_OF = date(2024, 1, 1)
SIXTEEN_MONTHS_LATER = date(2025, 5, 2)
# At these values braking distance, power and miles contribute nothing, and age 1.0.
NEUTRAL = PolicyFeatures(training=0, age=35, emergency_braking=0, braking_distance=40, power=100, miles=50)


@pytest.fixture(scope="module")
def pricer(plan: RatingPlan) -> Pricer:
    return Pricer(plan)


# --- by hand ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "effective_date", "expected"),
    [
        # Intercept 0.5, age 1, no emergency braking 0.25.
        ({}, AS_OF, 1.75),
        # 0.5 - 4 + (1 + 0.5 x 10 - 0.02 x 100 + 0.001 x 1000) - 1 + 0.25 x 5 + 20/32 + 16/32
        (
            {"training": 1, "age": 45, "emergency_braking": 1, "braking_distance": 45, "power": 120, "miles": 66},
            AS_OF,
            2.875,
        ),
        # 16 months later training counts for 16 x 0.125 less, and age 45 for 16 x 0.0625 x 10 less.
        (
            {"training": 1, "age": 45, "emergency_braking": 1, "braking_distance": 45, "power": 120, "miles": 66},
            SIXTEEN_MONTHS_LATER,
            2.875 + 2.0 - 10.0,
        ),
        # Left of every first breakpoint: 0.5 + (2 + 0.25 x 5) + 0.25 - 0.25 x 10 + 32/64 + 32/32
        ({"age": 20, "braking_distance": 30, "power": 68, "miles": 18}, AS_OF, 3.0),
    ],
)
def test_the_expected_risk_is_the_sum_computed_by_hand(
    pricer: Pricer, changes: dict[str, float], effective_date: date, expected: float
) -> None:
    assert pricer.estimate(NEUTRAL._replace(**changes), effective_date).expected_risk == pytest.approx(expected)


@pytest.mark.parametrize(("training", "change"), [(0, 0.5), (1, 0.125)])
def test_a_flag_that_is_not_set_may_change_over_time_too(plan: RatingPlan, training: int, change: float) -> None:
    term = plan.terms["training"].model_copy(update={"trend": (0.5, 0.125)})
    changing = Pricer(plan.model_copy(update={"terms": {**plan.terms, "training": term}}))
    policy = NEUTRAL._replace(training=training)
    now, later = (changing.estimate(policy, day).expected_risk for day in (AS_OF, SIXTEEN_MONTHS_LATER))
    assert later - now == pytest.approx(16 * change)


@pytest.mark.parametrize(
    ("age", "contribution"),
    [
        (15.0, 4.5),  # linear left of the first breakpoint: 2 - 0.25 x (15 - 25)
        (-75.0, 27.0),
        (25.0, 2.0),
        (30.0, 1.25),  # 2 - 0.2 x 5 + 0.01 x 25
        (math.nextafter(35.0, 0.0), 1.0),
        (35.0, 1.0),
        (55.0, 11.0),  # 1 + 0.5 x 20 - 0.02 x 400 + 0.001 x 8000
        (math.nextafter(60.0, 0.0), 16.625),  # 1 + 0.5 x 25 - 0.02 x 625 + 0.001 x 15625
        (60.0, 20.0),  # the breakpoint belongs to the segment on its right
        (100.0, 40.0),  # linear from there on
        (1060.0, 520.0),
    ],
)
def test_a_curve_is_evaluated_segment_by_segment(pricer: Pricer, age: float, contribution: float) -> None:
    found = pricer.estimate(NEUTRAL._replace(age=age), AS_OF).contributions["age"]
    assert found == pytest.approx(contribution, rel=1e-12)


@pytest.mark.parametrize(
    ("effective_date", "months"),
    [
        (AS_OF, 0),
        (SIXTEEN_MONTHS_LATER, 16),
        (date(2028, 1, 1), 24),  # bounded
        (date(2100, 1, 1), 24),
        (date(2020, 1, 1), -8),  # bounded
    ],
)
def test_trends_run_with_the_effective_date_up_to_their_bounds(
    pricer: Pricer, effective_date: date, months: int
) -> None:
    found = pricer.estimate(NEUTRAL._replace(training=1, age=43), effective_date).contributions
    assert found["training"] == -4 + 0.125 * months
    # 1 + 0.5 x 8 - 0.02 x 64 + 0.001 x 512, and 0.0625 x 8 less every month.
    assert found["age"] == pytest.approx(4.232 - 0.5 * months)


def test_a_term_without_a_trend_does_not_move(pricer: Pricer) -> None:
    policy = NEUTRAL._replace(emergency_braking=1, braking_distance=48, power=132, miles=82)
    for effective_date in (date(2020, 1, 1), AS_OF, date(2028, 1, 1)):
        found = pricer.estimate(policy, effective_date).contributions
        assert [found[name] for name in ("emergency_braking", "braking_distance", "power", "miles")] == [-1, 2, 1, 1]


def test_probabilities_are_those_of_the_plans_spread_and_bounds(pricer: Pricer) -> None:
    # 0.5 + 1 + 0.25 + 0.5: expected risk 2.25, spread 0.45, bounds 1 and 3.
    estimate = pricer.estimate(NEUTRAL._replace(braking_distance=42), AS_OF)
    assert estimate.expected_risk == 2.25
    assert estimate.probabilities.low == pytest.approx(norm.cdf(-1.25 / 0.45) * PROBABILITY_UNITS, abs=1)
    assert estimate.probabilities.high == pytest.approx(norm.sf(0.75 / 0.45) * PROBABILITY_UNITS, abs=1)


def test_a_plan_with_other_class_bounds_is_priced_by_them(plan: RatingPlan) -> None:
    other = Pricer(RatingPlan(**{**dict(plan), "class_bounds": (1.75, 9.0)}))
    assert other.estimate(NEUTRAL, AS_OF).probabilities == (PROBABILITY_UNITS // 2, PROBABILITY_UNITS // 2, 0)


# --- model or rules -----------------------------------------------------------------------------------------------

EDGES = {
    "age": (16.0, 104.0),
    "braking_distance": (18.0, 62.0),
    "power": (50.0, 270.0),
    "miles": (-5.0, 215.0),
}


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", EDGES)
def test_exactly_at_the_edge_of_the_widened_support_the_model_answers(pricer: Pricer, name: str, side: int) -> None:
    at_edge = NEUTRAL._replace(**{name: EDGES[name][side]})
    assert pricer.outside_support(at_edge) == {}
    found = pricer.assess(at_edge, AS_OF)
    assert found.predictor == "model"
    assert found.estimate == pricer.estimate(at_edge, AS_OF)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", EDGES)
def test_a_policy_outside_the_support_is_answered_by_the_rules(pricer: Pricer, name: str, side: int) -> None:
    edge = EDGES[name][side]
    beyond = NEUTRAL._replace(**{name: math.nextafter(edge, math.inf if side else -math.inf)})
    found = pricer.assess(beyond, AS_OF)
    assert found.predictor == "rules"
    assert found.risk_class is rule_class(beyond)
    assert found.price_probabilities == certain(rule_class(beyond))
    assert found.estimate is None
    assert found.outside == {name: Support(*EDGES[name])}


def test_every_feature_outside_the_support_is_named(pricer: Pricer) -> None:
    assert set(pricer.outside_support(NEUTRAL._replace(age=15, power=400, miles=300))) == {"age", "power", "miles"}


def test_a_flag_that_training_never_saw_is_outside_the_support(plan: RatingPlan) -> None:
    unseen = Pricer(RatingPlan(**{**dict(plan), "support": {**plan.support, "training": Support(0.0, 0.0)}}))
    assert unseen.assess(NEUTRAL, AS_OF).predictor == "model"
    found = unseen.assess(NEUTRAL._replace(training=1), AS_OF)
    assert (found.predictor, found.risk_class, set(found.outside)) == ("rules", RiskClass.LOW, {"training"})


def test_what_is_not_a_number_is_never_answered_by_the_model(pricer: Pricer) -> None:
    for name in EDGES:
        assert pricer.assess(NEUTRAL._replace(**{name: math.nan}), AS_OF).predictor == "rules"


@pytest.mark.parametrize(
    ("braking_distance", "expected"), [(30.0, RiskClass.LOW), (41.0, RiskClass.MEDIUM), (55.0, RiskClass.HIGH)]
)
def test_inside_the_support_the_models_likeliest_class_and_its_probabilities_are_priced(
    pricer: Pricer, braking_distance: float, expected: RiskClass
) -> None:
    found = pricer.assess(NEUTRAL._replace(braking_distance=braking_distance), AS_OF)
    assert found.predictor == "model"
    assert found.risk_class is expected
    assert found.estimate is not None
    assert found.price_probabilities == found.estimate.probabilities


# --- any plan -----------------------------------------------------------------------------------------------------


@settings(max_examples=50, phases=UNSHRUNK)
@given(data=st.data())
def test_intercept_and_contributions_sum_to_the_expected_risk(
    plans: st.SearchStrategy[RatingPlan], policies: Policies, data: st.DataObject
) -> None:
    plan = data.draw(plans)
    features, effective_date = data.draw(policies(plan))
    estimate = Pricer(plan).estimate(features, effective_date)
    assert list(estimate.contributions) == list(FEATURES)
    total = math.fsum([plan.intercept, *estimate.contributions.values()])
    assert estimate.expected_risk == pytest.approx(total, rel=1e-12, abs=1e-9)
    # To the last bit in the order in which they are told, so that who adds them up gets what was priced.
    assert reduce(add, estimate.contributions.values(), estimate.base) == estimate.expected_risk


@settings(max_examples=50, phases=UNSHRUNK)
@given(data=st.data())
def test_a_contribution_depends_on_its_own_feature_only(
    plans: st.SearchStrategy[RatingPlan], policies: Policies, data: st.DataObject
) -> None:
    plan = data.draw(plans)
    features, effective_date = data.draw(policies(plan))
    others, _ = data.draw(policies(plan))
    pricer = Pricer(plan)
    for name in FEATURES:
        changed = others._replace(**{name: getattr(features, name)})
        assert (
            pricer.estimate(changed, effective_date).contributions[name]
            == pricer.estimate(features, effective_date).contributions[name]
        )


@settings(max_examples=50, phases=UNSHRUNK)
@given(data=st.data())
def test_probabilities_always_sum_to_one_and_rules_answer_exactly_outside_the_support(
    plans: st.SearchStrategy[RatingPlan], policies: Policies, data: st.DataObject
) -> None:
    plan = data.draw(plans)
    features, effective_date = data.draw(policies(plan))
    found = Pricer(plan).assess(features, effective_date)
    assert sum(found.price_probabilities) == PROBABILITY_UNITS
    assert min(found.price_probabilities) >= 0
    assert found.risk_class is found.price_probabilities.most_likely()

    outside = set()
    for name, value in features._asdict().items():
        minimum, maximum = plan.support[name]
        margin = 0.05 * (maximum - minimum)
        if value < minimum - margin or value > maximum + margin:
            outside.add(name)
    assert set(found.outside) == outside
    assert found.predictor == ("rules" if outside else "model")
