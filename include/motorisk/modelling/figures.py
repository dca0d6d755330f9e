"""Figures of a backtest with bootstrap intervals: what the candidates' table says beside log loss and accuracy."""

from typing import Any

import numpy as np
import numpy.typing as npt

from motorisk.domain.risk import CLASS_BOUNDS, RISK_CLASSES, RiskClass
from motorisk.modelling.backtest import BacktestResult
from motorisk.modelling.evaluation import calibration_error
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import Floats, risk_classes

DRAWS = 200
"""Bootstrap samples: enough for the second digit of an interval's ends."""
INTERVAL = (2.5, 97.5)
HIGH = RISK_CLASSES.index(RiskClass.HIGH)


def table_row(result: BacktestResult, snapshot: Snapshot, *, seed: int) -> dict[str, Any]:
    """Log loss, accuracy, RMSE of the risk index and Gini, each with its 95 % interval, and the calibration error.

    The Gini and its interval are None where no policy, or every one, is of class high.
    """
    risk = snapshot.risk[result.rows]
    observed = risk_classes(risk, CLASS_BOUNDS)
    squares = (risk - result.expected_risk) ** 2
    weights = _resamples(len(risk), seed)
    means = weights @ np.column_stack([result.losses, result.hits, squares])
    ginis = _ginis(result.shares[:, HIGH], observed == HIGH, weights)
    own = np.full((1, len(risk)), 1 / len(risk))
    gini = float(_ginis(result.shares[:, HIGH], observed == HIGH, own)[0])
    is_known = not np.isnan(gini)  # databases keep no NaN
    return {
        "policies": len(risk),
        "log_loss": result.log_loss,
        "standard_error": result.standard_error,
        "accuracy": result.accuracy,
        "rmse": float(np.sqrt(squares.mean())),
        "gini": gini if is_known else None,
        "calibration_error": calibration_error(result.shares, observed),
        "intervals": {
            "log_loss": _interval(means[:, 0]),
            "accuracy": _interval(means[:, 1]),
            "rmse": _interval(np.sqrt(means[:, 2])),
            # Of few high risks some samples hold none: they have no order.
            "gini": _interval(ginis[~np.isnan(ginis)]) if is_known else None,
        },
    }


def _resamples(count: int, seed: int) -> Floats:
    """(draws, n) weights that sum to one: each row a sample with replacement."""
    random = np.random.default_rng(seed)
    drawn = random.integers(0, count, (DRAWS, count), dtype=np.int32)
    offsets = np.arange(DRAWS, dtype=np.int64)[:, None] * count
    counts = np.bincount((drawn + offsets).ravel(), minlength=DRAWS * count)
    return counts.reshape(DRAWS, count) / count


def _interval(values: Floats) -> list[float]:
    return [float(end) for end in np.percentile(values, INTERVAL)]


def _ginis(stated: Floats, came_true: npt.NDArray[np.bool_], weights: Floats) -> Floats:
    """Gini coefficient of ranking by the stated probability of a high risk, for each row of (draws, n) weights.

    Twice the area under the ROC curve less one; 0 is chance, 1 a perfect order, NaN where one class is missing.
    """
    order = np.argsort(stated, kind="stable")
    high = weights[:, order] * came_true[order]
    other = weights[:, order] * ~came_true[order]
    _, starts = np.unique(stated[order], return_index=True)
    high, other = np.add.reduceat(high, starts, axis=1), np.add.reduceat(other, starts, axis=1)
    below = np.cumsum(other, axis=1) - other / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (high * below).sum(axis=1) / (high.sum(axis=1) * other.sum(axis=1))
    return np.asarray(2 * area - 1)
