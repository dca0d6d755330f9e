"""The simulated world is the design's: its figures are written here again and computed another way.

Tolerances are five standard errors of the sample, so that a right generator fails once in a million.
"""

import math
from calendar import monthrange
from datetime import date
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy.integrate import quad
from scipy.stats import norm, skewnorm

from motorisk.domain.calendar import add_months
from motorisk.domain.policy import FEATURES
from motorisk.simulation.portfolio import (
    Simulation,
    draw_features,
    expected_risk,
    noise_spread,
    simulate,
    simulate_month,
)

Floats = npt.NDArray[np.float64]

START = date(2024, 1, 1)
SIZE = 200_000
MONTHS = [0, 12, 36]
STANDARD_ERRORS = 5


@pytest.fixture(scope="module")
def drawn() -> dict[int, dict[str, Floats]]:
    """By month: the features of many policies."""
    return {month: draw_features(np.random.default_rng([11, month]), month, SIZE) for month in MONTHS}


@pytest.fixture(scope="module")
def months() -> dict[int, pa.Table]:
    """By month: many whole policies with their outcomes."""
    return {month: simulate_month(Simulation(START, policies_a_month=50_000), month) for month in MONTHS}


def column(table: pa.Table, name: str) -> Floats:
    return np.asarray(table[name].to_numpy())


def distribution(name: str, month: int) -> tuple[object, float, float, float]:
    """A number's distribution by the design, the bounds at which it is clipped, and its shift afterwards."""
    return {
        "age": (skewnorm(16, 18, 22), 16.0, 100.0, 0.1 * month),
        "braking_distance": (norm(40, 5), -math.inf, math.inf, 0.0),
        "power": (skewnorm(2, 100, 50), -math.inf, math.inf, 0.0),
        "miles": (skewnorm(4, 50 - 0.5 * month, 40), 5.0, math.inf, 0.0),
    }[name]


def moments(name: str, month: int) -> tuple[float, float, float]:
    """Mean, standard deviation and fourth central moment of a clipped distribution, by quadrature."""
    found, low, high, shift = distribution(name, month)
    ends = [max(low, found.ppf(1e-14)), min(high, found.isf(1e-14))]  # type: ignore[attr-defined]
    atoms = [(ends[0], found.cdf(ends[0])), (ends[1], found.sf(ends[1]))]  # type: ignore[attr-defined]
    cuts = np.linspace(*ends, 9)

    def expectation(power: int, centre: float) -> float:
        inside = sum(
            quad(lambda x: (x - centre) ** power * found.pdf(x), *piece)[0]  # type: ignore[attr-defined]
            for piece in pairwise(cuts)
        )
        return float(inside + sum(share * (x - centre) ** power for x, share in atoms))

    mean = expectation(1, 0.0)
    return mean + shift, math.sqrt(expectation(2, mean)), expectation(4, mean)


# --- features -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize("name", ["age", "braking_distance", "power", "miles"])
def test_numbers_have_the_means_and_spreads_of_the_design(
    drawn: dict[int, dict[str, Floats]], name: str, month: int
) -> None:
    mean, spread, fourth = moments(name, month)
    values = drawn[month][name]
    assert values.mean() == pytest.approx(mean, abs=STANDARD_ERRORS * spread / math.sqrt(SIZE))
    error_of_spread = math.sqrt((fourth - spread**4) / (4 * spread**2 * SIZE))
    assert values.std() == pytest.approx(spread, abs=STANDARD_ERRORS * error_of_spread)


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize("name", ["age", "braking_distance", "power", "miles"])
def test_numbers_have_the_shape_of_the_design(drawn: dict[int, dict[str, Floats]], name: str, month: int) -> None:
    found, low, high, shift = distribution(name, month)
    for share in (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999):
        value = found.ppf(share)  # type: ignore[attr-defined]
        if low < value < high:
            below = np.mean(drawn[month][name] <= value + shift)
            assert below == pytest.approx(share, abs=STANDARD_ERRORS * math.sqrt(share * (1 - share) / SIZE))


