"""Training on simulated months, measured against what nobody could do better."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy.stats import norm

from motorisk.domain.policy import FEATURES, NUMBERS
from motorisk.domain.rating_plan import RatingPlan, plan_digest
from motorisk.domain.risk import CLASS_BOUNDS, PROBABILITY_UNITS, RISK_CLASSES
from motorisk.errors import InvalidData, NotEnoughData
from motorisk.modelling.configuration import GateThresholds, TrainingConfiguration
from motorisk.modelling.evaluation import Evaluation, evaluate
from motorisk.modelling.fitting import TrainedModel, compete
from motorisk.modelling.fitting import fit as fit_entries
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import assess, risk_classes
from motorisk.simulation.portfolio import expected_risk, noise_spread

Months = Callable[..., Snapshot]
SEEDS = [1, 2, 3]
FEW = TrainingConfiguration(candidates=("rules", "gam", "trend_gam"))
SMALL = FEW.model_copy(update={"knots": 4, "folds": 2})


def fit(snapshot: Snapshot, configuration: TrainingConfiguration) -> TrainedModel:
    return fit_entries(snapshot, configuration, compete(snapshot, configuration))


@pytest.fixture(scope="module")
def trained(snapshot_of_month: Months) -> dict[int, TrainedModel]:
    """By seed: a model trained on the world's month 0."""
    return {seed: fit(snapshot_of_month(0, seed=seed), FEW) for seed in SEEDS}


def digest(plan: RatingPlan) -> str:
    return plan_digest(plan.to_json())


def classes(snapshot: Snapshot) -> npt.NDArray[np.int8]:
    return risk_classes(snapshot.risk, CLASS_BOUNDS)


def served(plan: RatingPlan, snapshot: Snapshot) -> Evaluation:
    probabilities = assess(plan, snapshot.features, snapshot.effective_dates).probabilities
    return evaluate(probabilities, classes(snapshot))


def ceiling(snapshot: Snapshot, month: int) -> Evaluation:
    """What who knows the generating process of a month would reach on its policies."""
    about = norm(expected_risk(snapshot.features, month), noise_spread(month))
    low, high = about.cdf(CLASS_BOUNDS[0]), about.sf(CLASS_BOUNDS[1])
    probabilities = np.column_stack([low, 1 - low - high, high])
    return evaluate(np.rint(probabilities * PROBABILITY_UNITS).astype(np.int64), classes(snapshot))


# --- as good as can be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_on_the_unseen_next_month_the_model_is_as_good_as_the_world_allows(
    trained: dict[int, TrainedModel], snapshot_of_month: Months, seed: int
) -> None:
    unseen = snapshot_of_month(1, seed=seed)
    found, best = served(trained[seed].plan, unseen), ceiling(unseen, 1)
    assert 0.88 <= found.accuracy <= 0.92
    assert abs(found.accuracy - best.accuracy) <= 0.02
    assert best.log_loss <= found.log_loss <= best.log_loss + 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_the_figures_of_training_foretell_those_of_unseen_policies(
    trained: dict[int, TrainedModel], snapshot_of_month: Months, seed: int
) -> None:
    metrics, unseen = trained[seed].metrics, served(trained[seed].plan, snapshot_of_month(1, seed=seed))
    # Two accuracies over 1,500 policies each differ by 0.011 (one standard error).
    assert metrics["accuracy"] == pytest.approx(unseen.accuracy, abs=0.033)
    assert metrics["certainty"] == pytest.approx(unseen.certainty, abs=0.02)
    # The noise is 0.424 by design, known to 2 % from 1,500 policies; what the splines miss comes on top.
    assert noise_spread(0) * 0.95 < metrics["rmse"] < noise_spread(0) * 1.10
    assert trained[seed].plan.spread == pytest.approx(metrics["rmse"], rel=0.05)


def test_a_trained_model_of_the_first_month_passes_its_gates(trained: dict[int, TrainedModel]) -> None:
    for model in trained.values():
        assert [gate["name"] for gate in model.gates if not gate["passed"]] == []


