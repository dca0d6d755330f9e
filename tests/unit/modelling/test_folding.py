"""A folded rating plan is the fitted model, also where features have ties, far outside, and over time."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from motorisk.domain.calendar import months_between
from motorisk.domain.policy import FEATURES, FLAGS, NUMBERS
from motorisk.domain.rating_plan import NumberTerm, RatingPlan, Support, plan_digest
from motorisk.domain.risk import CLASS_BOUNDS
from motorisk.errors import InvalidData
from motorisk.modelling.additive import AdditiveRegressor
from motorisk.modelling.folding import fold
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import estimate
from motorisk.simulation.portfolio import Simulation, simulate

Matrix = npt.NDArray[np.float64]
Months = Callable[..., Snapshot]
POSITION = {name: index for index, name in enumerate(FEATURES)}
KNOTS = [2, 3, 5, 10, 20]


def fitted(snapshot: Snapshot, knots: int, *, trend: bool = False) -> tuple[AdditiveRegressor, RatingPlan]:
    model = AdditiveRegressor(n_knots=knots, n_trend_knots=knots, trend=trend)
    model.fit(snapshot.matrix(), snapshot.risk, snapshot.months())
    return model, fold(model, snapshot, candidate="gam", snapshot_digest=snapshot.digest, extrapolate_months=6)


def answers(plan: RatingPlan, policies: Matrix, day: date | None = None) -> Matrix:
    features = {name: policies[:, index] for name, index in POSITION.items()}
    return estimate(plan, features, np.full(len(policies), np.datetime64(day or plan.as_of))).expected_risk


def replaced(snapshot: Snapshot, **columns: Matrix) -> Snapshot:
    table = snapshot.to_table()
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return Snapshot.of_table(snapshot.as_of, table)


def numbers(snapshot: Snapshot) -> list[tuple[str, Matrix]]:
    return [(name, snapshot.features[name]) for name in NUMBERS]


def edge_policies(snapshot: Snapshot, plan: RatingPlan) -> Iterator[Matrix]:
    """One number at a time at, just before and just after its breakpoints, its ends and their widened edges."""
    middle = np.median(snapshot.matrix(), axis=0)
    for name in NUMBERS:
        term = plan.terms[name]
        assert isinstance(term, NumberTerm)
        points = np.array([*term.level.breakpoints, *plan.support[name], *plan.support[name].widened()])
        for value in (*points, *np.nextafter(points, -np.inf), *np.nextafter(points, np.inf), -1e4, 0.0, 1e4):
            policy = middle.copy()
            policy[POSITION[name]] = value
            yield policy


def policies_everywhere(snapshot: Snapshot, plan: RatingPlan) -> Matrix:
    random = np.random.default_rng(3)
    low, high = snapshot.matrix().min(axis=0), snapshot.matrix().max(axis=0)
    width = high - low
    drawn = [random.uniform(low - far * width, high + far * width, (2000, 6)) for far in (0, 0.05, 1, 20)]
    policies = np.vstack([snapshot.matrix(), *drawn, list(edge_policies(snapshot, plan))])
    for name in FLAGS:
        policies[:, POSITION[name]] = policies[:, POSITION[name]] > 0.5
    return policies


def largest_difference(snapshot: Snapshot, knots: int) -> float:
    model, plan = fitted(snapshot, knots)
    policies = policies_everywhere(snapshot, plan)
    return float(np.abs(answers(plan, policies) - model.predict(policies)).max())


@pytest.fixture(scope="module")
def history() -> Snapshot:
    """Eight months of a drifting world, known four months after the last."""
    simulation = Simulation(date(2024, 1, 1), months=8, policies_a_month=400)
    return Snapshot.of_table(date(2024, 12, 31), pa.concat_tables(simulate(simulation)))


@pytest.mark.parametrize("knots", [3, 8])
@pytest.mark.parametrize("days", [-365, -200, -100, 0, 15, 180])
def test_the_plan_is_the_fitted_model_on_every_date_until_the_bound(history: Snapshot, knots: int, days: int) -> None:
    model, plan = fitted(history, knots, trend=True)
    day = history.as_of + timedelta(days=days)
    policies = policies_everywhere(history, plan)
    expected = model.predict(policies, months_between(history.as_of, day))
    assert float(np.abs(answers(plan, policies, day) - expected).max()) < 1e-9
    assert plan.spread_at(plan.trend_time(day)) == pytest.approx(
        float(model.predict_spread(months_between(history.as_of, day))), rel=1e-12
    )


def test_beyond_the_bound_trends_stand_still(history: Snapshot) -> None:
    _, plan = fitted(history, 5, trend=True)
    policies = history.matrix()[:50]
    bound, later = (history.as_of + timedelta(days=days) for days in (183, 3000))
    assert np.array_equal(answers(plan, policies, later), answers(plan, policies, bound))
    assert not np.allclose(answers(plan, policies, later), answers(plan, policies, history.as_of))


def test_contributions_of_the_model_sum_to_its_prediction(history: Snapshot) -> None:
    model, _ = fitted(history, 8, trend=True)
    parts = model.contributions(history.matrix(), history.months()).sum(axis=1) + model.base(history.months())
    assert np.abs(parts - model.predict(history.matrix(), history.months())).max() < 1e-9


@pytest.mark.bad_input("training data")
def test_a_spread_that_changes_beyond_all_meaning_is_refused_with_what_to_do() -> None:
    simulation = Simulation(date(2014, 1, 1), months=120, policies_a_month=20, drift_until=0)
    ten_years = Snapshot.of_table(date(2023, 12, 31), pa.concat_tables(simulate(simulation)))
    noise = np.random.default_rng(1).normal(0, 1, len(ten_years)) * np.exp(-0.07 * (ten_years.months() + 60))
    with pytest.raises(InvalidData, match=r"spread_trend is too steep .*: shorten history_months"):
        fitted(replaced(ten_years, risk=ten_years.risk + noise), 5, trend=True)


@pytest.mark.parametrize("knots", KNOTS)
def test_the_plan_is_the_fitted_pipeline_inside_and_far_outside_the_support(
    snapshot_of_month: Months, knots: int
) -> None:
    assert largest_difference(snapshot_of_month(0), knots) < 1e-9


@pytest.mark.parametrize("knots", KNOTS)
@pytest.mark.parametrize(("name", "least"), [("age", 16.0), ("miles", 5.0)])
def test_the_plan_is_the_fitted_pipeline_where_many_policies_are_clipped_at_the_least_value(
    snapshot_of_month: Months, name: str, least: float, knots: int
) -> None:
    snapshot = snapshot_of_month(0)
    values = snapshot.features[name]
    # As if drift had gone on until a tenth of the portfolio had arrived at the bound.
    clipped = np.maximum(values - np.quantile(values, 0.1) + least, least)
    assert np.mean(clipped == least) == pytest.approx(0.1, abs=0.001)
    assert largest_difference(replaced(snapshot, **{name: clipped}), knots) < 1e-9


@pytest.mark.parametrize("knots", KNOTS)
def test_the_plan_is_the_fitted_pipeline_where_all_numbers_are_clipped_at_both_ends(
    snapshot_of_month: Months, knots: int
) -> None:
    snapshot = snapshot_of_month(0)
    share = 0.045  # of 20 quantiles, the outer two are 0.053 apart
    clipped = {name: np.clip(values, *np.quantile(values, [share, 1 - share])) for name, values in numbers(snapshot)}
    assert largest_difference(replaced(snapshot, **clipped), knots) < 1e-9


@pytest.mark.parametrize("knots", KNOTS)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_the_plan_is_the_fitted_pipeline_where_most_policies_have_the_same_middle_value(
    snapshot_of_month: Months, knots: int, share: float
) -> None:
    snapshot = snapshot_of_month(0)
    same = np.random.default_rng(1).random(len(snapshot)) < share
    columns = {"age": np.where(same, 40.0, snapshot.features["age"])}
    assert largest_difference(replaced(snapshot, **columns), knots) < 1e-9


@pytest.mark.parametrize("knots", KNOTS)
def test_the_plan_is_the_fitted_pipeline_where_ages_are_whole_years(snapshot_of_month: Months, knots: int) -> None:
    snapshot = snapshot_of_month(0)
    assert largest_difference(replaced(snapshot, age=np.floor(snapshot.features["age"])), knots) < 1e-9


@pytest.mark.parametrize("end", ["least", "greatest"])
@pytest.mark.parametrize("name", NUMBERS)
def test_the_plan_is_the_fitted_pipeline_where_most_policies_have_the_least_or_greatest_value(
    snapshot_of_month: Months, name: str, end: str
) -> None:
    snapshot = snapshot_of_month(0)
    values = snapshot.features[name]
    most = np.quantile(values, 0.6 if end == "least" else 0.4)
    clipped = np.maximum(values, most) if end == "least" else np.minimum(values, most)
    assert largest_difference(replaced(snapshot, **{name: clipped}), 10) < 1e-9


@pytest.mark.parametrize("trend", [False, True])
def test_averages_are_the_mean_contributions_of_the_training_portfolio(history: Snapshot, trend: bool) -> None:
    model, plan = fitted(history, 8, trend=trend)
    for months in (0.0, 3.0):
        parts = model.contributions(history.matrix(), months)
        for name, position in POSITION.items():
            term = plan.terms[name]
            average = term.average + months * term.average_trend
            assert average == pytest.approx(float(parts[:, position].mean()), abs=1e-9)


def test_a_plan_says_what_it_was_made_of(snapshot_of_month: Months) -> None:
    snapshot = snapshot_of_month(0)
    _, plan = fitted(snapshot, 10)
    assert (plan.candidate, plan.as_of, plan.snapshot_digest) == ("gam", date(2025, 2, 1), snapshot.digest)
    assert (plan.class_bounds, plan.trend_months) == (CLASS_BOUNDS, (0.0, 0.0))
    assert {name: tuple(support) for name, support in plan.support.items()} == {
        name: (values.min(), values.max()) for name, values in snapshot.features.items()
    }
    assert plan.support["training"] == Support(0.0, 1.0)


def test_a_model_of_one_moment_has_no_trends(snapshot_of_month: Months) -> None:
    _, plan = fitted(snapshot_of_month(0), 10)
    assert plan.trend_months == (0.0, 0.0)
    assert all(term.trend is None for term in plan.terms.values())


def test_knots_lie_at_the_quantiles_of_the_portfolio(snapshot_of_month: Months) -> None:
    snapshot = snapshot_of_month(0)
    _, plan = fitted(snapshot, 10)
    for name in NUMBERS:
        term = plan.terms[name]
        assert isinstance(term, NumberTerm)
        expected = np.percentile(snapshot.features[name], np.linspace(0, 100, 10))
        np.testing.assert_allclose(term.level.breakpoints, expected, rtol=1e-12)


def test_curves_are_smooth_where_their_segments_meet(snapshot_of_month: Months) -> None:
    """Value and slope from the left are those from the right: no premium jumps at a birthday."""
    _, plan = fitted(snapshot_of_month(0), 10)
    for name in NUMBERS:
        term = plan.terms[name]
        assert isinstance(term, NumberTerm)
        breakpoints, segments = term.level.breakpoints, term.level.coefficients
        for index, right in enumerate(segments[1:]):
            c0, c1, c2, c3 = segments[index]
            d = breakpoints[index] - breakpoints[max(index - 1, 0)]
            assert right[0] == pytest.approx(c0 + d * (c1 + d * (c2 + d * c3)), abs=1e-9)
            assert right[1] == pytest.approx(c1 + d * (2 * c2 + d * 3 * c3), abs=1e-9)


def test_a_folded_plan_survives_its_text(snapshot_of_month: Months) -> None:
    _, plan = fitted(snapshot_of_month(0), 20)
    text = plan.to_json()
    assert RatingPlan.from_json(text, digest=plan_digest(text)) == plan


# --- any portfolio, any policy ------------------------------------------------------------------------------------

ROWS = 250


@st.composite
def _portfolios(draw: st.DrawFn, months: Months) -> Snapshot:
    """A simulated portfolio bent out of shape: rounded, clipped, shifted, with many values all the same."""
    snapshot = months(0, policies_a_month=ROWS, seed=draw(st.integers(0, 5)))
    columns = {}
    for name, values in numbers(snapshot):
        low, high = sorted(draw(st.tuples(st.floats(0, 0.45), st.floats(0.55, 1))))
        bent = np.clip(values, *np.quantile(values, [low, high]))
        bent = np.round(bent, draw(st.integers(0, 3))) if draw(st.booleans()) else bent
        same = np.random.default_rng(draw(st.integers(0, 9))).random(ROWS) < draw(st.floats(0, 0.8))
        bent = np.where(same, bent[0], bent) * draw(st.sampled_from([1.0, 1.0, 1e-3, 1e4]))
        columns[name] = bent if np.ptp(bent) > 0 else values
    return replaced(snapshot, **columns)


@settings(
    max_examples=max(5, settings.default.max_examples // 4),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking a portfolio takes minutes and makes it no clearer
)
@given(data=st.data(), knots=st.sampled_from(KNOTS), trend=st.booleans(), days=st.integers(-900, 183))
def test_the_plan_of_any_portfolio_is_the_fitted_model_for_any_policy(
    snapshot_of_month: Months, data: st.DataObject, knots: int, trend: bool, days: int
) -> None:
    snapshot = data.draw(_portfolios(snapshot_of_month))
    try:
        model, plan = fitted(snapshot, knots, trend=trend)
    except InvalidData as error:
        assert "steeper than a rating plan" in str(error)  # noqa: PT017  knots a millionth apart; there is no plan to compare
        return
    low, high = snapshot.matrix().min(axis=0), snapshot.matrix().max(axis=0)
    far = [
        st.floats(-10, 11).map(lambda part, i=i: float(low[i] + part * (high[i] - low[i]))) for i in POSITION.values()
    ]
    flags = {POSITION[name]: st.sampled_from([0.0, 1.0]) for name in FLAGS}
    policy = st.tuples(*(flags.get(position, drawn) for position, drawn in enumerate(far)))
    policies = np.array(data.draw(st.lists(policy, min_size=1, max_size=10)))
    day = max(snapshot.as_of + timedelta(days=days), min(snapshot.effective_dates.tolist()))
    expected = model.predict(policies, months_between(snapshot.as_of, day))
    scale = np.maximum(1.0, np.abs(expected))
    assert float((np.abs(answers(plan, policies, day) - expected) / scale).max()) < 1e-9