@pytest.mark.parametrize("month", MONTHS)
def test_clipped_values_stay_at_their_bounds(drawn: dict[int, dict[str, Floats]], month: int) -> None:
    for name, bound in (("age", 16.0), ("miles", 5.0)):
        found, low, _, shift = distribution(name, month)
        assert low == bound
        values = drawn[month][name]
        assert values.min() >= bound + shift
        share = found.cdf(bound)  # type: ignore[attr-defined]
        tolerance = STANDARD_ERRORS * math.sqrt(share * (1 - share) / SIZE) + 1e-12
        assert np.mean(values == bound + shift) == pytest.approx(share, abs=tolerance)
    assert drawn[month]["age"].max() <= 100.0 + 0.1 * month


@pytest.mark.parametrize(("month", "training", "braking"), [(0, 0.20, 0.40), (12, 0.20, 0.58), (36, 0.20, 0.94)])
def test_flags_have_the_shares_of_the_design(
    drawn: dict[int, dict[str, Floats]], month: int, training: float, braking: float
) -> None:
    for name, share in (("training", training), ("emergency_braking", braking)):
        values = drawn[month][name]
        assert set(values) == {0.0, 1.0}
        assert values.mean() == pytest.approx(share, abs=STANDARD_ERRORS * math.sqrt(share * (1 - share) / SIZE))


def test_in_the_end_every_vehicle_has_emergency_braking() -> None:
    assert draw_features(np.random.default_rng(1), 60, 1000)["emergency_braking"].min() == 1.0


def test_features_are_independent_of_each_other(drawn: dict[int, dict[str, Floats]]) -> None:
    correlation = np.corrcoef([drawn[12][name] for name in FEATURES])
    assert np.abs(correlation - np.eye(6)).max() < STANDARD_ERRORS / math.sqrt(SIZE)


def test_age_miles_and_emergency_braking_drift_and_the_others_do_not(drawn: dict[int, dict[str, Floats]]) -> None:
    moved = {}
    for name in FEATURES:
        first, last = drawn[0][name], drawn[36][name]
        error = math.sqrt((first.var() + last.var()) / SIZE)
        moved[name] = abs(last.mean() - first.mean()) > STANDARD_ERRORS * error
    assert {name for name, drifted in moved.items() if drifted} == {"age", "miles", "emergency_braking"}
    # Nobody else is clipped: the mean moves by the drift itself.
    error = drawn[0]["age"].std() * math.sqrt(2 / SIZE)
    assert drawn[36]["age"].mean() - drawn[0]["age"].mean() == pytest.approx(3.6, abs=STANDARD_ERRORS * error)


# --- risk -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "month", "expected"),
    [
        # All terms zero.
        ((0, 35, 0, 40, 100, 50), 0, 0.0),
        # -(4 x (1 - 0) + 1) = -5
        ((1, 35, 1, 40, 100, 50), 0, -5.0),
        # -(4 x (0 - 22/22)) = 4, on either side of 35
        ((0, 57, 0, 40, 100, 50), 0, 4.0),
        ((0, 13, 0, 40, 100, 50), 0, 4.0),
        # At month 12 w is 2.8, at month 36 0.4.
        ((0, 57, 0, 40, 100, 50), 12, 2.8),
        ((1, 35, 1, 40, 100, 50), 12, -3.8),
        ((1, 57, 0, 40, 100, 50), 12, 0.0),
        ((0, 57, 0, 40, 100, 50), 36, 0.4),
        # (50 - 40)/5 = 2; (30 - 40)/5 = -2: longer ways to stop are riskier.
        ((0, 35, 0, 50, 100, 50), 0, 2.0),
        ((0, 35, 0, 30, 100, 50), 0, -2.0),
        # |200 - 100|/50 = 2 and |75 - 100|/50 = 0.5
        ((0, 35, 0, 40, 200, 50), 0, 2.0),
        ((0, 35, 0, 40, 75, 50), 0, 0.5),
        # |90 - 50|/40 = 1 and |10 - 50|/40 = 1
        ((0, 35, 0, 40, 100, 90), 0, 1.0),
        ((0, 35, 0, 40, 100, 10), 0, 1.0),
        # -(4 x (1 - 11/22) + 1 - 1 - 0.4 - 0.5) = -(2 + 1 - 1 - 0.9)
        ((1, 46, 1, 45, 120, 70), 0, -1.1),
        # The same at month 20, w = 2.
        ((1, 46, 1, 45, 120, 70), 20, -0.1),
    ],
)
def test_the_risk_is_what_the_formula_gives_by_hand(policy: tuple[float, ...], month: int, expected: float) -> None:
    features = {name: np.array([float(value)]) for name, value in zip(FEATURES, policy, strict=True)}
    assert expected_risk(features, month)[0] == pytest.approx(expected, abs=1e-12)


