"""How often the performance alarm is false, and how soon it is right.

    .venv/bin/python bench/alarms.py [--runs 1000]

For every run a model is fitted to the first month of a simulated world and then judged on what it foretells of the
36 months that follow, as it would be night after night. In worlds that stand still every alarm is false; in worlds that
drift the table tells after how many months of outcomes half of the runs have raised it. About ten minutes.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

os.environ["OMP_NUM_THREADS"] = "1"  # the runs share the processors, not the matrices

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from motorisk.domain.policy import FEATURES
from motorisk.domain.risk import CLASS_BOUNDS, PROBABILITY_UNITS
from motorisk.modelling.additive import AdditiveRegressor
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.monitoring.promise import (
    ALPHA,
    HONEST,
    Evidence,
    accumulate,
    gather_evidence,
    promised_scores,
    scores,
    tolerated_margin,
)
from motorisk.scoring.pricing import class_probabilities, most_likely, risk_classes
from motorisk.simulation.portfolio import draw_features, expected_risk, noise_spread

Floats = npt.NDArray[np.float64]
Noise = Callable[[np.random.Generator, int], Floats]

ALPHAS = (0.05, 0.01, ALPHA)
NEVER = np.inf
SCORES = ("all scores", "surprises", "heights")
MARGINS = dict.fromkeys(SCORES, tolerated_margin(1500)) | {"Brier score": 0.01, "hits": 0.01}
"""For each candidate about four times what estimating a model from 1,500 policies moves it by (`off by`). `heights` are
heights and depths; `all scores` is what the platform bets on."""


def normal(random: np.random.Generator, size: int) -> Floats:
    """As simulated, and as a rating plan states it."""
    return random.standard_normal(size)


def uniform(random: np.random.Generator, size: int) -> Floats:
    """Outcomes that avoid their expectation more than normal ones."""
    return random.uniform(-np.sqrt(3), np.sqrt(3), size)


def heavy_tailed(random: np.random.Generator, size: int) -> Floats:
    """Student's t with three degrees of freedom: now and then an outcome nobody would have thought of."""
    return random.standard_t(3, size) / np.sqrt(3)


@dataclass(frozen=True)
class World:
    """Drifts from a month after the first one on (None: never)."""

    name: str
    drifts_from: int | None
    noise: Noise = normal
    oracle: bool = False


WORLDS = (
    World("stands still", None),
    World("stands still, its own probabilities", None, oracle=True),
    World("stands still, uniform noise", None, uniform),
    World("stands still, heavy-tailed noise", None, heavy_tailed),
    World("drifts from the first month", 0),
    World("drifts from month 18", 18),
)


@dataclass(frozen=True)
class Outcome:
    """One run: when each candidate raised its alarm, by alpha, in months; and by how much each was off on average."""

    alarms: dict[str, list[float]]
    off: dict[str, float]
    accuracy: list[float]


def _month(random: np.random.Generator, world: World, month: int, size: int) -> tuple[Floats, Floats, Floats]:
    drift = 0 if world.drifts_from is None else max(month - world.drifts_from, 0)
    features = draw_features(random, drift, size)
    expected = expected_risk(features, drift)
    risk = expected + noise_spread(drift) * world.noise(random, size)
    return np.column_stack([features[name] for name in FEATURES]), expected, risk


def _when(evidence: Evidence, world: World) -> list[float]:
    start = np.datetime64("2000-01-01") + np.timedelta64(round(30.4375 * (world.drifts_from or 0)), "D")
    days = (evidence.since(alpha) for alpha in ALPHAS)
    return [
        NEVER if day is None else float((np.datetime64(day) - start) / np.timedelta64(1, "D")) / 30.4375 for day in days
    ]


