"""Which features drift, window after window: by a score beyond its threshold, or by evidence that has added up.

A verdict depends on the windows up to its own and on nothing else. It is not taken back for a single calm window: a
feature drifts until its score stays below the threshold and the newest windows, looked at without the earlier ones,
speak against it, twice in a row. Then the evidence starts anew, that something had changed once is no news; and each
time it has to be stronger than before, so that a reference that is off does not use up the budget again and again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from motorisk.monitoring.calibration import RELEVANT
from motorisk.monitoring.columns import Floats
from motorisk.monitoring.evidence import convincing, log_evidence, newest_log_evidence
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.windows import Window

Flags = npt.NDArray[np.bool_]

DRIFT_SHARE = 0.5
"""The dataset drifts where at least half of the features do (Evidently's preset)."""

CALM_WINDOWS = 2
"""Windows in a row without a sign of drift before it counts as over."""

RECENT_REFERENCES = 3
"""A drift is over when windows with so many times the reference's rows say so: more would hardly know it better."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known after a window: who drifts, and the evidence (natural logarithm) for it."""

    drifted: Mapping[str, bool]
    log_evidence: Mapping[str, float]
    dataset_drift: bool

    @property
    def share(self) -> float:
        """Share of the features that drift."""
        return sum(self.drifted.values()) / len(self.drifted)


def follow(reference: Reference, windows: Sequence[Window]) -> list[Verdict]:
    """The verdicts after each window, oldest first; with fixed thresholds every window is judged by itself."""
    if reference.fixed is not None:
        return [alone(window) for window in windows]
    names = list(reference.columns)
    states = {name: _follow_feature(reference, windows, name) for name in names}
    evidence = {name: found[0] for name, found in states.items()}
    drifted = {name: found[1] for name, found in states.items()}
    shares = np.mean([drifted[name] for name in names], axis=0)
    dataset = latched(shares >= DRIFT_SHARE, shares < DRIFT_SHARE)
    return [
        Verdict(
            {name: bool(drifted[name][at]) for name in names},
            {name: float(evidence[name][at]) for name in names},
            bool(dataset[at]),
        )
        for at in range(len(windows))
    ]


def _follow_feature(reference: Reference, windows: Sequence[Window], feature: str) -> tuple[Floats, Flags]:
    """Logarithm (T,) of one feature's evidence after each window, and whether it drifts (T,)."""
    figures = [window.features[feature] for window in windows]
    contrasts = np.array([one.contrasts for one in figures]).T
    rows = np.array([one.rows for one in figures], dtype=np.float64)
    beyond = np.array([one.score >= one.threshold for one in figures])
    matters = np.array([one.score >= RELEVANT for one in figures])
    reference_rows = reference.columns[feature].rows
    limit = convincing(reference.budget.evidence_chance)

    evidence = log_evidence(contrasts, rows, reference_rows)
    drifted = np.zeros(len(rows), dtype=np.bool_)
    is_on, quiet, ended = False, 0, 0
    for at in range(len(rows)):
        if is_on:
            recent = min(max(_recent(rows[: at + 1], reference_rows), CALM_WINDOWS), at + 1)
            newest = slice(at + 1 - recent, at + 1)
            differs = newest_log_evidence(contrasts[:, newest], rows[newest], reference_rows) >= 0
            is_calm = not beyond[at] and not (differs and matters[at])
            quiet = quiet + 1 if is_calm else 0
            if quiet == CALM_WINDOWS:
                is_on, ended = False, ended + 1
                # The calm windows are part of what comes: they tell how far off the reference itself is.
                rest = slice(newest.start, None)
                evidence[at:] = log_evidence(contrasts[:, rest], rows[rest], reference_rows)[recent - 1 :]
                limit = convincing(reference.budget.evidence_chance / ((ended + 1) * (ended + 2) / 2))
        elif beyond[at] or (evidence[at] >= limit and matters[at]):
            is_on, quiet = True, 0
        drifted[at] = is_on
    return evidence, drifted


def _recent(rows: Floats, reference_rows: float) -> int:
    """How many of the newest windows have the rows that it takes to say that nothing differs any more."""
    return int(np.searchsorted(np.cumsum(rows[::-1]), RECENT_REFERENCES * reference_rows)) + 1


def latched(raised: Flags, calm: Flags) -> Flags:
    """State (T,) that is on from where it is raised until it was calm for some windows in a row."""
    state = np.zeros(len(raised), dtype=np.bool_)
    is_on, quiet = False, 0
    for at in range(len(raised)):
        quiet = quiet + 1 if calm[at] else 0
        is_on = bool(raised[at]) or (is_on and quiet < CALM_WINDOWS)
        state[at] = is_on
    return state


def alone(window: Window) -> Verdict:
    """The verdict on a window by its scores, whatever came before."""
    drifted = {name: figures.score >= figures.threshold for name, figures in window.features.items()}
    share = sum(drifted.values()) / len(drifted)
    return Verdict(drifted, dict.fromkeys(drifted, 0.0), share >= DRIFT_SHARE)