def residuals(table: pa.Table, w: float) -> Floats:
    """Outcomes less the design's formula."""
    training, age, braking, distance, power, miles = (column(table, name) for name in FEATURES)
    merit = w * (training - abs(age - 35) / 22) + braking - (distance - 40) / 5 - abs(power - 100) / 50
    return column(table, "risk") + (merit - abs(miles - 50) / 40)


@pytest.mark.parametrize(("month", "w", "spread"), [(0, 4.0, 0.42), (12, 2.8, 0.31), (36, 0.4, 0.15)])
def test_outcomes_are_normal_about_the_formula_with_the_noise_of_the_month(
    months: dict[int, pa.Table], month: int, w: float, spread: float
) -> None:
    noise = residuals(months[month], w)
    size = len(noise)
    expected = math.sqrt((0.1 * w) ** 2 + 0.14**2)
    assert noise_spread(month) == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(spread, abs=0.005)
    assert noise.mean() == pytest.approx(0.0, abs=STANDARD_ERRORS * expected / math.sqrt(size))
    assert noise.std() == pytest.approx(expected, abs=STANDARD_ERRORS * expected / math.sqrt(2 * size))
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        below = np.mean(noise <= NormalDist(0, expected).inv_cdf(share))
        assert below == pytest.approx(share, abs=STANDARD_ERRORS * math.sqrt(share * (1 - share) / size))


def test_noise_depends_on_no_feature(months: dict[int, pa.Table]) -> None:
    table = months[0]
    noise = residuals(table, 4.0)
    for name in FEATURES:
        assert abs(np.corrcoef(noise, column(table, name))[0, 1]) < STANDARD_ERRORS / math.sqrt(len(noise))


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_month_has_the_columns_of_an_import_file() -> None:
    assert simulate_month(Simulation(START), 0).column_names == [
        "policy_id",
        "customer_id",
        "effective_date",
        "expiry_date",
        *FEATURES,
        "risk",
        "observed_on",
    ]


def test_by_default_three_years_of_1500_policies_a_month_are_simulated() -> None:
    assert [len(month) for month in simulate(Simulation(START))] == [1500] * 36


def test_every_simulated_policy_is_plausible() -> None:
    for month in simulate(Simulation(START, seed=3)):
        for name, feature in FEATURES.items():
            problems = [feature.problem_with(value) for value in month[name].to_pylist()]
            assert problems == [None] * 1500
        assert np.isfinite(column(month, "risk")).all()


def test_a_world_that_drifts_for_decades_stays_plausible() -> None:
    ages = draw_features(np.random.default_rng(1), 300, SIZE)["age"]
    assert FEATURES["age"].problem_with(ages.max()) is None


def test_no_policy_has_the_id_of_another() -> None:
    months = [
        *simulate(Simulation(START, months=14, policies_a_month=50)),
        simulate_month(Simulation(START, seed=2), 0),
    ]
    for name in ("policy_id", "customer_id"):
        ids = [identity for month in months for identity in month[name].to_pylist()]
        assert len(set(ids)) == len(ids) == 14 * 50 + 1500


@pytest.mark.parametrize("start", [date(2024, 1, 1), date(2023, 11, 30), date(2024, 2, 29)])
def test_policies_start_on_every_day_of_their_month_in_order(start: date) -> None:
    for number, month in enumerate(simulate(Simulation(start, months=4))):
        dates = month["effective_date"].to_pylist()
        first = add_months(start.replace(day=1), number)
        assert dates == sorted(dates)
        assert set(dates) == {first.replace(day=day + 1) for day in range(monthrange(first.year, first.month)[1])}


def test_a_policy_runs_for_a_year() -> None:
    month = simulate_month(Simulation(date(2024, 2, 1)), 0)
    starts, ends = month["effective_date"].to_pylist(), month["expiry_date"].to_pylist()
    assert ends == [add_months(day, 12) for day in starts]
    assert date(2025, 2, 28) in ends  # of the policies of 29 February


