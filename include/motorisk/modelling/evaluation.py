"""How well class probabilities foretold the classes that came true."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from motorisk.domain.risk import PROBABILITY_UNITS, RISK_CLASSES
from motorisk.scoring.pricing import Integers, most_likely

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


def calibration_error(probabilities: Integers, observed: npt.NDArray[np.int8]) -> float:
    """Expected calibration error over all classes: how far stated probabilities are from what came true.

    (n, 3) probabilities in units, (n,) observed class indices; ten bins of equal width (Naeini et al. 2015).
    """
    stated = (probabilities / PROBABILITY_UNITS).ravel()
    came_true = (observed[:, None] == np.arange(len(RISK_CLASSES))).ravel()
    bins = np.minimum((stated * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    gaps = np.bincount(bins, came_true - stated, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / counts.sum())
