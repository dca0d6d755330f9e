"""How well class probabilities foretold the classes that came true."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from motorisk.domain.risk import PROBABILITY_UNITS, RISK_CLASSES
from motorisk.scoring.pricing import Floats, Integers, most_likely

# One hundred-millionth: what a probability of zero could have been before it was rounded.
SMALLEST_PROBABILITY = 1 / PROBABILITY_UNITS
CALIBRATION_BINS = 10


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures over n policies; shares are by class, in the order of `RISK_CLASSES`."""

    accuracy: float
    log_loss: float
    certainty: float
    predicted_shares: tuple[float, ...]
    observed_shares: tuple[float, ...]


def _shares(classes: npt.NDArray[np.int8]) -> tuple[float, ...]:
    return tuple(float(share) for share in np.bincount(classes, minlength=len(RISK_CLASSES)) / len(classes))


def evaluate(probabilities: Integers, observed: npt.NDArray[np.int8]) -> Evaluation:
    """Compare (n, 3) probabilities in units of 1/`PROBABILITY_UNITS` with observed class indices (n,).

    Certainty is the mean probability of the predicted class.
    """
    fractions = probabilities / PROBABILITY_UNITS
    predicted = most_likely(probabilities)
    rows = np.arange(len(observed))
    return Evaluation(
        accuracy=float(np.mean(predicted == observed)),
        log_loss=float(-np.mean(np.log(np.maximum(fractions[rows, observed], SMALLEST_PROBABILITY)))),
        certainty=float(np.mean(fractions[rows, predicted])),
        predicted_shares=_shares(predicted),
        observed_shares=_shares(observed),
    )


def calibration_error(shares: Floats, observed: npt.NDArray[np.int8]) -> float:
    """Expected calibration error over all classes: how far stated probabilities are from what came true.

    (n, 3) stated probabilities, (n,) observed class indices; ten bins of equal width (Naeini et al. 2015).
    """
    counts, stated, came_true = _bins(shares, observed)
    return float(np.abs(came_true - stated).sum() / counts.sum())


def calibration_table(shares: Floats, observed: npt.NDArray[np.int8]) -> list[dict[str, float]]:
    """The bins of `calibration_error` that hold anything: bounds, statements in it, mean stated, share come true."""
    counts, stated, came_true = _bins(shares, observed)
    return [
        {
            "from": number / CALIBRATION_BINS,
            "to": (number + 1) / CALIBRATION_BINS,
            "policies": int(counts[number]),
            "stated": float(stated[number] / counts[number]),
            "came_true": float(came_true[number] / counts[number]),
        }
        for number in np.flatnonzero(counts).tolist()
    ]


def _bins(shares: Floats, observed: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    stated = shares.ravel()
    came_true = (observed[:, None] == np.arange(len(RISK_CLASSES))).ravel().astype(np.float64)
    bins = np.minimum((stated * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    sums = [np.bincount(bins, values, minlength=CALIBRATION_BINS).astype(np.float64) for values in (stated, came_true)]
    return counts, sums[0], sums[1]
