"""Figures of the candidates' table, against computations by hand and by scikit-learn."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from motorisk.modelling.backtest import BacktestResult
from motorisk.modelling.explainability import cost_of_explainability
from motorisk.modelling.figures import table_row
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import Floats
from motorisk.simulation.portfolio import Simulation, simulate_month


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return Snapshot.of_table(date(2025, 2, 1), simulate_month(Simulation(date(2024, 1, 1)), 0))


def result(name: str, snapshot: Snapshot, losses: Floats, high: Floats | None = None) -> BacktestResult:
    n = len(snapshot)
    stated = np.full(n, 0.2) if high is None else high
    shares = np.column_stack([(1 - stated) / 2, (1 - stated) / 2, stated])
    return BacktestResult(name, np.arange(n), losses, (losses < 0.7) * 1.0, snapshot.risk + 0.5, shares, {})


def test_figures_are_those_of_their_definitions(snapshot: Snapshot) -> None:
    random = np.random.default_rng(1)
    losses, stated = random.exponential(1, len(snapshot)), np.round(random.random(len(snapshot)), 2)
    row = table_row(result("gam", snapshot, losses, stated), snapshot, seed=0)
    assert row["rmse"] == pytest.approx(0.5)
    assert row["accuracy"] == pytest.approx(np.mean(losses < 0.7))
    assert row["gini"] == pytest.approx(2 * roc_auc_score(snapshot.risk > 3.0, stated) - 1, abs=1e-12)


def test_intervals_hold_the_figure_and_have_the_width_that_theory_gives(snapshot: Snapshot) -> None:
    losses = np.random.default_rng(2).exponential(1, len(snapshot))
    row = table_row(result("gam", snapshot, losses), snapshot, seed=0)
    low, high = row["intervals"]["log_loss"]
    assert low < row["log_loss"] < high
    assert high - low == pytest.approx(2 * 1.96 * losses.std() / np.sqrt(len(losses)), rel=0.2)
    assert row["intervals"] == table_row(result("gam", snapshot, losses), snapshot, seed=0)["intervals"]


def test_a_perfect_order_has_a_gini_of_one_and_no_order_one_of_nought(snapshot: Snapshot) -> None:
    losses = np.ones(len(snapshot))
    perfect = (snapshot.risk - snapshot.risk.min()) / np.ptp(snapshot.risk)
    assert table_row(result("gam", snapshot, losses, perfect), snapshot, seed=0)["gini"] == pytest.approx(1.0)
    assert table_row(result("gam", snapshot, losses), snapshot, seed=0)["gini"] == pytest.approx(0.0)


@pytest.mark.parametrize("highs", [0, 1, 2])
def test_few_high_risks_leave_figures_that_the_registry_can_keep(snapshot: Snapshot, highs: int) -> None:
    """JSON has no NaN: the Gini is not known without a high risk, and some bootstrap samples hold none of a few."""
    few = replace(snapshot, risk=np.minimum(snapshot.risk, 2.5))
    few.risk[:highs] = 3.5
    stated = np.linspace(0.9, 0.1, len(few))
    row = table_row(result("gam", few, np.ones(len(few)), stated), few, seed=0)
    json.dumps(row, allow_nan=False)
    if highs:
        assert [row["gini"], *row["intervals"]["gini"]] == pytest.approx([1.0] * 3, abs=0.01)
    else:
        assert row["gini"] is row["intervals"]["gini"] is None


# --- what being explainable costs ------------------------------------------------------------------------------------


def test_a_yardstick_that_wins_in_a_segment_has_it_named(snapshot: Snapshot) -> None:
    noise = np.random.default_rng(3).exponential(0.2, len(snapshot))
    fast_and_young = (snapshot.features["age"] < 25) & (snapshot.features["power"] > 130)
    gam, boosting = result("gam", snapshot, noise + 0.5 * fast_and_young), result("boosting", snapshot, noise)
    told = cost_of_explainability([gam, boosting], gam, ["boosting"], snapshot)
    assert told is not None
    assert told["yardstick"] == "boosting"
    assert told["cost"] == pytest.approx(0.5 * fast_and_young.mean())
    assert told["clearly"]
    first = told["where"][0]
    assert first["gain"] > 0.4
    assert "age < 2" in first["segment"]
    assert "power >= 1" in first["segment"]


def test_a_yardstick_that_wins_by_a_flag_has_the_flag_named(snapshot: Snapshot) -> None:
    noise = np.random.default_rng(4).exponential(0.2, len(snapshot))
    trained = snapshot.features["training"]
    gam, boosting = result("gam", snapshot, noise + 0.3 * trained), result("boosting", snapshot, noise)
    told = cost_of_explainability([gam, boosting], gam, ["boosting"], snapshot)
    assert told is not None
    conditions = told["where"][0]["segment"].split(" and ")
    assert "training" in conditions


def test_a_yardstick_that_does_not_win_costs_nothing_and_names_nothing(snapshot: Snapshot) -> None:
    noise = np.random.default_rng(5).exponential(0.2, len(snapshot))
    gam, net = result("gam", snapshot, noise), result("neural_net", snapshot, noise + 0.1)
    told = cost_of_explainability([gam, net], gam, ["neural_net"], snapshot)
    assert told is not None
    assert told["cost"] == pytest.approx(-0.1)
    assert (told["clearly"], told["where"]) == (False, [])
    assert cost_of_explainability([gam], gam, ["neural_net"], snapshot) is None


def test_of_several_yardsticks_the_best_is_the_measure(snapshot: Snapshot) -> None:
    noise = np.random.default_rng(6).exponential(0.2, len(snapshot))
    gam, worse, better = (
        result(name, snapshot, noise + more) for name, more in (("gam", 0.2), ("boosting", 0.15), ("neural_net", 0.1))
    )
    told = cost_of_explainability([gam, worse, better], gam, ["boosting", "neural_net"], snapshot)
    assert told is not None
    assert told["yardstick"] == "neural_net"
