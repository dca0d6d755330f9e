"""Price impact: what a renewal would cost under a new model against the champion, over the portfolio."""

import io
import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from psycopg2 import sql
from sqlalchemy import Connection, func, select

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.tariff import CENT, Tariff
from motorisk.errors import NoTariff
from motorisk.registry.tariffs import in_force, tariffs
from motorisk.scoring.pricing import Columns, Integers, assess, premiums
from motorisk.warehouse.arrow import FEATURE_COLUMNS, FEATURE_TYPES, read_batches
from motorisk.warehouse.copying import copy_out
from motorisk.warehouse.tables import policy

MAX_POLICIES = 200_000
"""A larger portfolio is judged by a sample of about this size."""
SHOCK = 0.2
LOSERS = 20
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

# Every so many policies by a hash of their number: the same ones each time, and no favourites.
_SAMPLE = sql.SQL(
    """
    SELECT policy_id, {features} FROM insurance.policy
    WHERE effective_date <= %(as_of)s AND expiry_date > %(as_of)s
        AND mod(hashtextextended(policy_id, 0), %(every)s) = 0
    ORDER BY policy_id COLLATE "C"
    """
).format(features=FEATURE_COLUMNS)


@dataclass(frozen=True, slots=True)
class PriceImpact:
    """Relative changes of the net premium, of n policies: (n,) as shares, and the worst losers."""

    champion: int
    tariff: str
    changes: npt.NDArray[np.float64]
    losers: list[dict[str, Any]]

    @property
    def share_beyond(self) -> float:
        """Share of policies whose premium moves by more than a fifth, up or down."""
        return float(np.mean(np.abs(self.changes) > SHOCK))

    def to_json(self) -> dict[str, Any]:
        """As kept with a version."""
        return {
            "champion": self.champion,
            "tariff": self.tariff,
            "policies": len(self.changes),
            "mean": float(self.changes.mean()),
            "quantiles": {f"{q:g}": float(np.quantile(self.changes, q)) for q in QUANTILES},
            "share_beyond_20_percent": self.share_beyond,
            "losers": self.losers,
        }


def price_impact(
    connection: Connection, as_of: date, plan: RatingPlan, champion: int, champion_plan: RatingPlan
) -> PriceImpact | None:
    """Price the portfolio of a date with both plans, as if every policy were renewed on the next day.

    None where there is nothing to compare: no policy is in force, or no tariff.
    """
    renewal = as_of + timedelta(days=1)
    try:
        tariff = in_force(tariffs(connection), renewal)
    except NoTariff:
        return None
    portfolio = _portfolio(connection, as_of)
    if portfolio is None:
        return None
    features: Columns = {name: portfolio[name].cast(pa.float64()).to_numpy() for name in FEATURES}
    new, old = (_net(chosen, tariff, features, renewal) for chosen in (plan, champion_plan))
    # A premium of nought has no relative change: it counts as one cent.
    changes = (new - old) / np.maximum(old, 1)
    worst = np.argsort(-changes, kind="stable")[:LOSERS]
    policy_ids = portfolio["policy_id"]
    losers = [
        {
            "policy_id": policy_ids[row].as_py(),
            **{name: portfolio[name][row].as_py() for name in FEATURES},
            "champion_net": str(int(old[row]) * CENT),
            "net": str(int(new[row]) * CENT),
            "change": float(changes[row]),
        }
        for row in worst.tolist()
        if changes[row] > 0
    ]
    return PriceImpact(champion, tariff.name, changes, losers)


def _portfolio(connection: Connection, as_of: date) -> pa.Table | None:
    in_force_then = (policy.c.effective_date <= as_of) & (policy.c.expiry_date > as_of)
    count = connection.scalar(select(func.count()).where(in_force_then)) or 0
    content = io.BytesIO()
    copy_out(connection, _SAMPLE, {"as_of": as_of, "every": math.ceil(count / MAX_POLICIES) or 1}, content)
    content.seek(0)
    batches = list(read_batches(content, {"policy_id": pa.string(), **FEATURE_TYPES}))
    return pa.Table.from_batches(batches) if batches else None


def _net(plan: RatingPlan, tariff: Tariff, features: Columns, day: date) -> Integers:
    dates = np.full(len(features["age"]), np.datetime64(day, "D"))
    return premiums(tariff, assess(plan, features, dates).probabilities).net
