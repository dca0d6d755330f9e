"""What the drift of one feature does to what a version says and charges.

The newest policies are priced as they are, and again with the feature *put back*: each policy keeps its rank in the
feature and gets the value that has this rank in the reference (quantile mapping); of a flag, so many policies change
sides, whichever they are, that its share is the reference's. The other features stay as they are. That is an
assumption: had older drivers not come, they might have taken their cars with them. But for it the difference is exact,
since both prices are the version's own, rules and rounding included. The intervals are a bootstrap of both samples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import PROBABILITY_UNITS, RISK_CLASSES, RiskClass
from motorisk.domain.tariff import CENT, Tariff
from motorisk.monitoring.columns import Floats
from motorisk.scoring.pricing import Columns, Dates, Integers, assess, estimate, premiums

DRAWS = 200
OUTER = (2.5, 97.5)
"""Percentiles of the bootstrap between which the 95 % interval lies."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves nought out."""
        return self.low > 0 or self.high < 0

    def times(self, factor: float) -> "Estimate":
        """So many times the figure; the factor is not negative."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Effect:
    """Policies as they are less the same with a feature put back, a policy's average.

    `net` is in euros a year, `relative` a share of the premium with the feature put back; `risk` is on the risk index,
    where the version answers both times (None: nowhere); `classes` are shares of the policies.
    """

    net: Estimate
    relative: Estimate
    risk: Estimate | None
    classes: Mapping[RiskClass, Estimate]


def priced(plan: RatingPlan, tariff: Tariff, features: Columns, dates: Dates) -> Floats:
    """(n, 5) of n policies: net premium in euros, expected risk (NaN where the rules answer), class probabilities."""
    assessed = assess(plan, features, dates)
    net = premiums(tariff, assessed.probabilities).net * float(CENT)
    return np.column_stack([net, assessed.expected_risk, assessed.probabilities / PROBABILITY_UNITS])


def put_back(values: Floats, reference: Floats) -> Floats:
    """(n,) values of a sorted reference (m,) at the ranks that (n,) values have among themselves."""
    ranks = (rankdata(values) - 0.5) / len(values)
    return np.asarray(np.interp(ranks, (np.arange(len(reference)) + 0.5) / len(reference), reference))


def effect_of(
    feature: str,
    plan: RatingPlan,
    tariff: Tariff,
    features: Columns,
    dates: Dates,
    reference: Floats,
    draws: int = DRAWS,
) -> Effect:
    """The effect of a feature's drift on n policies, `features` and `dates` (n,), against its reference (m,)."""
    random = np.random.default_rng([len(dates), *feature.encode()])  # the same night says the same again
    as_is = priced(plan, tariff, features, dates)
    back = _flag_put_back if FEATURES[feature].is_flag else _number_put_back
    again = back(feature, plan, tariff, features, dates)
    found = _differences(as_is, again(np.arange(len(dates)), reference))
    drawn = []
    for _ in range(draws):
        rows = random.integers(len(dates), size=len(dates))
        known = reference[random.integers(len(reference), size=len(reference))]
        drawn.append(_differences(as_is[rows], again(rows, known)))
    low, high = np.percentile(drawn, OUTER, axis=0)
    relative, net, risk, *classes = (Estimate(*map(float, one)) for one in zip(found, low, high, strict=True))
    is_known = np.isfinite([risk.value, risk.low, risk.high]).all()
    return Effect(net, relative, risk if is_known else None, dict(zip(RISK_CLASSES, classes, strict=True)))


_Again = Callable[[Integers, Floats], Floats]
"""Prices (n, 5) of some of the policies, (n,), with the feature put back to a reference (m,)."""


def _number_put_back(feature: str, plan: RatingPlan, tariff: Tariff, features: Columns, dates: Dates) -> _Again:
    def again(rows: Integers, reference: Floats) -> Floats:
        columns = {name: values[rows] for name, values in features.items()}
        columns[feature] = put_back(columns[feature], np.sort(reference))
        return priced(plan, tariff, columns, dates[rows])

    return again


def _flag_put_back(feature: str, plan: RatingPlan, tariff: Tariff, features: Columns, dates: Dates) -> _Again:
    off, on = (priced(plan, tariff, {**features, feature: np.full(len(dates), side)}, dates) for side in (0.0, 1.0))

    def again(rows: Integers, reference: Floats) -> Floats:
        is_on = features[feature][rows] != 0
        share, wanted = float(is_on.mean()), float(reference.mean())
        # Nobody knows who would be on the other side: every policy is, by so much.
        if wanted < share:
            chance = np.where(is_on, wanted / share, 0.0)
        else:
            chance = np.where(is_on, 1.0, (wanted - share) / (1 - share) if share < 1 else 0.0)
        return np.asarray(off[rows] + chance[:, None] * (on[rows] - off[rows]))

    return again


def _differences(as_is: Floats, again: Floats) -> Floats:
    """(6,) mean differences: of the premium as a share and in euros, of the risk index, of the class shares."""
    between = as_is - again
    answered = ~np.isnan(between[:, 1])
    risk = between[answered, 1].mean() if answered.any() else np.nan
    net = between[:, 0].mean()
    return np.array([net / max(again[:, 0].mean(), float(CENT)), net, risk, *between[:, 2:].mean(axis=0)])


def importances(plan: RatingPlan, features: Columns, dates: Dates) -> dict[str, float]:
    """Share of each feature in the variance of the expected risk index, exact since the plan is a sum; they add to one.

    What a term has in common with the others is shared out between them (its covariance with the sum).
    """
    contributions = estimate(plan, features, dates).contributions
    total = np.sum(list(contributions.values()), axis=0)
    spread = float(total.var())
    if np.sqrt(spread) <= 1e-9 * (1 + float(np.abs(total).max())):  # policies all alike: what varies is rounding
        return dict.fromkeys(contributions, 0.0)
    away = total - total.mean()
    return {name: float(np.mean(values * away)) / spread for name, values in contributions.items()}


def share_outside(feature: str, plan: RatingPlan, features: Columns) -> float:
    """Share of the policies that the version may not answer because of this feature: the rules do."""
    minimum, maximum = plan.support[feature].widened()
    return float(np.mean((features[feature] < minimum) | (features[feature] > maximum)))
