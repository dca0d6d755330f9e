"""How long one quote takes to price, measured with the pricer that the quote service runs."""

import math
import time
from statistics import median

import numpy as np

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.rating_plan import RatingPlan
from motorisk.quoting.pricing import Pricer

QUOTES = 500


def milliseconds_per_quote(plan: RatingPlan) -> float:
    """Median over quotes within the plan's support, rounded up to a tenth so that reruns agree."""
    pricer = Pricer(plan)
    random = np.random.default_rng(0)
    columns = [_draw(plan, name, random) for name in FEATURES]
    seconds = []
    for values in zip(*columns, strict=True):
        features = PolicyFeatures(*(float(value) for value in values))
        start = time.perf_counter()
        pricer.assess(features, plan.as_of)
        seconds.append(time.perf_counter() - start)
    return math.ceil(median(seconds) * 10_000) / 10


def _draw(plan: RatingPlan, name: str, random: np.random.Generator) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    if FEATURES[name].is_flag:
        return random.integers(0, 2, QUOTES).astype(np.float64)
    support = plan.support[name]
    return random.uniform(support.minimum, support.maximum, QUOTES)
