"""Arrays of policies cost what single quotes cost, to the cent."""

import math
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from motorisk.domain import risk as scalar_risk
from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import PROBABILITY_UNITS, RISK_CLASSES, ClassProbabilities, RiskClass, class_of
from motorisk.domain.rules import rule_class
from motorisk.domain.tariff import Premium, Tariff
from motorisk.quoting.pricing import Pricer
from motorisk.scoring.pricing import (
    Premiums,
    assess,
    capped_premiums,
    class_probabilities,
    estimate,
    inside_support,
    most_likely,
    premiums,
    risk_classes,
    rule_classes,
)

Policies = Callable[[RatingPlan], st.SearchStrategy[tuple[PolicyFeatures, date]]]

# Shrinking a whole rating plan takes minutes and makes it no clearer.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)

LOW, MEDIUM, HIGH = RISK_CLASSES
FACTORS = {LOW: Decimal("0.7"), MEDIUM: Decimal(1), HIGH: Decimal("1.9")}
TARIFF = Tariff("test", date(2024, 1, 1), Decimal("640.00"), FACTORS, Decimal("0.19"))


def columns(policies: Sequence[PolicyFeatures]) -> dict[str, npt.NDArray[np.float64]]:
    matrix = np.array(policies, dtype=np.float64)
    return {name: matrix[:, position] for position, name in enumerate(FEATURES)}


def days(dates: Sequence[date]) -> npt.NDArray[np.datetime64]:
    return np.array(dates, dtype="datetime64[D]")


def cents(premium: Premium) -> tuple[int, int, int]:
    return int(premium.net * 100), int(premium.insurance_tax * 100), int(premium.gross * 100)


def rows(found: Premiums) -> list[tuple[int, int, int]]:
    return list(zip(found.net.tolist(), found.insurance_tax.tolist(), found.gross.tolist(), strict=True))


# --- the same as a quote --------------------------------------------------------------------------------------------


def check_agreement(plan: RatingPlan, policies: Sequence[tuple[PolicyFeatures, date]]) -> None:
    features = columns([policy for policy, _ in policies])
    dates = days([effective_date for _, effective_date in policies])
    estimates, assessments = estimate(plan, features, dates), assess(plan, features, dates)
    amounts = rows(premiums(TARIFF, assessments.probabilities))
    inside = inside_support(plan, features)
    pricer = Pricer(plan)
    for row, (policy, effective_date) in enumerate(policies):
        one = pricer.estimate(policy, effective_date)
        scale = max(1.0, abs(one.expected_risk))
        assert abs(estimates.expected_risk[row] - one.expected_risk) <= 1e-12 * scale
        for name in FEATURES:
            tolerance = 1e-12 * max(1.0, abs(one.contributions[name]))
            assert abs(estimates.contributions[name][row] - one.contributions[name]) <= tolerance
        assert max(abs(np.array(one.probabilities) - estimates.probabilities[row])) <= 1

        quoted = pricer.assess(policy, effective_date)
        assert bool(inside[row]) == bool(assessments.by_model[row]) == (quoted.predictor == "model")
        assert RISK_CLASSES[assessments.classes[row]] is quoted.risk_class
        assert assessments.class_names[row] == quoted.risk_class.value
        assert max(abs(np.array(quoted.price_probabilities) - assessments.probabilities[row])) <= 1
        assert amounts[row] == cents(TARIFF.premium(quoted.price_probabilities))
        if quoted.estimate is None:
            assert math.isnan(assessments.expected_risk[row])
        else:
            assert abs(assessments.expected_risk[row] - quoted.estimate.expected_risk) <= 1e-12 * scale


@settings(phases=UNSHRUNK)
@given(data=st.data())
def test_a_score_is_what_a_quote_would_say_for_any_plan_inside_and_outside_its_support(
    plans: st.SearchStrategy[RatingPlan], policies: Policies, data: st.DataObject
) -> None:
    plan = data.draw(plans)
    batch = data.draw(st.lists(policies(plan), min_size=1, max_size=12))
    # Move the first policy to where the classes compete: far away every probability is 0 or 1.
    target = data.draw(st.floats(0, 4))
    first = Pricer(plan).estimate(*batch[0]).expected_risk
    check_agreement(plan.model_copy(update={"intercept": plan.intercept + target - first}), batch)


