"""What a card plots: each feature's term now and later beside the champion's, and how it changes a month.

A term's value is its part of the risk index less the portfolio's average on the same date: what reasons are
measured against, and what two versions have in common.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from motorisk.domain.policy import FEATURES, Feature
from motorisk.domain.rating_plan import RatingPlan
from motorisk.modelling.card.structure import Line, LineStyle, Panel
from motorisk.scoring.pricing import Floats, contribution

POINTS = 121
LATER = (6.0, 12.0)
"""Months after the as-of date at which a term is shown again."""
AROUND = 0.1
"""Share of the training support that is shown on each side of it."""
TERM_REACH, TREND_REACH = 0.1, 0.01
"""Risk index, and risk index a month, that plots show at least: less moves no price that anybody would notice."""

Champion = tuple[int, RatingPlan]


def part_of_risk(plan: RatingPlan, name: str, x: Floats, months: float) -> Floats:
    """A term against the portfolio's average, `months` after the plan's as-of date, for values `x` (n,)."""
    term = plan.terms[name]
    return contribution(term, x, np.full(len(x), months)) - (term.average + months * term.average_trend)


def change_a_month(plan: RatingPlan, name: str, x: Floats) -> Floats:
    """How a term against the average changes a month, while its trend goes on."""
    return part_of_risk(plan, name, x, 1.0) - part_of_risk(plan, name, x, 0.0)


def term_panels(plan: RatingPlan, champion: Champion | None) -> tuple[Panel, ...]:
    """One panel a feature: the term on the as-of date, later, and the champion's on the same date."""
    panels = []
    for name, feature in FEATURES.items():
        x = _values(plan, feature)
        lines = [
            _line(label, style, x, part_of_risk(plan, name, x, months)) for label, style, months in _moments(plan, name)
        ]
        if champion is not None:
            number, other = champion
            then = part_of_risk(other, name, x, other.trend_time(plan.as_of))
            lines.append(_line(f"version {number}, same day", "champion", x, then))
        panels.append(_panel("term", plan, feature, lines, "risk index against average"))
    return tuple(panels)


def trend_panels(plan: RatingPlan, champion: Champion | None) -> tuple[Panel, ...]:
    """One panel for each feature whose term changes with time."""
    panels = []
    for name, feature in FEATURES.items():
        if plan.terms[name].trend is None:
            continue
        x = _values(plan, feature)
        lines = [_line("change a month", "now", x, change_a_month(plan, name, x))]
        if champion is not None and champion[1].terms[name].trend is not None:
            lines.append(_line(f"version {champion[0]}", "champion", x, change_a_month(champion[1], name, x)))
        panels.append(_panel("trend", plan, feature, lines, "risk index a month", TREND_REACH))
    return tuple(panels)


def _moments(plan: RatingPlan, name: str) -> Iterator[tuple[str, LineStyle, float]]:
    """When a term is shown: as prices go, so not beyond where trends stand still."""
    start, latest = plan.trend_time(plan.as_of), plan.trend_months[1]
    yield f"on {plan.as_of}", "now", start
    if plan.terms[name].trend is None:
        return
    styles: Mapping[float, LineStyle] = {LATER[0]: "later", LATER[1]: "last"}
    shown = start
    for wanted in LATER:
        months = min(wanted, latest)
        if months > shown:
            yield f"{months:g} months later" + (" and on" if months == latest else ""), styles[wanted], months
            shown = months


def _values(plan: RatingPlan, feature: Feature) -> Floats:
    if feature.is_flag:
        return np.array([0.0, 1.0])
    low, high = plan.support[feature.name]
    around = AROUND * (high - low) or 1.0
    left, right = max(low - around, min(low, feature.minimum)), min(high + around, max(high, feature.maximum))
    return np.union1d(np.linspace(left, right, POINTS), [low, high])


def _line(label: str, style: LineStyle, x: Floats, y: Floats) -> Line:
    return Line(label, style, tuple(x.tolist()), tuple(y.tolist()))


def _panel(
    kind: str, plan: RatingPlan, feature: Feature, lines: list[Line], y_label: str, reach: float = TERM_REACH
) -> Panel:
    title = feature.name.replace("_", " ")
    shaded = None if feature.is_flag else (float(plan.support[feature.name][0]), float(plan.support[feature.name][1]))
    described = [f"{line.label}: {_in_words(line, feature, shaded)}" for line in lines]
    support = "" if shaded is None else f" Trained on {shaded[0]:.4g} to {shaded[1]:.4g} {feature.unit}."
    return Panel(
        name=f"{kind}-{feature.name}",
        title=title,
        x_label="" if feature.is_flag else feature.unit,
        y_label=y_label,
        lines=tuple(lines),
        description=f"{title}, {y_label}. {'; '.join(described)}.{support}",
        shaded=shaded,
        ticks=("no", "yes") if feature.is_flag else (),
        reach=reach,
    )


def _in_words(line: Line, feature: Feature, shaded: tuple[float, float] | None) -> str:
    if shaded is None:
        return f"{line.y[0]:+.3g} without, {line.y[1]:+.3g} with"
    inside = [point for point in zip(line.x, line.y, strict=True) if shaded[0] <= point[0] <= shaded[1]]
    low, high = (choose(inside, key=lambda point: point[1]) for choose in (min, max))
    return f"least {low[1]:+.3g} at {low[0]:.4g} {feature.unit}, most {high[1]:+.3g} at {high[0]:.4g} {feature.unit}"
