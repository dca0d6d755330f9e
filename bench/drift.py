"""How soon drift is found, and how often where there is none.

    .venv/bin/python -m bench.drift [--runs 200]

Every run draws a reference of 1,500 policies (the world's first month) and 36 months after it, as the workshop's data
are. Calibrated thresholds with evidence that adds up are compared with Evidently's fixed 0.1 on the same rows. In
worlds that stand still every alarm is false. Some minutes.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the runs share the processors, not the matrices

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from motorisk.domain.policy import FEATURES
from motorisk.monitoring.calibration import REFERENCE_WINDOWS, Budget
from motorisk.monitoring.evidence import VILLE_TIGHTNESS
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.verdict import follow
from motorisk.monitoring.windows import Window
from motorisk.simulation.portfolio import draw_features

Floats = npt.NDArray[np.float64]

MONTHS = 36
ROWS = 1500
SMALL = 300
FIXED = 0.1
NEVER = 10_000
DRIFTING = {"miles": 6, "emergency_braking": 10, "age": 11}
"""The months of the workshop's data in which the fixed thresholds find them."""
STEADY = [name for name in FEATURES if name not in DRIFTING]
STILL_MONTHS = 1000
NO_DAY = date(2000, 1, 1)
CHANCES = (0.05, 0.02, 0.01)


@dataclass(frozen=True)
class Found:
    """When (months; `NEVER`) each feature was first alarmed, whether it stayed so, and how often it was raised."""

    first: dict[str, float]
    stays: dict[str, bool]
    raised: dict[str, int]
    flag_changes: int


@dataclass(frozen=True)
class Run:
    """One world seen in three ways."""

    calibrated: Found
    fixed: Found
    small: Found


@dataclass(frozen=True)
class Still:
    """One standing-still world: false alarms by feature, and the highest evidence of any window in 36 and in 180."""

    raised: dict[str, int]
    flag_raised: int
    highest: dict[int, dict[str, float]]


def _measured(reference: Reference, months: Iterator[dict[str, Floats]], rows: int) -> list[Window]:
    windows = []
    for month in months:
        for start in range(0, len(month["age"]), rows):
            figures = {
                name: reference.measure(name, reference.column(name, month[name][start : start + rows]))
                for name in FEATURES
            }
            windows.append(Window(NO_DAY, NO_DAY, figures))
    return windows


def _found(reference: Reference, windows: list[Window], windows_a_month: int) -> Found:
    verdicts = follow(reference, windows)
    first, stays, raised = {}, {}, {}
    for name in FEATURES:
        states = np.array([verdict.drifted[name] for verdict in verdicts])
        at = np.flatnonzero(states)
        first[name] = float(np.ceil((at[0] + 1) / windows_a_month)) if len(at) else NEVER
        stays[name] = bool(len(at) and states[at[0] :].all())
        raised[name] = _raisings(states)
    flags = np.array([verdict.dataset_drift for verdict in verdicts])
    return Found(first, stays, raised, int(np.count_nonzero(flags[1:] != flags[:-1])))


def _raisings(states: npt.NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(states & ~np.concatenate([[False], states[:-1]])))


def drifting(seed: int) -> Run:
    """The workshop's world, 36 months."""
    random = np.random.default_rng([1, seed])
    reference_rows = draw_features(random, 0, ROWS)
    months = [draw_features(random, month, ROWS) for month in range(1, MONTHS + 1)]
    calibrated, fixed = Reference.of(reference_rows), Reference.of(reference_rows, fixed=FIXED)
    return Run(
        _found(calibrated, _measured(calibrated, iter(months), ROWS), 1),
        _found(fixed, _measured(fixed, iter(months), ROWS), 1),
        _found(calibrated, _measured(calibrated, iter(months), SMALL), ROWS // SMALL),
    )


def still(rows: int, windows: int, seed: int) -> Still:
    """A world that stands still, for a thousand months or more."""
    random = np.random.default_rng([2, rows, seed])
    reference = Reference.of(draw_features(random, 0, ROWS))
    measured = _measured(reference, (draw_features(random, 0, rows) for _ in range(windows)), rows)
    verdicts = follow(reference, measured)
    raised = {name: _raisings(np.array([verdict.drifted[name] for verdict in verdicts])) for name in FEATURES}
    highest = {
        length: {name: max(verdict.log_evidence[name] for verdict in verdicts[:length]) for name in FEATURES}
        for length in (REFERENCE_WINDOWS, 180)
    }
    return Still(raised, _raisings(np.array([verdict.dataset_drift for verdict in verdicts])), highest)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading)
    return table


