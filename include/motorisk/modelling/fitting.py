"""Fit a model on a snapshot and measure it on policies that it has not seen."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_predict

from motorisk.domain.gate import GateResult
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import CLASS_BOUNDS
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.evaluation import evaluate
from motorisk.modelling.folding import fold_gam
from motorisk.modelling.gam import make_gam
from motorisk.modelling.gates import workshop_gates
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import class_probabilities, risk_classes


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A rating plan with its figures and the gates' verdicts."""

    plan: RatingPlan
    metrics: dict[str, float]
    gates: list[GateResult]


def fit(snapshot: Snapshot, configuration: TrainingConfiguration) -> TrainedModel:
    """Train on the whole snapshot; hold-out figures come from cross-validation over it.

    The same snapshot and configuration give the same rating plan to the last digit. `NotEnoughData` or
    `InvalidData` before anything is fitted where the snapshot cannot carry a model.
    """
    snapshot.require_trainable()
    features, risk = snapshot.matrix(), snapshot.risk
    model = make_gam(configuration.knots)
    folds = KFold(configuration.folds, shuffle=True, random_state=configuration.seed)
    unseen = cross_val_predict(model, features, risk, cv=folds)
    # The spread of what the model cannot know, measured where it had to guess.
    spread = float(np.sqrt(np.mean((risk - unseen) ** 2)))
    fitted = clone(model).fit(features, risk)

    observed = risk_classes(risk, CLASS_BOUNDS)
    holdout = evaluate(class_probabilities(unseen, spread, CLASS_BOUNDS), observed)
    training = evaluate(class_probabilities(fitted.predict(features), spread, CLASS_BOUNDS), observed)
    return TrainedModel(
        plan=fold_gam(fitted, snapshot, spread, configuration.candidate),
        metrics={
            "accuracy": holdout.accuracy,
            "log_loss": holdout.log_loss,
            "rmse": spread,
            "training_accuracy": training.accuracy,
            "certainty": holdout.certainty,
            "penalty": float(fitted.named_steps["ridge"].alpha_),
        },
        gates=workshop_gates(training, holdout, configuration.gates),
    )
