"""A gate: one figure of a model version against its threshold."""

from typing import TypedDict


class GateResult(TypedDict):
    """One gate's verdict: `value` must be at least or at most `threshold`, as `rule` (`>=`, `<=`) says."""

    name: str
    value: float
    rule: str
    threshold: float
    passed: bool
