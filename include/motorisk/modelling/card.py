"""The model card: what an underwriter reads before a version may price policies, as Markdown."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from motorisk.domain.gate import GateResult
from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import FlagTerm, RatingPlan
from motorisk.scoring.pricing import contribution

LEVELS = 6
"""Values of each number in the table of relativities, from the least to the greatest in training."""


def model_card(
    facts: Mapping[str, Any],
    plan: RatingPlan,
    *,
    gates: tuple[GateResult, ...],
    backtest: tuple[Mapping[str, Any], ...],
    champion: tuple[int, RatingPlan] | None,
) -> str:
    """The card of a version, beside the champion's relativities where there is one.

    `facts` are plain lines for the head (version, state, who, when); `champion` is its number and rating plan.
    """
    head = [f"- **{name}**: {value}" for name, value in facts.items()]
    return "\n".join(
        [
            *head,
            "",
            *_gates(gates),
            *_backtest(backtest),
            *_relativities(plan, champion),
            "#### Limits",
            "",
            "The model answers within its training support and 5 % beyond; farther out the underwriters' rules do. "
            + _trend_limit(plan),
        ]
    )


def _trend_limit(plan: RatingPlan) -> str:
    if not plan.has_trends:
        return "It has no trends: it prices every day as it would have priced the newest known outcomes."
    return (
        f"Its trends go on for {plan.trend_months[1]:g} months after {plan.as_of} and stand still from then on. "
        "They cannot foresee a change of direction."
    )


def _table(*rows: list[str]) -> list[str]:
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in body), ""]


def _gates(gates: tuple[GateResult, ...]) -> list[str]:
    rows = [
        [gate["name"], f"{gate['value']:.4g}", f"{gate['rule']} {gate['threshold']:.4g}", _verdict(gate["passed"])]
        for gate in gates
    ]
    return ["#### Gates", "", *_table(["gate", "value", "must be", "verdict"], *rows)]


def _verdict(passed: bool) -> str:
    return "passed" if passed else "**missed**"


def _backtest(backtest: tuple[Mapping[str, Any], ...]) -> list[str]:
    if not backtest:
        return ["#### Backtest", "", "Too few months have matured to compare candidates on the past.", ""]
    rows = [
        [
            row["candidate"],
            f"{row['log_loss']:.4f} ± {row['standard_error']:.4f}",
            f"{row['accuracy']:.3f}",
            "chosen" if row["chosen"] else "" if row["additive"] else "yardstick",
        ]
        for row in backtest
    ]
    return [
        "#### Backtest: what was known then, against what came true",
        "",
        *_table(["candidate", "log loss", "accuracy", ""], *rows),
    ]


def _relativities(plan: RatingPlan, champion: tuple[int, RatingPlan] | None) -> list[str]:
    """Each feature's part of the risk index against the portfolio's average, on the as-of date."""
    heading = ["feature", "value", "risk index against average", "change in a year"]
    if champion is not None:
        heading.append(f"version {champion[0]}")
    rows = []
    for name, feature in FEATURES.items():
        for value in _values(plan, name):
            part, year = _part(plan, name, value, 0.0), _part(plan, name, value, 12.0) - _part(plan, name, value, 0.0)
            shown = ("yes" if value else "no") if feature.is_flag else f"{value:.4g} {feature.unit}"
            row = [name, shown, f"{part:+.2f}", f"{year:+.2f}"]
            if champion is not None:
                row.append(f"{_part(champion[1], name, value, 0.0):+.2f}")
            rows.append(row)
    return ["#### Relativities", "", *_table(heading, *rows)]


def _values(plan: RatingPlan, name: str) -> list[float]:
    if isinstance(plan.terms[name], FlagTerm):
        return [0.0, 1.0]
    return [float(value) for value in np.linspace(*plan.support[name], LEVELS)]


def _part(plan: RatingPlan, name: str, value: float, months: float) -> float:
    term = plan.terms[name]
    level = float(contribution(term, np.array([value]), np.array([months]))[0])
    return level - term.average - months * term.average_trend
