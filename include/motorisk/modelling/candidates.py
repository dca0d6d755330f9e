"""The models that compete, from the simplest. Adding one is a class and a line in `CANDIDATES`.

Additive ones can become champion, because they fold into a rating plan; the others are yardsticks, which show
what is lost by being explainable.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from motorisk.domain.policy import FEATURES, FLAGS, NUMBERS
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import CLASS_BOUNDS, PROBABILITY_UNITS, RISK_CLASSES
from motorisk.errors import NotEnoughData
from motorisk.modelling.additive import AdditiveRegressor
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.folding import fold
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import (
    Columns,
    Dates,
    Floats,
    Integers,
    class_probabilities,
    curve_value,
    estimate,
    predictive_spread,
    risk_classes,
    rule_classes,
    trend_time,
)

HIDDEN_LAYERS = 3
FEWEST_TO_FIT = 2
FEWEST_TO_CLASSIFY = 30
"""Of a tenth of fewer policies, which early stopping sets aside, not every class could have one."""
FEWEST_OF_A_CLASS = 2


class Forecast(NamedTuple):
    """For n policies: (n, 3) class probabilities in units of 1/`PROBABILITY_UNITS` and (n,) expected risk indices."""

    probabilities: Integers
    expected_risk: Floats


class Forecaster(ABC):
    """A fitted candidate."""

    @abstractmethod
    def foretell(self, features: Columns, effective_dates: Dates) -> Forecast:
        """What the model says of policies, outside its training support too."""

    def without_trends(self, features: Columns, effective_dates: Dates) -> dict[str, Integers]:
        """By feature: the class probabilities if only that feature's term had not changed over time."""
        return {}


class Candidate(ABC):
    """A way to make a model from a snapshot.

    `grid` holds the values that the search tries for some parts of the configuration, in order.
    """

    name: ClassVar[str]
    is_additive: ClassVar[bool] = False
    grid: ClassVar[Mapping[str, tuple[int, ...]]] = {}

    @abstractmethod
    def fit(self, snapshot: Snapshot, configuration: TrainingConfiguration) -> Forecaster:
        """Train on what the snapshot knows."""


@dataclass(frozen=True, slots=True)
class PlanForecaster(Forecaster):
    """What an additive candidate becomes: the rating plan itself foretells.

    `folding_error` is the largest difference between plan and fitted model over its training policies, `center` the
    mean of their months since the as-of date.
    """

    plan: RatingPlan
    folding_error: float = 0.0
    center: float = 0.0

    def foretell(self, features: Columns, effective_dates: Dates) -> Forecast:
        """The plan's answers."""
        found = estimate(self.plan, features, effective_dates)
        return Forecast(found.probabilities, found.expected_risk)

    def without_trends(self, features: Columns, effective_dates: Dates) -> dict[str, Integers]:
        """Each changing term held where it was in the middle of the training data, which it was centred on."""
        found = estimate(self.plan, features, effective_dates)
        months = trend_time(self.plan, effective_dates)
        spread = predictive_spread(self.plan, effective_dates)
        still = {}
        for name, term in self.plan.terms.items():
            if term.trend is not None:
                change = (months - self.center) * curve_value(term.trend, features[name])
                risk, bounds = found.expected_risk - change, self.plan.class_bounds
                still[name] = class_probabilities(risk, spread, bounds)
        return still


class Additive(Candidate):
    """Candidates that fold into a rating plan."""

    is_additive = True

    @abstractmethod
    def regressor(self, configuration: TrainingConfiguration) -> AdditiveRegressor:
        """The unfitted model."""

    def training_part(self, snapshot: Snapshot, configuration: TrainingConfiguration) -> Snapshot:
        """The policies that the candidate is trained on."""
        return snapshot

    def fit(self, snapshot: Snapshot, configuration: TrainingConfiguration) -> PlanForecaster:
        """Fit and fold; `NotEnoughData` where a single policy is all that there is to learn from."""
        part = self.training_part(snapshot, configuration)
        if len(part) < FEWEST_TO_FIT:
            raise NotEnoughData(
                f"of the newest {configuration.window_months} months only {len(part)} policies have an observed "
                f"outcome, {self.name} needs at least {FEWEST_TO_FIT}: raise window_months"
            )
        model = self.regressor(configuration).fit(part.matrix(), part.risk, part.months())
        plan = fold(
            model,
            part,
            candidate=self.name,
            snapshot_digest=snapshot.digest,
            extrapolate_months=configuration.extrapolate_months,
        )
        folded = estimate(plan, part.features, part.effective_dates).expected_risk
        error = np.abs(folded - model.predict(part.matrix(), part.months())).max()
        return PlanForecaster(plan, float(error), model.center_)


class Gam(Additive):
    """Additive splines of the newest months: today's world as it was when outcomes were last known."""

    name = "gam"
    grid: ClassVar[Mapping[str, tuple[int, ...]]] = {"knots": (6, 8, 10, 14, 20)}

    def regressor(self, configuration: TrainingConfiguration) -> AdditiveRegressor:
        """Levels alone."""
        return AdditiveRegressor(n_knots=configuration.knots, trend=False)

    def training_part(self, snapshot: Snapshot, configuration: TrainingConfiguration) -> Snapshot:
        """The newest months."""
        return snapshot.newest(configuration.window_months)