def _month(months: Floats) -> str:
    middle = float(np.median(months))
    return "never" if middle >= NEVER else f"{middle:g}"


def print_drifting(console: Console, runs: list[Run]) -> None:
    """How soon, against the fixed thresholds."""
    table = _table(
        f"Drifting world, {MONTHS} months of {ROWS:,} ({len(runs)} runs)",
        "feature",
        "workshop's month",
        "found by then: fixed",
        "calibrated",
        "median month: fixed",
        "calibrated",
        "later than both",
        "stays",
        f"windows of {SMALL}: median",
        "> 3 months later",
    )
    for name, month in DRIFTING.items():
        fixed = np.array([run.fixed.first[name] for run in runs])
        ours = np.array([run.calibrated.first[name] for run in runs])
        small = np.array([run.small.first[name] for run in runs])
        table.add_row(
            name,
            str(month),
            f"{np.mean(fixed <= month):.1%}",
            f"{np.mean(ours <= month):.1%}",
            _month(fixed),
            _month(ours),
            f"{np.mean((ours > fixed) & (ours > month)):.1%}",
            f"{np.mean([run.calibrated.stays[name] for run in runs]):.1%}",
            _month(small),
            f"{np.mean(small > ours + 3):.1%}",
        )
    console.print(table)
    table = _table(
        "The same worlds, features that do not drift",
        "feature",
        "ever alarmed: fixed",
        "calibrated",
        f"windows of {SMALL}",
    )
    for name in STEADY:
        shares = [
            np.mean([getattr(run, way).first[name] < NEVER for run in runs]) for way in ("fixed", "calibrated", "small")
        ]
        table.add_row(name, *(f"{share:.1%}" for share in shares))
    console.print(table)
    alarms = np.array([sum(run.small.raised[name] for name in STEADY) for run in runs])
    console.print(
        f"More than one false alarm in {MONTHS * ROWS // SMALL} windows of {SMALL}: "
        f"{np.mean(alarms > 1):.1%} of the runs"
    )
    for way in ("fixed", "calibrated", "small"):
        changes = np.array([getattr(run, way).flag_changes for run in runs])
        console.print(
            f"Changes of the dataset flag in {MONTHS} months, {way}: mean {changes.mean():.2f}, most {changes.max()}"
        )


def print_still(console: Console, rows: int, windows: int, runs: list[Still]) -> None:
    """How often for nothing."""
    budget = Budget()
    table = _table(
        f"Standing still, {windows:,} windows of {rows:,} ({len(runs)} references)",
        "false alarms a reference",
        "allowed",
        "most of one reference",
        "references with none",
        "false dataset flags",
    )
    alarms = np.array([sum(run.raised.values()) for run in runs])
    table.add_row(
        f"{alarms.mean():.2f} ± {alarms.std() / np.sqrt(len(alarms)):.2f}",
        f"{windows / budget.windows:.2f}",
        str(alarms.max()),
        f"{np.mean(alarms == 0):.0%}",
        str(sum(run.flag_raised for run in runs)),
    )
    console.print(table)
    for length in (REFERENCE_WINDOWS, 180):
        highest = np.array([list(run.highest[length].values()) for run in runs]).ravel()
        reached = ", ".join(
            f"{np.mean(highest >= np.log(VILLE_TIGHTNESS / chance)):.2%} (allowed {chance:.0%})" for chance in CHANCES
        )
        console.print(f"Convincing evidence for nothing within {length} windows: {reached}")


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="simulated worlds that drift")
    parser.add_argument("--references", type=int, default=40, help="simulated worlds that stand still")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    start = time.monotonic()
    with ProcessPoolExecutor(arguments.workers) as pool:
        print_drifting(console, list(pool.map(drifting, range(arguments.runs), chunksize=5)))
        print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
        for rows in (ROWS, SMALL):
            worlds = partial(still, rows, STILL_MONTHS)
            print_still(console, rows, STILL_MONTHS, list(pool.map(worlds, range(arguments.references))))
            print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
