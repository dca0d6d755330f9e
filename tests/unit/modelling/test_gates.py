"""Gates: inclusive at their thresholds, never passed by what is not a number."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from motorisk.domain.gate import GateResult
from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic
from motorisk.domain.risk import CLASS_BOUNDS
from motorisk.modelling.backtest import BacktestResult
from motorisk.modelling.candidates import Gam, PlanForecaster
from motorisk.modelling.configuration import CHAMPION, GateThresholds, TrainingConfiguration
from motorisk.modelling.evaluation import Evaluation
from motorisk.modelling.gates import (
    WIGGLE,
    at_least,
    at_most,
    backtest_gates,
    benefit_gate,
    calibration_gate,
    directional_gates,
    plan_gates,
    segment_gates,
    workshop_gates,
    yardstick_gates,
)
from motorisk.modelling.segments import segments
from motorisk.modelling.snapshot import Snapshot
from motorisk.modelling.tuning import Entry
from motorisk.scoring.pricing import Floats, class_probabilities, estimate

# Figures that are exact in binary, so that a threshold can be met exactly.
THRESHOLDS = GateThresholds(
    min_accuracy=0.875,
    max_accuracy_spread=0.0625,
    max_share_difference=0.0625,
    min_certainty=0.75,
    max_certainty=0.96875,
)
GOOD = Evaluation(
    accuracy=0.9375,
    log_loss=0.25,
    certainty=0.875,
    predicted_shares=(0.25, 0.25, 0.5),
    observed_shares=(0.25, 0.25, 0.5),
)
NAMES = [
    "training accuracy",
    "hold-out accuracy",
    "accuracy spread",
    "share of low off by",
    "share of medium off by",
    "share of high off by",
    "certainty",
    "certainty not above",
]


def failed(training: Evaluation = GOOD, holdout: Evaluation = GOOD) -> set[str]:
    return {gate["name"] for gate in workshop_gates(training, holdout, THRESHOLDS) if not gate["passed"]}


@pytest.mark.parametrize(
    ("value", "passed"), [(0.85, True), (math.nextafter(0.85, 0), False), (0.9, True), (-1, False), (math.inf, True)]
)
def test_at_least_is_passed_at_the_threshold_itself(value: float, passed: bool) -> None:
    assert at_least("accuracy", value, 0.85) == {
        "name": "accuracy",
        "value": value,
        "rule": ">=",
        "threshold": 0.85,
        "passed": passed,
    }


@pytest.mark.parametrize(
    ("value", "passed"), [(0.05, True), (math.nextafter(0.05, 1), False), (0.0, True), (math.inf, False)]
)
def test_at_most_is_passed_at_the_threshold_itself(value: float, passed: bool) -> None:
    assert at_most("spread", value, 0.05) == {
        "name": "spread",
        "value": value,
        "rule": "<=",
        "threshold": 0.05,
        "passed": passed,
    }


def test_what_is_not_a_number_passes_neither_kind_of_gate() -> None:
    assert at_least("any", math.nan, 0.0)["passed"] is False
    assert at_most("any", math.nan, 1.0)["passed"] is False


def test_a_good_model_passes_all_gates() -> None:
    gates = workshop_gates(GOOD, GOOD, THRESHOLDS)
    assert [gate["name"] for gate in gates] == NAMES
    assert all(gate["passed"] for gate in gates)


def test_a_figure_exactly_at_its_threshold_passes() -> None:
    training = replace(GOOD, accuracy=0.9375)
    holdout = replace(GOOD, accuracy=0.875, certainty=0.75, predicted_shares=(0.3125, 0.1875, 0.5))
    assert failed(training, holdout) == set()
    assert failed(holdout=replace(GOOD, certainty=0.96875)) == set()


@pytest.mark.parametrize(
    ("training", "holdout", "expected"),
    [
        ({"accuracy": 0.8125}, {"accuracy": 0.875}, {"training accuracy"}),
        ({"accuracy": 0.875}, {"accuracy": 0.8125}, {"hold-out accuracy"}),
        ({"accuracy": 1.0}, {"accuracy": 0.875}, {"accuracy spread"}),
        ({"accuracy": 0.875}, {"accuracy": 1.0}, {"accuracy spread"}),
        ({}, {"predicted_shares": (0.375, 0.25, 0.375)}, {"share of low off by", "share of high off by"}),
        ({}, {"observed_shares": (0.125, 0.375, 0.5)}, {"share of low off by", "share of medium off by"}),
        ({}, {"certainty": 0.5}, {"certainty"}),
        ({}, {"certainty": 0.984375}, {"certainty not above"}),
        ({"certainty": 0.1, "predicted_shares": (1.0, 0.0, 0.0)}, {}, set()),  # of training, only accuracy counts
    ],
)
def test_each_gate_fails_for_its_own_reason(
    training: dict[str, float], holdout: dict[str, float], expected: set[str]
) -> None:
    assert failed(replace(GOOD, **training), replace(GOOD, **holdout)) == expected


@pytest.mark.parametrize(
    ("training", "holdout", "expected"),
    [
        ({"accuracy": math.nan}, {}, {"training accuracy", "accuracy spread"}),
        ({}, {"accuracy": math.nan}, {"hold-out accuracy", "accuracy spread"}),
        ({}, {"certainty": math.nan}, {"certainty", "certainty not above"}),
        ({}, {"predicted_shares": (math.nan,) * 3}, set(NAMES[3:6])),
        ({}, {"observed_shares": (math.nan,) * 3}, set(NAMES[3:6])),
    ],
)
def test_a_figure_that_could_not_be_computed_fails_its_gates(
    training: dict[str, float], holdout: dict[str, float], expected: set[str]
) -> None:
    assert failed(replace(GOOD, **training), replace(GOOD, **holdout)) == expected


def test_a_gate_tells_value_and_threshold_as_they_were_compared() -> None:
    gates = {gate["name"]: gate for gate in workshop_gates(replace(GOOD, accuracy=0.96875), GOOD, THRESHOLDS)}
    assert (gates["accuracy spread"]["value"], gates["accuracy spread"]["threshold"]) == (0.03125, 0.0625)
    assert (gates["training accuracy"]["value"], gates["hold-out accuracy"]["value"]) == (0.96875, 0.9375)
    assert (gates["certainty not above"]["rule"], gates["certainty not above"]["threshold"]) == ("<=", 0.96875)


# --- gates on what was trained ----------------------------------------------------------------------------------------


def value_of(gates: list[GateResult], name: str) -> float:
    return next(gate["value"] for gate in gates if gate["name"] == name)


@pytest.fixture(scope="module")
def snapshot(snapshot_of_month: Callable[..., Snapshot]) -> Snapshot:
    return snapshot_of_month(0)


@pytest.fixture(scope="module")
def served(snapshot: Snapshot) -> PlanForecaster:
    return Gam().fit(snapshot, TrainingConfiguration())


def test_a_sound_plan_passes_all_gates_on_plans(snapshot: Snapshot, served: PlanForecaster) -> None:
    gates = plan_gates(served.plan, snapshot, served.folding_error) + directional_gates(served.plan)
    assert [gate["name"] for gate in gates if not gate["passed"]] == []


def test_gates_on_plans_have_the_names_and_bounds_that_cards_tell(snapshot: Snapshot, served: PlanForecaster) -> None:
    gates = plan_gates(served.plan, snapshot, served.folding_error) + directional_gates(served.plan)
    assert [(gate["name"], gate["threshold"]) for gate in gates] == [
        ("plan differs from model by", 1e-9),
        ("answers that depend on the batch", 0),
        ("inputs without a number for an answer", 0),
        ("features that may not price", 0),
        ("risk falls with braking distance by", served.plan.spread * WIGGLE),
        ("risk rises with emergency brake by", 0.0),
    ]


def test_a_plan_that_is_not_its_model_is_noticed(snapshot: Snapshot, served: PlanForecaster) -> None:
    gates = plan_gates(served.plan, snapshot, 2e-9)
    assert [gate["name"] for gate in gates if not gate["passed"]] == ["plan differs from model by"]


def test_answers_that_depend_on_the_batch_are_noticed(
    snapshot: Snapshot, served: PlanForecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_of_a_batch_is_another(*batch: Any) -> Any:
        found = estimate(*batch)
        found.probabilities[0] += np.array([1, -1, 0])
        return found

    monkeypatch.setattr("motorisk.modelling.gates.estimate", first_of_a_batch_is_another)
    gates = plan_gates(served.plan, snapshot, 0.0)
    # The first of the portfolio, whoever comes first when it is shuffled, and ten alone.
    assert value_of(gates, "answers that depend on the batch") == 2 + 10


def test_a_plan_without_an_answer_somewhere_is_noticed(snapshot: Snapshot, served: PlanForecaster) -> None:
    tiny = served.plan.model_copy(update={"spread": 1e-320})
    with np.errstate(all="ignore"):
        gates = plan_gates(tiny.model_copy(update={"intercept": math.nan}), snapshot, 0.0)
    assert value_of(gates, "inputs without a number for an answer") > 0


def test_braking_distances_that_lower_the_risk_are_noticed(served: PlanForecaster) -> None:
    falling = PiecewiseCubic(breakpoints=(40.0,), coefficients=((0.0, -0.2, 0.0, 0.0), (0.0, -0.2, 0.0, 0.0)))
    terms = served.plan.terms | {"braking_distance": NumberTerm(level=falling, average=0.0)}
    gates = directional_gates(served.plan.model_copy(update={"terms": terms}))
    assert [gate["name"] for gate in gates if not gate["passed"]] == ["risk falls with braking distance by"]


def test_an_emergency_brake_that_raises_the_risk_is_noticed_also_where_only_its_trend_does(
    served: PlanForecaster,
) -> None:
    for brake in (FlagTerm(level=(0.0, 0.1), average=0.0), FlagTerm(level=(0.0, -1.0), trend=(0.0, 0.5), average=0.0)):
        terms = served.plan.terms | {"emergency_braking": brake}
        gates = directional_gates(served.plan.model_copy(update={"terms": terms, "trend_months": (0.0, 6.0)}))
        assert [gate["name"] for gate in gates if not gate["passed"]] == ["risk rises with emergency brake by"]
    kind = served.plan.terms | {"emergency_braking": FlagTerm(level=(0.5, 0.25), average=0.0)}
    gates = directional_gates(served.plan.model_copy(update={"terms": kind, "trend_months": (0.0, 0.0)}))
    assert value_of(gates, "risk rises with emergency brake by") == -0.25


def missed_segments(snapshot: Snapshot, error: Floats) -> list[str]:
    """Gates missed by a model that is off by `error` beside noise of 0.4, and knows about the noise."""
    noise = np.random.default_rng(1).normal(0, 0.4, len(snapshot))
    expected = snapshot.risk - noise - error
    cells = segments(snapshot, expected, class_probabilities(expected, 0.4, CLASS_BOUNDS))
    return [gate["name"] for gate in segment_gates(cells, GateThresholds()) if not gate["passed"]]


def test_a_segment_that_is_priced_wrongly_is_noticed_where_it_is_large_enough(snapshot: Snapshot) -> None:
    assert missed_segments(snapshot, np.zeros(len(snapshot))) == []
    old = snapshot.features["age"] > 50
    assert missed_segments(snapshot, 0.5 * old)[0] == "worst segment off by"
    alone = np.zeros(len(snapshot), dtype=bool)
    alone[np.flatnonzero(old)[:20]] = True
    assert missed_segments(snapshot.where(alone), np.full(20, 5.0)) == []


def test_high_risks_that_were_not_expected_are_noticed_in_their_segment(snapshot: Snapshot) -> None:
    young = snapshot.features["age"] < 25
    assert "worst segment's high risks over expected" in missed_segments(snapshot, 0.8 * young)


def test_stated_probabilities_that_do_not_come_true_are_noticed() -> None:
    random = np.random.default_rng(2)
    observed = random.choice(3, size=5000, p=[0.5, 0.3, 0.2]).astype(np.int8)
    honest = np.tile(np.array([50_000_000, 30_000_000, 20_000_000]), (5000, 1))
    boastful = np.tile(np.array([90_000_000, 5_000_000, 5_000_000]), (5000, 1))
    kept = calibration_gate(honest, observed, 0.05)
    assert (kept["name"], kept["threshold"], kept["value"] < 0.02) == ("calibration error", 0.05, True)
    assert not calibration_gate(boastful, observed, 0.05)["passed"]


def result(name: str, losses: Floats) -> BacktestResult:
    n = len(losses)
    return BacktestResult(name, np.arange(n), losses, np.ones(n), np.zeros(n), np.full((n, 3), 1 / 3), {})


def test_a_model_no_better_than_the_rules_is_noticed() -> None:
    noise = np.random.default_rng(3).normal(1, 0.5, 1000)
    rules = result("rules", noise)
    better, alike = (result("gam", noise - gain) for gain in (0.1, 0.0))
    (kept,) = backtest_gates([rules, better], "gam", THRESHOLDS)
    assert (kept["name"], kept["threshold"], kept["passed"]) == ("log loss against the rules", 0.0, True)
    worse = result("gam", noise[::-1] + 0.01)
    assert not backtest_gates([rules, worse], "gam", THRESHOLDS)[0]["passed"]
    assert backtest_gates([rules, alike], "gam", THRESHOLDS)[0]["value"] == 0.0
    assert backtest_gates([better], "gam", THRESHOLDS) == []


def test_a_model_that_the_champion_beats_for_certain_is_noticed() -> None:
    noise = np.random.default_rng(3).normal(1, 0.5, 1000)
    champion = result(CHAMPION, noise)
    for name, losses, passed in (("better", -0.1, True), ("hardly worse", 0.005, True), ("worse", 0.1, False)):
        (gate,) = backtest_gates([champion, result("gam", noise + losses)], "gam", THRESHOLDS)
        assert (gate["name"], gate["passed"]) == ("log loss against the champion", passed), name
    hardly = result("gam", noise[::-1] + 0.001)
    assert backtest_gates([champion, hardly], "gam", THRESHOLDS)[0]["passed"]


def test_a_yardstick_that_cannot_learn_is_noticed() -> None:
    able = Entry("boosting", TrainingConfiguration(), None, in_time=(0.80, 0.85))
    unable = Entry("neural_net", TrainingConfiguration(), None, in_time=(0.87, 0.70))
    without = Entry("rules", TrainingConfiguration(), None)
    gates = yardstick_gates([able, unable, without], GateThresholds())
    assert [gate["name"] for gate in gates if not gate["passed"]] == ["neural_net, as a yardstick: certainty"]
    assert len(gates) == 4


def test_a_feature_that_does_harm_is_noticed_where_it_is_no_chance() -> None:
    random = np.random.default_rng(4)
    losses = random.gamma(1, 0.3, 1000)
    useful, useless = losses + 0.1, losses + random.normal(0, 0.1, 1000)
    assert benefit_gate(losses, {"age": useful, "power": useless})["passed"]
    assert benefit_gate(losses, {"age": useful})["value"] == pytest.approx(-0.1)
    harmful = losses - random.gamma(1, 0.02, 1000)
    gate = benefit_gate(losses, {"age": useful, "power": harmful, "miles": useless})
    assert (gate["name"], gate["rule"], gate["threshold"]) == ("log loss that a feature costs", "<=", 0.0)
    assert 0.015 < gate["value"] < 0.02
    assert not gate["passed"]
