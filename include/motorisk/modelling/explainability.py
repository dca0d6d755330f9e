"""What being explainable costs: the champion-to-be against the best yardstick, and where the yardstick wins.

A yardstick that wins clearly says that a structure is missing, such as an interaction of two features or a segment of
its own. A shallow tree on the difference of the losses tells which.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.tree import DecisionTreeRegressor

from motorisk.domain.policy import FEATURES
from motorisk.modelling.backtest import BacktestResult, standard_error
from motorisk.modelling.snapshot import Snapshot
from motorisk.scoring.pricing import Floats

CLEARLY = 2.0
"""Standard errors by which a yardstick's log loss has to be lower."""
DEPTH = 2
MIN_SHARE = 0.05
"""Least share of the policies that makes a segment."""
SEGMENTS = 3


def cost_of_explainability(
    results: Sequence[BacktestResult], chosen: BacktestResult, yardsticks: Sequence[str], snapshot: Snapshot
) -> dict[str, Any] | None:
    """The difference in log loss to the best yardstick (positive: the yardstick is better), and where it comes from.

    None where no yardstick competed.
    """
    others = [result for result in results if result.candidate in yardsticks]
    if not others:
        return None
    best = min(others, key=lambda result: result.log_loss)
    gains = chosen.losses - best.losses
    cost, error = float(gains.mean()), standard_error(gains)
    clearly = cost > CLEARLY * error
    return {
        "yardstick": best.candidate,
        "cost": cost,
        "standard_error": error,
        "clearly": clearly,
        "where": _where(gains, snapshot, chosen.rows) if clearly else [],
    }


def _where(gains: Floats, snapshot: Snapshot, rows: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
    """The segments that gain most in all, told by their bounds; `gain` is a policy's, `share` that of the policies."""
    features = snapshot.matrix()[rows]
    tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=MIN_SHARE, random_state=0).fit(features, gains)
    leaves = tree.apply(features)
    found = []
    for leaf in np.unique(leaves):
        inside = leaves == leaf
        found.append((float(inside.mean()), float(gains[inside].mean()), _path(tree.tree_, int(leaf))))
    found.sort(key=lambda one: -one[0] * one[1])
    return [{"segment": segment, "share": share, "gain": gain} for share, gain, segment in found[:SEGMENTS] if gain > 0]


def _path(tree: Any, leaf: int) -> str:
    """The conditions that lead to a leaf, one for each feature and side, such as `age < 25 and power >= 130`."""
    names = list(FEATURES)
    parents = {
        int(child): node for side in (tree.children_left, tree.children_right) for node, child in enumerate(side)
    }
    bounds: dict[tuple[str, str], float] = {}
    node = leaf
    while node in parents:
        parent = parents[node]
        name, threshold = names[tree.feature[parent]], float(tree.threshold[parent])
        side = "<" if tree.children_left[parent] == node else ">="
        bounds.setdefault((name, side), threshold)
        node = parent
    if not bounds:
        return "everywhere"
    return " and ".join(_condition(name, side, bound) for (name, side), bound in sorted(bounds.items()))


def _condition(name: str, side: str, bound: float) -> str:
    if FEATURES[name].is_flag:
        return f"{'no ' if side == '<' else ''}{name}"
    return f"{name} {side} {bound:.3g}"