class TrendGam(Additive):
    """Additive splines whose terms go on changing as they did: tomorrow's world from how it moved."""

    name = "trend_gam"
    grid: ClassVar[Mapping[str, tuple[int, ...]]] = {"knots": (6, 8, 10, 14, 20), "trend_knots": (3, 4, 6, 8, 12)}

    def regressor(self, configuration: TrainingConfiguration) -> AdditiveRegressor:
        """Levels and changes."""
        # A change is no more finely resolved than what it changes.
        knots = min(configuration.trend_knots, configuration.knots)
        still = tuple(position for position, name in enumerate(FEATURES) if name in configuration.still)
        return AdditiveRegressor(n_knots=configuration.knots, n_trend_knots=knots, still=still)


@dataclass(frozen=True, slots=True)
class _RulesForecaster(Forecaster):
    shares: Integers
    means: Floats

    def foretell(self, features: Columns, effective_dates: Dates) -> Forecast:
        probabilities = self.shares[rule_classes(features)]
        return Forecast(probabilities, probabilities @ self.means / PROBABILITY_UNITS)


class Rules(Candidate):
    """The underwriters' rules; a class's probabilities are how often its rules were right in the newest months."""

    name = "rules"

    def fit(self, snapshot: Snapshot, configuration: TrainingConfiguration) -> Forecaster:
        """Count."""
        part = snapshot.newest(configuration.window_months)
        said, observed = rule_classes(part.features), risk_classes(part.risk, CLASS_BOUNDS)
        counts = np.ones((len(RISK_CLASSES), len(RISK_CLASSES)))
        np.add.at(counts, (said, observed), 1)
        return _RulesForecaster(_units(counts / counts.sum(axis=1, keepdims=True)), _class_means(part))


@dataclass(frozen=True, slots=True)
class _ClassifierForecaster(Forecaster):
    model: Any
    means: Floats

    def foretell(self, features: Columns, effective_dates: Dates) -> Forecast:
        matrix = np.column_stack([features[name] for name in FEATURES])
        shares = np.zeros((len(matrix), len(RISK_CLASSES)))
        shares[:, self.model.classes_] = self.model.predict_proba(matrix)
        return Forecast(_units(shares), shares @ self.means)


class Classifier(Candidate):
    """Yardsticks that classify the newest months' outcomes directly."""

    @abstractmethod
    def model(self, configuration: TrainingConfiguration) -> Any:
        """The unfitted scikit-learn classifier."""

    def fit(self, snapshot: Snapshot, configuration: TrainingConfiguration) -> Forecaster:
        """Train on the newest months; of too few policies, or of a single class, learn the classes' shares."""
        part = snapshot.newest(configuration.window_months)
        classes = risk_classes(part.risk, CLASS_BOUNDS)
        # Early stopping looks at some of each class and learns from others: one policy alone cannot be on both sides.
        kept = np.bincount(classes)[classes] >= FEWEST_OF_A_CLASS
        model = self.model(configuration)
        if kept.sum() < FEWEST_TO_CLASSIFY or len(np.unique(classes[kept])) == 1:
            model, kept = DummyClassifier(), np.ones(len(part), dtype=bool)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a yardstick need not be perfect
            model.fit(part.matrix()[kept], classes[kept])
        return _ClassifierForecaster(model, _class_means(part))


class SplineClassifier(Classifier):
    """Multinomial logistic regression on splines."""

    name = "classifier"
    grid: ClassVar[Mapping[str, tuple[int, ...]]] = {"knots": (6, 8, 10, 14, 20)}

    def model(self, configuration: TrainingConfiguration) -> Pipeline:
        """Splines of the numbers, flags as they are."""
        position = {name: index for index, name in enumerate(FEATURES)}
        terms = ColumnTransformer(
            [
                ("numbers", SplineTransformer(configuration.knots, knots="uniform"), [position[n] for n in NUMBERS]),
                ("flags", "passthrough", [position[n] for n in FLAGS]),
            ]
        )
        return make_pipeline(terms, LogisticRegression(C=10.0, max_iter=500))


class Boosting(Classifier):
    """Gradient-boosted trees."""

    name = "boosting"
    grid: ClassVar[Mapping[str, tuple[int, ...]]] = {"leaves": (4, 8, 15, 31, 63)}

    def model(self, configuration: TrainingConfiguration) -> HistGradientBoostingClassifier:
        """Shallow trees, stopped early."""
        return HistGradientBoostingClassifier(
            learning_rate=0.1,
            max_leaf_nodes=configuration.leaves,
            early_stopping=True,
            random_state=configuration.seed,
        )


class NeuralNet(Classifier):
    """The workshop's network: three hidden layers. It stays as it was there: its settings are not searched."""

    name = "neural_net"

    def model(self, configuration: TrainingConfiguration) -> Pipeline:
        """Scaled inputs, early stopping."""
        layers = (configuration.neurons,) * HIDDEN_LAYERS
        network = MLPClassifier(layers, early_stopping=True, max_iter=150, random_state=configuration.seed)
        return make_pipeline(StandardScaler(), network)


CANDIDATES: dict[str, Candidate] = {
    candidate.name: candidate for candidate in (Rules(), Gam(), TrendGam(), SplineClassifier(), Boosting(), NeuralNet())
}
"""From the simplest: of additive candidates that are as good as each other, the first wins."""


def _class_means(part: Snapshot) -> Floats:
    """Mean risk index of each class, (3,): what a model that only knows classes expects of one."""
    classes = risk_classes(part.risk, CLASS_BOUNDS)
    found = [part.risk[classes == number] for number in range(len(RISK_CLASSES))]
    return np.array([risk.mean() if len(risk) else part.risk.mean() for risk in found])


def _units(shares: Floats) -> Integers:
    """Probabilities as whole units that sum to one."""
    units = np.rint(shares * PROBABILITY_UNITS).astype(np.int64)
    units[:, 1] = PROBABILITY_UNITS - units[:, 0] - units[:, 2]
    return units