@settings(phases=UNSHRUNK)
@given(data=st.data())
def test_a_score_is_what_a_quote_would_say_for_the_plan_computed_by_hand(
    plan: RatingPlan, policies: Policies, data: st.DataObject
) -> None:
    check_agreement(plan, data.draw(st.lists(policies(plan), min_size=1, max_size=12)))


def test_a_breakpoint_belongs_to_the_segment_on_its_right_here_too(plan: RatingPlan) -> None:
    ages = [math.nextafter(60.0, 0.0), 60.0]
    policies = [PolicyFeatures(0, age, 0, 40, 100, 50) for age in ages]
    found = estimate(plan, columns(policies), days([plan.as_of] * 2)).contributions["age"]
    np.testing.assert_allclose(found, [16.625, 20.0], rtol=1e-12)


@pytest.mark.parametrize("unit", ["D", "s", "ms", "us", "ns"])
def test_trends_do_not_depend_on_the_unit_of_the_dates(plan: RatingPlan, unit: str) -> None:
    dates = [date(2020, 1, 1), plan.as_of, date(2025, 5, 2), date(2028, 1, 1)]
    policies = [PolicyFeatures(1, 43, 0, 40, 100, 50)] * 4
    found = estimate(plan, columns(policies), days(dates).astype(f"datetime64[{unit}]"))
    np.testing.assert_array_equal(found.contributions["training"], [-5.0, -4.0, -2.0, -1.0])


def test_class_probabilities_agree_with_those_of_single_quotes_to_one_unit() -> None:
    random = np.random.default_rng(7)
    risk = np.concatenate([random.normal(2, 2, 20_000), random.uniform(-50, 50, 2_000), [1.0, 3.0, 2.0, -1e12, 1e12]])
    spread = np.concatenate([random.uniform(0.05, 2, 22_000), [0.42] * 5])
    found = class_probabilities(risk, spread, (1.0, 3.0))
    single = np.array(
        [scalar_risk.class_probabilities(*one) for one in zip(risk.tolist(), spread.tolist(), strict=True)]
    )
    assert np.abs(found - single).max() <= 1
    assert np.all(found.sum(axis=1) == PROBABILITY_UNITS)
    assert found.min() >= 0


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=20))
def test_of_equally_likely_classes_the_riskier_is_taken_here_too(probabilities: list[tuple[int, int, int]]) -> None:
    found = most_likely(np.array(probabilities))
    assert [RISK_CLASSES[index] for index in found] == [ClassProbabilities(*row).most_likely() for row in probabilities]


# --- rules ------------------------------------------------------------------------------------------------------------


def _around(*boundaries: float) -> list[float]:
    return [x for value in boundaries for x in (math.nextafter(value, 0), value, math.nextafter(value, math.inf))]


def test_the_rules_are_the_same_for_arrays_at_every_boundary() -> None:
    flag, ages, miles = [0.0, 1.0], [18.0, *_around(30, 50), 80.0], [0.0, *_around(30, 50), 90.0]
    policies = [
        PolicyFeatures(*values) for values in product(flag, ages, flag, [40.0], [60.0, *_around(130), 300.0], miles)
    ]
    assert len(policies) == 2 * 8 * 2 * 5 * 8
    found = [RISK_CLASSES[index] for index in rule_classes(columns(policies))]
    assert found == [rule_class(policy) for policy in policies]
    assert set(found) == set(RISK_CLASSES)


def test_where_the_rules_answer_their_class_is_certain_and_no_risk_is_given(plan: RatingPlan) -> None:
    inside, young, old = (PolicyFeatures(0, age, 0, 40, 100, 50) for age in (40, 15, 110))
    found = assess(plan, columns([inside, young, old]), days([plan.as_of] * 3))
    assert found.by_model.tolist() == [True, False, False]
    assert found.class_names.tolist()[1:] == ["medium", "high"]
    assert found.probabilities.tolist()[1:] == [[0, PROBABILITY_UNITS, 0], [0, 0, PROBABILITY_UNITS]]
    assert np.isnan(found.expected_risk).tolist() == [False, True, True]


