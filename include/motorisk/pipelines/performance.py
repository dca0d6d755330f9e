"""Performance: what the served models foretold against what came true, as outcomes mature."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.dialects.postgresql import insert

from motorisk.domain.calendar import add_months
from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.errors import NoChampion
from motorisk.modelling.evaluation import evaluate
from motorisk.registry.versions import ModelVersion, ever_approved, load_plan
from motorisk.scoring.pricing import assess, risk_classes
from motorisk.warehouse.tables import outcome, performance, policy


@dataclass(frozen=True, slots=True)
class MonthlyPerformance:
    """How a version did on the policies written in a month whose outcomes are known."""

    month: date
    version: int
    as_of: date
    rows: int
    accuracy: float
    log_loss: float


def version_of_month(versions: Sequence[ModelVersion], month: date) -> ModelVersion | None:
    """The version that knew most when the month began; else the first one made during the month."""
    before = [version for version in versions if version.as_of <= month]
    if before:
        return before[-1]
    during = [version for version in versions if version.as_of < add_months(month, 1)]
    return during[0] if during else None


def measure_month(
    connection: Connection, month: date, as_of: date, model: ModelVersion, plan: RatingPlan
) -> MonthlyPerformance | None:
    """Compare a version with the outcomes of a month's policies known on `as_of`.

    Outcomes that the version knew when it was trained do not count; None where no others are known.
    """
    columns = [policy.c[name] for name in FEATURES]
    rows = connection.execute(
        select(policy.c.effective_date, outcome.c.risk, *columns)
        .join(outcome, policy.c.policy_id == outcome.c.policy_id)
        .where(
            policy.c.effective_date >= month,
            policy.c.effective_date < add_months(month, 1),
            policy.c.effective_date <= as_of,
            outcome.c.observed_on <= as_of,
            outcome.c.observed_on > model.as_of,
        )
    ).all()
    if not rows:
        return None
    features = {name: np.array([row[index] for row in rows], dtype=float) for index, name in enumerate(FEATURES, 2)}
    dates = np.array([row.effective_date for row in rows], dtype="datetime64[D]")
    observed = risk_classes(np.array([row.risk for row in rows]), plan.class_bounds)
    found = evaluate(assess(plan, features, dates).probabilities, observed)
    return MonthlyPerformance(month, model.version, as_of, len(rows), found.accuracy, found.log_loss)


def _months_with_outcomes(connection: Connection, as_of: date) -> list[date]:
    month = func.date_trunc("month", policy.c.effective_date)
    found = connection.scalars(
        select(month)
        .join(outcome, policy.c.policy_id == outcome.c.policy_id)
        .where(policy.c.effective_date <= as_of, outcome.c.observed_on <= as_of)
        .distinct()
        .order_by(month)
    )
    return [date(day.year, day.month, 1) for day in found]


def report_performance(engine: Engine, as_of: date) -> list[MonthlyPerformance]:
    """Realised performance by month, oldest first, of the version that served it; stored, replacing earlier figures.

    Empty until outcomes mature that no approved version was trained on. `NoChampion` where none was ever approved.
    """
    measured = []
    with engine.begin() as connection:
        versions = ever_approved(connection)
        if not versions:
            raise NoChampion("no model was ever approved: there is no performance to measure")
        plans: dict[int, RatingPlan] = {}
        for month in _months_with_outcomes(connection, as_of):
            model = version_of_month(versions, month)
            if model is None:
                continue
            if model.version not in plans:
                plans[model.version] = load_plan(connection, model.version)
            found = measure_month(connection, month, as_of, model, plans[model.version])
            if found is not None:
                measured.append(found)
        for figures in measured:
            values = {name: getattr(figures, name) for name in MonthlyPerformance.__slots__}
            statement = insert(performance).values(values)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["month", "version"],
                    set_={name: statement.excluded[name] for name in ("as_of", "rows", "accuracy", "log_loss")}
                    | {"measured_at": func.now()},
                )
            )
    return measured