def test_outcomes_of_the_first_month_are_known_at_once() -> None:
    month = simulate_month(Simulation(START), 0)
    assert month["observed_on"].to_pylist() == month["effective_date"].to_pylist()


@pytest.mark.parametrize("delay", [12, 3, 0])
@pytest.mark.parametrize("number", [1, 2, 13])
def test_later_outcomes_are_known_after_the_label_delay(number: int, delay: int) -> None:
    month = simulate_month(Simulation(START, policies_a_month=200, label_delay_months=delay), number)
    assert month["observed_on"].to_pylist() == [add_months(day, delay) for day in month["effective_date"].to_pylist()]


def test_the_label_delay_is_a_year_unless_another_is_asked_for() -> None:
    month = simulate_month(Simulation(START), 1)
    assert month["observed_on"].to_pylist() == month["expiry_date"].to_pylist()


# --- seeds ------------------------------------------------------------------------------------------------------------


def test_more_months_leave_the_earlier_ones_unchanged() -> None:
    few = list(simulate(Simulation(START, months=3, policies_a_month=200)))
    many = list(simulate(Simulation(START, months=8, policies_a_month=200)))
    assert len(many) == 8
    assert all(one.equals(other) for one, other in zip(few, many, strict=False))


def test_the_same_simulation_again_is_the_same() -> None:
    assert simulate_month(Simulation(START), 5).equals(simulate_month(Simulation(START), 5))


@pytest.mark.parametrize("name", [*FEATURES, "risk", "effective_date", "policy_id"])
def test_another_seed_gives_another_world(name: str) -> None:
    one, other = simulate_month(Simulation(START, seed=1), 2), simulate_month(Simulation(START, seed=2), 2)
    assert not one[name].equals(other[name])


def test_no_month_repeats_another() -> None:
    months = list(simulate(Simulation(START, months=5, policies_a_month=100, drift_until=0)))
    for one, other in pairwise(months):
        assert not np.isin(column(one, "power"), column(other, "power")).any()


def test_a_later_start_moves_the_dates_only() -> None:
    one = simulate_month(Simulation(date(2024, 1, 1)), 2)
    other = simulate_month(Simulation(date(2025, 1, 1)), 2)  # March has 31 days in every year
    same = [*FEATURES, "risk", "policy_id"]
    assert one.select(same).equals(other.select(same))
    assert other["effective_date"].to_pylist() == [add_months(day, 12) for day in one["effective_date"].to_pylist()]


# --- drift that stops -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drift_until", "month", "expected"), [(None, 30, 30), (0, 30, 0), (12, 5, 5), (12, 12, 12), (12, 30, 12)]
)
def test_the_world_drifts_until_it_is_told_to_stop(drift_until: int | None, month: int, expected: int) -> None:
    assert Simulation(START, drift_until=drift_until).drift_month(month) == expected


@pytest.mark.parametrize(("drift_until", "w", "braking"), [(0, 4.0, 0.40), (12, 2.8, 0.58)])
def test_after_the_drift_has_stopped_features_and_risk_stay_as_they_were_then(
    drift_until: int, w: float, braking: float
) -> None:
    size = 50_000
    month = simulate_month(Simulation(START, policies_a_month=size, drift_until=drift_until), 30)
    share = column(month, "emergency_braking").mean()
    assert share == pytest.approx(braking, abs=STANDARD_ERRORS * math.sqrt(braking * (1 - braking) / size))
    for name in ("age", "miles"):
        mean, spread, _ = moments(name, drift_until)
        assert column(month, name).mean() == pytest.approx(mean, abs=STANDARD_ERRORS * spread / math.sqrt(size))
    expected = math.sqrt((0.1 * w) ** 2 + 0.14**2)
    found = residuals(month, w).std()
    assert found == pytest.approx(expected, abs=STANDARD_ERRORS * expected / math.sqrt(2 * size))


def test_months_before_the_drift_stops_are_those_of_a_world_that_drifts_on() -> None:
    stopping, drifting = Simulation(START, drift_until=6), Simulation(START)
    assert simulate_month(stopping, 6).equals(simulate_month(drifting, 6))
    assert not simulate_month(stopping, 7).equals(simulate_month(drifting, 7))