def test_what_is_not_a_number_is_never_answered_by_the_model_here_either(plan: RatingPlan) -> None:
    policies = [
        PolicyFeatures(0, 40, 0, 40, 100, 50)._replace(**{name: math.nan}) for name in ("age", "power", "miles")
    ]
    assert not inside_support(plan, columns(policies)).any()


# --- premiums ---------------------------------------------------------------------------------------------------------


def _exact_tariff(base_cents: int, thousandths: tuple[int, int, int], tax: int) -> Tariff:
    factors = {name: Decimal(value) / 1000 for name, value in zip(RiskClass, thousandths, strict=True)}
    return Tariff("any", date(2024, 1, 1), Decimal(base_cents) / 100, factors, Decimal(tax) / 10_000)


@st.composite
def _probabilities(draw: st.DrawFn) -> tuple[int, int, int]:
    low = draw(st.integers(0, PROBABILITY_UNITS))
    high = draw(st.integers(0, PROBABILITY_UNITS - low))
    return low, PROBABILITY_UNITS - low - high, high


@given(
    st.integers(0, 5_000_000),
    st.tuples(*[st.integers(0, 10_000)] * 3),
    st.integers(0, 10_000),
    st.lists(_probabilities(), min_size=1, max_size=8),
)
# Half cents, and the largest amounts that a tariff may give: they still fit 64 bits.
@example(100, (490, 0, 0), 1900, [(50_000_000, 50_000_000, 0), (49_999_999, 50_000_001, 0)])
@example(150, (1000, 1000, 1000), 1900, [(PROBABILITY_UNITS, 0, 0)])
@example(5_000_000, (10_000, 10_000, 10_000), 10_000, [(0, 0, PROBABILITY_UNITS), (1, 99_999_998, 1)])
def test_premiums_are_the_tariffs_to_the_cent(
    base_cents: int, thousandths: tuple[int, int, int], tax: int, probabilities: list[tuple[int, int, int]]
) -> None:
    tariff = _exact_tariff(base_cents, thousandths, tax)
    found = premiums(tariff, np.array(probabilities, dtype=np.int64))
    assert rows(found) == [cents(tariff.premium(ClassProbabilities(*row))) for row in probabilities]


def test_premiums_are_whole_numbers_and_gross_is_net_plus_tax() -> None:
    found = premiums(TARIFF, np.array([[20_000_000, 50_000_000, 30_000_000]]))
    # 640 x (0.14 + 0.5 + 0.57) = 774.40; 19 % of it 147.136.
    assert rows(found) == [(77_440, 14_714, 92_154)]
    assert all(amount.dtype == np.int64 for amount in (found.net, found.insurance_tax, found.gross))


# --- observed classes -------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-20, 20) | st.sampled_from([*_around(1.0, 3.0), -0.0]), min_size=1, max_size=30))
def test_observed_risks_fall_into_the_same_classes_as_single_ones(risks: list[float]) -> None:
    found = risk_classes(np.array(risks), (1.0, 3.0))
    assert [RISK_CLASSES[index] for index in found] == [class_of(risk) for risk in risks]


@given(
    net=st.lists(st.integers(0, 10**8), min_size=1, max_size=20),
    before=st.integers(0, 10**8),
    cap=st.decimals(0, 2, places=4),
)
def test_a_cap_keeps_changes_within_it_and_leaves_everything_else_to_the_cent(
    net: list[int], before: int, cap: Decimal
) -> None:
    amounts = np.array([*net, before, before], dtype=np.int64)
    money = Premiums(net=amounts, insurance_tax=amounts * 0, gross=amounts)
    last = np.array([before] * (len(amounts) - 1) + [np.nan], dtype=np.float64)
    allowed, capped = capped_premiums(TARIFF, money, last, cap)
    lowest, highest = before * (1 - cap), before * (1 + cap)
    for given_, found, tax, gross, marked, known in zip(
        amounts.tolist(), allowed.net.tolist(), allowed.insurance_tax.tolist(), allowed.gross.tolist(),
        capped.tolist(), ~np.isnan(last), strict=True,
    ):  # fmt: skip
        assert marked == (found != given_)
        assert gross == found + tax
        assert tax == (found * 19 + 50) // 100
        if not known or lowest <= given_ <= highest:
            assert found == given_
        else:  # as near to the price as the cap allows
            assert lowest <= found <= highest
            assert min(abs(found - lowest), abs(found - highest)) < 1