def run(world: World, months: int, size: int, seed: int) -> Outcome:
    """Fit to the first month, foretell the others, bet against what was foretold."""
    random = np.random.default_rng([seed, WORLDS.index(world)])
    inputs, expected, risk = _month(random, world, 0, size)
    learned = np.zeros(0)
    if world.oracle:

        def predict(inputs: Floats, expected: Floats) -> Floats:
            return expected

        spread = noise_spread(0)
    else:
        model = AdditiveRegressor(n_knots=TrainingConfiguration().knots, trend=False).fit(inputs, risk)

        def predict(inputs: Floats, expected: Floats) -> Floats:
            return model.predict(inputs)

        spread = float(model.spread_)
        learned = risk - predict(inputs, expected)
    parts = [_month(random, world, month, size) for month in range(1, months + 1)]
    inputs, expected, risk = (np.concatenate(column) for column in zip(*parts, strict=True))
    foretold = predict(inputs, expected)
    known_on = np.concatenate(
        [
            (np.datetime64("2000-01") + month).astype("datetime64[D]") + np.arange(size) * 28 // size
            for month in range(months)
        ]
    )
    units = class_probabilities(foretold, spread, CLASS_BOUNDS)
    stated, observed = units / PROBABILITY_UNITS, risk_classes(risk, CLASS_BOUNDS)
    hits = (most_likely(units) == observed).astype(float)
    brier = ((stated - np.eye(3)[observed]) ** 2).sum(axis=1)
    errors = (risk - foretold) / spread
    surprise, height, _ = scores(errors)
    excess = {
        "all scores": surprise - HONEST,
        "surprises": surprise - HONEST,
        "heights": height - HONEST,
        "Brier score": brier - (1 - (stated**2).sum(axis=1)),
        "hits": stated.max(axis=1) - hits,
    }
    margin, promised = tolerated_margin(len(learned)), promised_scores(learned)
    payoffs = scores(errors) / (promised[:, None] + margin) - 1
    evidence = {
        "all scores": gather_evidence(errors, known_on, promised, margin),
        "surprises": accumulate(payoffs[:1], known_on),
        "heights": accumulate(payoffs[1:], known_on),
        "Brier score": accumulate(excess["Brier score"][None] - MARGINS["Brier score"], known_on),
        "hits": accumulate(excess["hits"][None] - MARGINS["hits"], known_on),
    }
    return Outcome(
        {name: _when(found, world) for name, found in evidence.items()},
        {name: float(values.mean()) for name, values in excess.items()},
        hits.reshape(months, size).mean(axis=1).tolist(),
    )


def _print(console: Console, world: World, outcomes: list[Outcome]) -> None:
    still = world.drifts_from is None
    table = Table(title=f"World: {world.name} ({len(outcomes):,} runs)", title_justify="left")
    for heading in ("bets on", "tolerated", "off by (mean ± sd)", "alpha", "false alarms" if still else "alarms"):
        table.add_column(heading)
    table.add_column("95 % interval" if still else "median delay, months")
    for name, margin in MARGINS.items():
        off = np.array([outcome.off[name] for outcome in outcomes])
        for position, alpha in enumerate(ALPHAS):
            months = np.array([outcome.alarms[name][position] for outcome in outcomes])
            count = int(np.isfinite(months).sum())
            interval = binomtest(count, len(months)).proportion_ci()
            last = f"{interval.low:.4f} to {interval.high:.4f}" if still else f"{np.median(months):.1f}"
            table.add_row(
                name if position == 0 else "",
                f"{margin:g}" if position == 0 else "",
                f"{off.mean():+.4f} ± {off.std():.4f}" if position == 0 and name != SCORES[0] else "",
                f"{alpha:g}",
                f"{count} ({count / len(months):.2%})",
                last,
            )
    console.print(table)
    if not still:
        accuracy = np.mean([outcome.accuracy for outcome in outcomes], axis=0)
        told = ", ".join(f"{month}: {accuracy[month]:.3f}" for month in range(0, len(accuracy), 6))
        console.print(f"Accuracy by month: {told}")


def main() -> None:
    """Print a table for every world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="simulations of each world")
    parser.add_argument("--months", type=int, default=36)
    parser.add_argument("--policies", type=int, default=1500, help="policies a month")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    start = time.monotonic()
    with ProcessPoolExecutor(arguments.workers) as pool:
        for world in WORLDS:
            simulate = partial(run, world, arguments.months, arguments.policies)
            _print(console, world, list(pool.map(simulate, range(arguments.runs), chunksize=10)))
            print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
