"""Each feature's part of the risk index, as a table beside the champion's."""

import numpy as np

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.modelling.card.curves import Champion, change_a_month, part_of_risk
from motorisk.modelling.card.structure import Section, Table, Text
from motorisk.modelling.card.wording import signed
from motorisk.scoring.pricing import Floats

LEVELS = 6
"""Values of each number, from the least to the greatest in training."""


def relativities(plan: RatingPlan, champion: Champion | None) -> Section:
    """The terms at a few values on the as-of date, what they change a month, and the champion's on the same date."""
    headings = ["feature", "value", "risk index against average", "change a month"]
    if champion is not None:
        headings += [f"version {champion[0]}", "difference"]
    rows = []
    for name, feature in FEATURES.items():
        x = _values(plan, name)
        own, change = part_of_risk(plan, name, x, plan.trend_time(plan.as_of)), change_a_month(plan, name, x)
        theirs = own if champion is None else part_of_risk(champion[1], name, x, champion[1].trend_time(plan.as_of))
        for index, value in enumerate(x):
            shown = ("yes" if value else "no") if feature.is_flag else f"{value:.4g} {feature.unit}"
            row = [name, shown, signed(own[index], 2), signed(change[index], 3)]
            if champion is not None:
                row += [signed(theirs[index], 2), signed(own[index] - theirs[index], 2)]
            rows.append(tuple(row))
    when = Text(f"On {plan.as_of}" + ("." if champion is None else f", both versions priced as of {plan.as_of}."))
    return Section("Relativities", (when, Table(tuple(headings), tuple(rows))))


def _values(plan: RatingPlan, name: str) -> Floats:
    if FEATURES[name].is_flag:
        return np.array([0.0, 1.0])
    return np.unique(np.linspace(*plan.support[name], LEVELS))