def test_gates_compare_the_figures_that_are_reported(trained: dict[int, TrainedModel]) -> None:
    model = trained[1]
    values = {gate["name"]: gate["value"] for gate in model.gates}
    assert values["hold-out accuracy"] == model.metrics["accuracy"]
    assert values["training accuracy"] == model.metrics["training_accuracy"]
    assert values["certainty"] == values["certainty not above"] == model.metrics["certainty"]


def test_every_feature_earns_its_place_on_unseen_policies(trained: dict[int, TrainedModel]) -> None:
    """The one that helps least lowers the log loss by a tenth for certain; one of pure noise would not."""
    for model in trained.values():
        (value,) = (gate["value"] for gate in model.gates if gate["name"] == "log loss that a feature costs")
        assert value < -0.1


def test_training_accuracy_is_that_of_the_served_plan(
    trained: dict[int, TrainedModel], snapshot_of_month: Months
) -> None:
    assert served(trained[1].plan, snapshot_of_month(0)).accuracy == trained[1].metrics["training_accuracy"]


def test_hold_out_figures_are_not_of_policies_that_the_model_has_seen(snapshot_of_month: Months) -> None:
    """With outcomes that no feature explains, splines learn the seen ones by heart and foretell none."""
    snapshot = snapshot_of_month(0, 300)
    shuffled = np.random.default_rng(5).permutation(snapshot.risk)
    table = snapshot.to_table()
    noise = Snapshot.of_table(snapshot.as_of, table.set_column(table.column_names.index("risk"), "risk", [shuffled]))
    metrics = fit(noise, FEW.model_copy(update={"knots": 20})).metrics
    assert metrics["accuracy"] < np.bincount(classes(noise)).max() / 300 + 0.05
    assert metrics["rmse"] > np.std(noise.risk) * 0.98


def test_thresholds_of_the_configuration_decide_the_gates(snapshot_of_month: Months) -> None:
    strict = FEW.model_copy(update={"folds": 2, "gates": GateThresholds(min_accuracy=0.99)})
    failed = {gate["name"] for gate in fit(snapshot_of_month(0), strict).gates if not gate["passed"]}
    assert failed == {"training accuracy", "hold-out accuracy"}


# --- the same again -------------------------------------------------------------------------------------------------


def test_the_same_snapshot_and_configuration_give_the_same_digest(snapshot_of_month: Months) -> None:
    snapshot = snapshot_of_month(0)
    one, other = fit(snapshot, SMALL), fit(snapshot, SMALL)
    assert one.plan.to_json() == other.plan.to_json()
    assert (one.metrics, one.gates) == (other.metrics, other.gates)


def test_other_knots_or_another_snapshot_give_another_digest(
    snapshot_of_month: Months,
) -> None:
    snapshot = snapshot_of_month(0)
    plans = [
        fit(snapshot, SMALL).plan,
        fit(snapshot, SMALL.model_copy(update={"knots": 5})).plan,
        fit(snapshot_of_month(0, seed=2), SMALL).plan,
        fit(Snapshot.of_table(date(2025, 2, 2), snapshot.to_table()), SMALL).plan,
    ]
    assert len({digest(plan) for plan in plans}) == len(plans)


def test_gate_thresholds_do_not_change_the_plan(snapshot_of_month: Months) -> None:
    strict = SMALL.model_copy(update={"gates": GateThresholds(min_accuracy=0.99)})
    assert digest(fit(snapshot_of_month(0), strict).plan) == digest(fit(snapshot_of_month(0), SMALL).plan)


# --- refused before anything is fitted ------------------------------------------------------------------------------


@pytest.mark.bad_input("training data")
def test_too_few_policies_are_refused_with_what_is_missing(snapshot_of_month: Months) -> None:
    few = Snapshot.of_table(date(2025, 2, 1), snapshot_of_month(0).to_table().slice(0, 199))
    with pytest.raises(NotEnoughData, match=r"as of 2025-02-01 only 199 policies .* at least 200 are needed"):
        fit(few, SMALL)


