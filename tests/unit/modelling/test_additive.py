"""The additive model: a scikit-learn estimator that believes trends as far as the data support them."""

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from motorisk.domain.policy import FEATURES
from motorisk.modelling.additive import AdditiveRegressor, distinct_quantiles
from motorisk.modelling.snapshot import Snapshot
from motorisk.simulation.portfolio import Simulation, draw_features, expected_risk, noise_spread, simulate


# Of these scikit-learn itself skips one: check_array_api_input, unless SCIPY_ARRAY_API is set.
@parametrize_with_checks([AdditiveRegressor(), AdditiveRegressor(n_knots=4, trend=False)])
def test_it_is_a_scikit_learn_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


def world(months: int, drift_until: int | None = None, policies: int = 1000) -> Snapshot:
    """Months of a world, known when twelve more have passed."""
    simulation = Simulation(date(2023, 1, 1), months=months, policies_a_month=policies, drift_until=drift_until)
    end = date(2024 + months // 12, months % 12 + 1, 1)
    return Snapshot.of_table(end, pa.concat_tables(simulate(simulation)))


def fitted(snapshot: Snapshot, **parameters: Any) -> AdditiveRegressor:
    return AdditiveRegressor(**parameters).fit(snapshot.matrix(), snapshot.risk, snapshot.months())


def ahead(month: int, size: int = 20_000) -> tuple[Any, Any]:
    features = draw_features(np.random.default_rng(month), month, size)
    return np.column_stack([features[name] for name in FEATURES]), expected_risk(features, month)


def test_a_trend_is_carried_on_to_where_no_outcome_is_known() -> None:
    snapshot = world(12)
    matrix, truth = ahead(24)
    errors = {
        trend: float(np.sqrt(np.mean((fitted(snapshot, trend=trend).predict(matrix, 0.5) - truth) ** 2)))
        for trend in (True, False)
    }
    assert errors[True] < 0.15
    assert errors[False] > 0.6


def test_the_weight_of_training_falls_as_the_world_says() -> None:
    model = fitted(world(12))
    driver = np.tile(np.median(ahead(0)[0], axis=0), (2, 1))
    driver[:, list(FEATURES).index("training")] = (0.0, 1.0)
    difference = [float(np.diff(model.predict(driver, months))[0]) for months in (-12.0, 0.0)]
    assert difference[1] - difference[0] == pytest.approx(1.2, abs=0.15)


def test_trends_that_the_data_do_not_support_shrink_to_nearly_nothing() -> None:
    snapshot = world(12, drift_until=0)
    matrix, _ = ahead(0)
    model = fitted(snapshot)
    year = model.predict(matrix, 6.0) - model.predict(matrix, -6.0)
    assert float(np.std(year)) < 0.1
    steady = fitted(snapshot, trend=False)
    assert float(np.std(model.predict(matrix, 0.0) - steady.predict(matrix))) < 0.1


def test_two_months_show_no_trend() -> None:
    snapshot = world(2)
    model = fitted(snapshot)
    assert not model.has_trend_
    assert np.array_equal(model.predict(snapshot.matrix(), 0.0), model.predict(snapshot.matrix(), 12.0))


def test_terms_that_must_stand_still_do() -> None:
    model = fitted(world(6), still=(0, 1))
    assert [change is None for change in model.changes_] == [True, True, False, False, False, False]


def test_the_spread_follows_the_noise_over_time() -> None:
    model = fitted(world(18))
    assert float(model.predict_spread(-12.0 - 18.0)) == pytest.approx(noise_spread(0), rel=0.12)
    assert float(model.predict_spread(0.0)) == pytest.approx(noise_spread(30), rel=0.25)


def test_what_is_not_known_widens_the_spread() -> None:
    few, many = (fitted(world(6, policies=policies)) for policies in (100, 2000))
    assert few.spread_ > many.spread_ * 1.02


def test_fitting_again_gives_the_same() -> None:
    snapshot = world(4, policies=300)
    model = fitted(snapshot)
    again = clone(model).fit(snapshot.matrix(), snapshot.risk, snapshot.months())
    assert np.array_equal(model.predict(snapshot.matrix(), 3.0), again.predict(snapshot.matrix(), 3.0))


def test_quantiles_that_coincide_are_one_knot() -> None:
    values = np.array([1.0] * 60 + [2.0, 3.0, 4.0] * 10)
    knots = distinct_quantiles(values, 10)
    assert (knots[0], knots[-1]) == (1.0, 4.0)
    assert (np.diff(knots) > 0).all()
