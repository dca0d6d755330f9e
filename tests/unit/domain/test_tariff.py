"""Premiums to the cent; expected amounts were computed by hand."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorisk.domain.risk import ClassProbabilities, RiskClass, certain
from motorisk.domain.tariff import Premium, Tariff

LOW, MEDIUM, HIGH = RiskClass
ALL_LOW = certain(LOW)


def tariff(base: str = "500.00", low: str = "0.6", medium: str = "1", high: str = "1.8", tax: str = "0.19") -> Tariff:
    factors = {LOW: Decimal(low), MEDIUM: Decimal(medium), HIGH: Decimal(high)}
    return Tariff("test", date(2024, 1, 1), Decimal(base), factors, Decimal(tax))


def premium(net: str, tax: str, gross: str) -> Premium:
    return Premium(Decimal(net), Decimal(tax), Decimal(gross))


def test_the_net_premium_weighs_the_class_factors_with_the_probabilities() -> None:
    # 500 x (0.5 x 0.6 + 0.3 x 1 + 0.2 x 1.8) = 500 x 0.96
    probabilities = ClassProbabilities(50_000_000, 30_000_000, 20_000_000)
    assert tariff().premium(probabilities) == premium("480.00", "91.20", "571.20")


@pytest.mark.parametrize(
    ("risk_class", "expected"),
    [
        (LOW, premium("300.00", "57.00", "357.00")),
        (MEDIUM, premium("500.00", "95.00", "595.00")),
        (HIGH, premium("900.00", "171.00", "1071.00")),
    ],
)
def test_a_certain_class_costs_its_factor(risk_class: RiskClass, expected: Premium) -> None:
    assert tariff().premium(certain(risk_class)) == expected


def test_half_a_cent_is_rounded_up_also_where_the_cent_before_is_even() -> None:
    # 1.00 x 0.5 x 0.49 = 0.245 and x 0.41 = 0.205: half to even would give 0.24 and 0.20.
    half = ClassProbabilities(50_000_000, 50_000_000, 0)
    assert tariff("1.00", low="0.49", medium="0").premium(half).net == Decimal("0.25")
    assert tariff("1.00", low="0.41", medium="0").premium(half).net == Decimal("0.21")


def test_the_least_less_than_half_a_cent_is_rounded_down() -> None:
    almost_half = ClassProbabilities(49_999_999, 50_000_001, 0)
    assert tariff("1.00", low="0.49", medium="0").premium(almost_half).net == Decimal("0.24")


def test_the_tax_is_rounded_half_up_by_itself() -> None:
    # 19 % of 1.50 is 0.285; half to even would give 0.28.
    assert tariff("1.50", low="1").premium(ALL_LOW) == premium("1.50", "0.29", "1.79")


def test_the_tax_is_of_the_rounded_net_premium() -> None:
    # 0.01 x 0.5 = 0.005 becomes 0.01; half of that is 0.005, again 0.01. Half of the unrounded 0.005 would be 0.00.
    assert tariff("0.01", low="0.5", tax="0.5").premium(ALL_LOW) == premium("0.01", "0.01", "0.02")


def test_a_hundred_millionth_of_probability_counts_where_it_tips_a_cent() -> None:
    # 50,000 x 10 a unit of 1e-8 is 0.005.
    dearest = tariff("50000.00", low="0", medium="10", high="10", tax="0")
    assert dearest.premium(ClassProbabilities(99_999_999, 1, 0)).net == Decimal("0.01")
    assert dearest.premium(ClassProbabilities(100_000_000, 0, 0)).net == Decimal("0.00")


def test_the_dearest_tariff_is_exact_too() -> None:
    dearest = tariff("50000.00", low="10", medium="10", high="10", tax="1")
    assert dearest.premium(ALL_LOW) == premium("500000.00", "500000.00", "1000000.00")


def test_nothing_costs_nothing() -> None:
    assert tariff("0.00").premium(ALL_LOW) == premium("0.00", "0.00", "0.00")


@st.composite
def _probabilities(draw: st.DrawFn) -> ClassProbabilities:
    low = draw(st.integers(0, 100_000_000))
    high = draw(st.integers(0, 100_000_000 - low))
    return ClassProbabilities(low, 100_000_000 - low - high, high)


@given(
    st.integers(0, 5_000_000),
    st.tuples(*[st.integers(0, 10_000)] * 3),
    st.integers(0, 10_000),
    _probabilities(),
)
def test_premiums_are_whole_cents_and_gross_is_net_plus_tax(
    base_cents: int, thousandths: tuple[int, int, int], tax: int, probabilities: ClassProbabilities
) -> None:
    factors = {name: Decimal(value) / 1000 for name, value in zip(RiskClass, thousandths, strict=True)}
    found = Tariff("any", date(2024, 1, 1), Decimal(base_cents) / 100, factors, Decimal(tax) / 10_000).premium(
        probabilities
    )

    # The same in integers, from the definition: floor(x + 1/2) of a fraction.
    weighted = base_cents * sum(
        factor * probability for factor, probability in zip(thousandths, probabilities, strict=True)
    )
    net = (2 * weighted + 10**11) // (2 * 10**11)
    insurance_tax = (2 * net * tax + 10**4) // (2 * 10**4)
    assert (found.net * 100, found.insurance_tax * 100) == (net, insurance_tax)
    assert found.gross == found.net + found.insurance_tax
    assert all(amount.as_tuple().exponent == -2 for amount in (found.net, found.insurance_tax, found.gross))


@pytest.mark.bad_input("tariff")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": "-0.01"}, "base_premium must be from 0 to 50000, got -0.01"),
        ({"base": "50000.01"}, "base_premium must be from 0 to 50000, got 50000.01"),
        ({"base": "500.001"}, "base_premium must be a multiple of 0.01, got 500.001"),
        ({"base": "Infinity"}, "base_premium must be from 0 to 50000, got Infinity"),
        ({"low": "-0.1"}, "factor of low must be from 0 to 10, got -0.1"),
        ({"medium": "10.001"}, "factor of medium must be from 0 to 10, got 10.001"),
        ({"high": "1.0001"}, "factor of high must be a multiple of 0.001, got 1.0001"),
        ({"tax": "-0.19"}, "tax_rate must be from 0 to 1, got -0.19"),
        ({"tax": "19"}, "tax_rate must be from 0 to 1, got 19"),
        ({"tax": "0.19001"}, "tax_rate must be a multiple of 0.0001, got 0.19001"),
    ],
)
def test_a_tariff_that_would_not_be_exact_is_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^tariff test: {message}$"):
        tariff(**change)


def test_bounds_and_smallest_units_of_a_tariff_are_allowed() -> None:
    finest = tariff("49999.99", low="0", medium="9.999", high="10.000", tax="0.1899")
    assert finest.premium(certain(HIGH)).net == Decimal("499999.90")
