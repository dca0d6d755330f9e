"""What is promised of prices: a higher risk never costs less, nor does a car without an emergency brake.

The gates check the plan at some points; here the promises are held against premiums, to the cent, wherever a quote may
ask for them.
"""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorisk.domain.policy import FEATURES, NUMBERS, PolicyFeatures
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import RISK_CLASSES, class_probabilities
from motorisk.domain.tariff import Tariff
from motorisk.modelling.additive import AdditiveRegressor
from motorisk.modelling.folding import fold
from motorisk.modelling.gates import WIGGLE, directional_gates
from motorisk.modelling.snapshot import Snapshot
from motorisk.quoting.pricing import Pricer
from motorisk.simulation.portfolio import Simulation, simulate

cents = st.integers(0, 5_000_000).map(lambda amount: Decimal(amount) / 100)
factors = st.tuples(*[st.integers(0, 10_000).map(lambda amount: Decimal(amount) / 1000)] * 3)


def tariff_of(base: Decimal, ascending: tuple[Decimal, ...], tax: Decimal = Decimal("0.19")) -> Tariff:
    return Tariff("any", date(2024, 1, 1), base, dict(zip(RISK_CLASSES, ascending, strict=True)), tax)


tariffs = st.builds(tariff_of, cents, factors.map(lambda drawn: tuple(sorted(drawn))))


@given(
    risks=st.lists(st.floats(-20, 25), min_size=2, max_size=20).map(sorted),
    spread=st.floats(0.02, 20),
    tariff=tariffs,
)
def test_a_higher_expected_risk_never_costs_less(risks: list[float], spread: float, tariff: Tariff) -> None:
    """Where the tariff's factors rise with the class; by a hundred-millionth of probability at most it may round."""
    stated = [class_probabilities(risk, spread) for risk in risks]
    for milder, riskier in pairwise(stated):
        assert riskier.low <= milder.low + 1
        assert riskier.high >= milder.high - 1
    premiums = [tariff.premium(probabilities).gross for probabilities in stated]
    for milder, riskier in pairwise(premiums):
        assert riskier >= milder - Decimal("0.02")


@pytest.fixture(scope="module")
def plan() -> RatingPlan:
    """Trained on eight months, with trends, and past the gates."""
    months = simulate(Simulation(date(2024, 1, 1), months=8, policies_a_month=400))
    snapshot = Snapshot.of_table(date(2024, 12, 31), pa.concat_tables(months))
    model = AdditiveRegressor(n_knots=8, n_trend_knots=8, trend=True)
    model.fit(snapshot.matrix(), snapshot.risk, snapshot.months())
    made = fold(model, snapshot, candidate="gam", snapshot_digest=snapshot.digest, extrapolate_months=6)
    assert all(gate["passed"] for gate in directional_gates(made))
    return made


@st.composite
def _asked(draw: st.DrawFn, plan: RatingPlan) -> tuple[PolicyFeatures, date]:
    """A policy inside the plan's experience, on a day between its making and the end of its trends and after."""
    values = {
        name: draw(st.floats(*plan.support[name])) if name in NUMBERS else draw(st.sampled_from([0.0, 1.0]))
        for name in FEATURES
    }
    return PolicyFeatures(**values), plan.as_of + timedelta(days=draw(st.integers(0, 400)))


@given(data=st.data(), tariff=tariffs)
def test_an_emergency_brake_never_costs_more(plan: RatingPlan, data: st.DataObject, tariff: Tariff) -> None:
    features, day = data.draw(_asked(plan))
    pricer = Pricer(plan)
    without, braked = (pricer.assess(features._replace(emergency_braking=flag), day) for flag in (0.0, 1.0))
    assert without.estimate is not None
    assert braked.estimate is not None
    assert braked.estimate.expected_risk <= without.estimate.expected_risk
    assert tariff.premium(braked.price_probabilities).gross <= tariff.premium(without.price_probabilities).gross


@given(data=st.data())
def test_a_longer_braking_distance_never_lowers_the_risk_by_more_than_the_gate_allows(
    plan: RatingPlan, data: st.DataObject
) -> None:
    features, day = data.draw(_asked(plan))
    distances = sorted(data.draw(st.tuples(*[st.floats(*plan.support["braking_distance"])] * 2)))
    pricer = Pricer(plan)
    shorter, longer = (pricer.estimate(features._replace(braking_distance=metres), day) for metres in distances)
    assert longer.expected_risk >= shorter.expected_risk - WIGGLE * plan.spread
