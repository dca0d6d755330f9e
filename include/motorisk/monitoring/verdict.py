"""Which features drift, window after window: by a score beyond its threshold, or by evidence that has added up.

A verdict depends on the windows up to its own and on nothing else. It is not taken back for a single calm window: a
feature drifts until the evidence speaks against it and the score stays below its threshold, twice in a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from motorisk.monitoring.columns import Floats
from motorisk.monitoring.evidence import convincing, log_evidence
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.windows import Window

DRIFT_SHARE = 0.5
"""The dataset drifts where at least half of the features do (Evidently's preset)."""

CALM_WINDOWS = 2
"""Windows in a row without a sign of drift before it counts as over."""

MAX_LOG = 700.0


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
        return [_alone(window) for window in windows]
    names = list(reference.columns)
    evidence = {name: feature_evidence(reference, windows, name) for name in names}
    limit = convincing(reference.budget.evidence_chance)
    drifted = {}
    for name in names:
        beyond = np.array([window.features[name].score >= window.features[name].threshold for window in windows])
        drifted[name] = latched(beyond | (evidence[name] >= limit), ~beyond & (evidence[name] < 0))
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


def feature_evidence(reference: Reference, windows: Sequence[Window], feature: str) -> Floats:
    """Logarithm (T,) of one feature's evidence after each window."""
    figures = [window.features[feature] for window in windows]
    contrasts = np.array([one.contrasts for one in figures]).T
    rows = np.array([one.rows for one in figures], dtype=np.float64)
    return log_evidence(contrasts, rows, reference.columns[feature].rows)


def latched(raised: "np.ndarray[tuple[int], np.dtype[np.bool_]]", calm: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """State (T,) that is on from where it is raised until it was calm for some windows in a row."""
    state = np.zeros(len(raised), dtype=np.bool_)
    is_on, quiet = False, 0
    for at in range(len(raised)):
        quiet = quiet + 1 if calm[at] else 0
        is_on = bool(raised[at]) or (is_on and quiet < CALM_WINDOWS)
        state[at] = is_on
    return state


def _alone(window: Window) -> Verdict:
    drifted = {name: figures.score >= figures.threshold for name, figures in window.features.items()}
    share = sum(drifted.values()) / len(drifted)
    return Verdict(drifted, dict.fromkeys(drifted, 0.0), share >= DRIFT_SHARE)


def e_value(log: float) -> float:
    """Evidence as a number that JSON can hold."""
    return float(np.exp(min(log, MAX_LOG)))
