"""The quotes whose net premium a shadow moves farthest, and what their changes come from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, Row, select

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.pipelines.shadow.challenger import load_challenger
from motorisk.pipelines.shadow.premiums import relative_changes
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.reasons import reasons
from motorisk.registry.versions import load_plan
from motorisk.warehouse.tables import quote, shadow_quote

REASONS = 3


@dataclass(frozen=True, slots=True)
class ReasonChange:
    """A feature's share of the risk index against the portfolio's average, as answered and as the shadow says."""

    feature: str
    answered: float
    shadow: float


@dataclass(frozen=True, slots=True)
class Example:
    """A quote with a large change of its net premium, and what it comes from.

    `average` is the change of the portfolio's average risk index between the two versions; it and all changes of
    reasons sum to the change of the expected risk (`reasons` holds the weightiest). `outside` names, by who answered
    by the rules, the features beyond its experience; then there are no reasons.
    """

    quote_id: UUID
    quoted_at: datetime
    answered_by: int
    features: Mapping[str, float]
    answered_class: str
    shadow_class: str
    answered_net: Decimal
    shadow_net: Decimal
    change: float
    expected_risk: float | None
    shadow_expected_risk: float | None
    average: float | None = None
    reasons: tuple[ReasonChange, ...] = ()
    outside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def add_extremes(known: list[tuple[float, str, str]], batch: pa.Table, examples: int) -> list[tuple[float, str, str]]:
    """The largest falls and rises so far: change, time and id, from the largest fall to the largest rise."""
    changes = relative_changes(batch["answered_cents"].to_numpy(), batch["shadow_cents"].to_numpy())
    order = np.argsort(changes, kind="stable")
    rows = dict.fromkeys([*order[:examples].tolist(), *order[len(order) - examples :].tolist()] if examples else [])
    fresh = [
        (float(changes[row]), batch["quoted_at"][row].as_py(), batch["quote_id"][row].as_py())
        for row in rows
        if changes[row]
    ]
    merged = sorted([*known, *fresh])
    falls = [item for item in merged if item[0] < 0][:examples]
    rises = [item for item in merged if item[0] > 0]
    return falls + rises[max(len(rises) - examples, 0) :]


def explained(connection: Connection, version: int, extremes: list[tuple[float, str, str]]) -> Iterator[Example]:
    """The extremes explained, the largest changes first."""
    if not extremes:
        return
    challenger = Pricer(load_challenger(connection, version))
    champion = cache(lambda number: Pricer(load_plan(connection, number)))
    for change, quoted_at, quote_id in sorted(extremes, key=lambda item: -abs(item[0])):
        row = connection.execute(
            select(
                quote,
                shadow_quote.c.risk_class.label("shadow_class"),
                shadow_quote.c.net.label("shadow_net"),
                shadow_quote.c.expected_risk.label("shadow_expected_risk"),
            )
            .join(
                shadow_quote,
                (shadow_quote.c.quoted_at == quote.c.quoted_at) & (shadow_quote.c.quote_id == quote.c.quote_id),
            )
            .where(
                shadow_quote.c.version == version,
                quote.c.quoted_at == datetime.fromisoformat(quoted_at),
                quote.c.quote_id == UUID(quote_id),
            )
        ).one()
        yield _example(row, change, champion(row.version), challenger)
    connection.commit()


def _example(row: Row[Any], change: float, champion: Pricer, challenger: Pricer) -> Example:
    features = PolicyFeatures(*(float(getattr(row, name)) for name in FEATURES))
    average: float | None = None
    why: tuple[ReasonChange, ...] = ()
    if row.expected_risk is not None and row.shadow_expected_risk is not None:
        answered, shadow = (
            {
                reason.feature: reason.contribution
                for reason in reasons(
                    pricer.estimate(features, row.effective_date), pricer.at(row.effective_date), features
                )
            }
            for pricer in (champion, challenger)
        )
        pairs = [ReasonChange(name, answered[name], shadow[name]) for name in FEATURES]
        average = row.shadow_expected_risk - row.expected_risk - sum(pair.shadow - pair.answered for pair in pairs)
        why = tuple(sorted(pairs, key=lambda pair: -abs(pair.shadow - pair.answered))[:REASONS])
    sides = {"answered": champion, "shadow": challenger}
    outside = {side: tuple(pricer.outside_support(features)) for side, pricer in sides.items()}
    return Example(
        quote_id=row.quote_id,
        quoted_at=row.quoted_at,
        answered_by=row.version,
        features=features._asdict(),
        answered_class=row.risk_class,
        shadow_class=row.shadow_class,
        answered_net=row.net,
        shadow_net=row.shadow_net,
        change=change,
        expected_risk=row.expected_risk,
        shadow_expected_risk=row.shadow_expected_risk,
        average=average,
        reasons=why,
        outside={side: names for side, names in outside.items() if names},
    )