@pytest.mark.bad_input("training data")
@pytest.mark.parametrize("name", NUMBERS)
def test_a_constant_feature_is_refused_by_its_name(snapshot_of_month: Months, name: str) -> None:
    table = snapshot_of_month(0).to_table()
    values = pa.array(np.full(len(table), 41.5))
    constant = Snapshot.of_table(date(2025, 2, 1), table.set_column(table.column_names.index(name), name, values))
    with pytest.raises(InvalidData, match=f"^{name} is 41.5 in every policy"):
        fit(constant, SMALL)


@pytest.mark.bad_input("training data")
def test_a_policy_that_stands_twice_is_refused(snapshot_of_month: Months) -> None:
    table = snapshot_of_month(0).to_table()
    twice = Snapshot.of_table(date(2025, 2, 1), pa.concat_tables([table, table.slice(7, 1)]))
    with pytest.raises(InvalidData, match="holds a policy twice"):
        fit(twice, SMALL)


@pytest.mark.bad_input("training data")
def test_a_flag_that_is_the_same_everywhere_is_refused_too(snapshot_of_month: Months) -> None:
    table = snapshot_of_month(0).to_table()
    nobody = table.filter(pa.compute.equal(table["training"], 0.0))
    with pytest.raises(InvalidData, match=r"^training is 0 in every policy"):
        fit(Snapshot.of_table(date(2025, 2, 1), nobody), SMALL)


@pytest.mark.bad_input("training data")
def test_a_single_class_is_refused_by_its_name(snapshot_of_month: Months) -> None:
    table = snapshot_of_month(0).to_table()
    low = table.filter(pa.compute.less(table["risk"], 1.0))
    with pytest.raises(InvalidData, match="every policy of the snapshot is of class low"):
        fit(Snapshot.of_table(date(2025, 2, 1), low), SMALL)


@pytest.mark.bad_input("training data")
def test_policies_loaded_twice_under_other_numbers_are_refused_with_their_count(snapshot_of_month: Months) -> None:
    table = snapshot_of_month(0).to_table()
    copies = table.slice(0, 100)
    renamed = copies.set_column(0, "policy_id", [[f"again {number}" for number in range(100)]])
    again = Snapshot.of_table(date(2025, 2, 1), pa.concat_tables([table, renamed]))
    with pytest.raises(InvalidData, match="100 of 1,600 policies are copies of others"):
        fit(again, SMALL)


@pytest.mark.bad_input("training data")
def test_a_feature_that_stands_for_what_may_not_price_is_refused(snapshot_of_month: Months) -> None:
    snapshot = snapshot_of_month(0)
    with_gender = replace(snapshot, features={**snapshot.features, "driver_gender": snapshot.features["training"]})
    with pytest.raises(InvalidData, match="driver_gender may not price policies: it stands for the driver's gender"):
        fit(with_gender, SMALL)


def test_the_least_snapshot_carries_a_model_of_the_default_configuration(snapshot_of_month: Months) -> None:
    least = Snapshot.of_table(date(2025, 2, 1), snapshot_of_month(0).to_table().slice(0, 200))
    model = fit(least, FEW)
    assert model.plan.terms.keys() == FEATURES.keys()
    assert model.metrics["accuracy"] > max(np.bincount(classes(least), minlength=len(RISK_CLASSES))) / 200


@pytest.mark.bad_input("training data")
@pytest.mark.parametrize(
    ("name", "usual", "single"),
    [
        ("braking_distance", 40.0, 41.0),  # constant in the fold of the cross-validation that leaves this policy out
        ("miles", None, 1e300),  # plausible by the domain, beyond what a rating plan can hold
    ],
)
def test_a_single_odd_policy_does_not_break_training_without_being_named(
    snapshot_of_month: Months, name: str, usual: float | None, single: float
) -> None:
    table = snapshot_of_month(0).to_table()
    values = table[name].to_numpy().copy() if usual is None else np.full(len(table), usual)
    values[7] = single
    odd = Snapshot.of_table(date(2025, 2, 1), table.set_column(table.column_names.index(name), name, pa.array(values)))
    try:
        fit(odd, FEW)
    except InvalidData as refusal:
        assert name in str(refusal)  # noqa: PT017 - training on it is as good an answer
