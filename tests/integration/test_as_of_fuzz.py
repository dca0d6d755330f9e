"""No look-ahead: whatever is done to the future, nothing that is computed as of the past changes.

Each example takes a day, computes as of it, then shuffles, changes, deletes and invents what is known only later
(policies that begin after the day, outcomes that are observed after it), and computes again.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, select, text, update

from motorisk.domain.policy import FEATURES
from motorisk.modelling.snapshot import extract_snapshot
from motorisk.monitoring.reference import Reference
from motorisk.pipelines.drift_months import columns_of_months, comparable_months
from motorisk.pipelines.performance import report_performance
from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.served import read_served
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.registry import transitions
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import outcome, policy, score

START, MONTHS = date(2024, 1, 1), 8
FIRST, LAST = date(2024, 3, 1), date(2024, 8, 30)

# Each example computes twice, on a database that all share: what one did to the future is the next one's world.
# Shrinking would go on with a world that has changed.
FEWER = settings(
    max_examples=max(6, settings.default.max_examples // 8),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

CHANGES = {
    "later policies swap their features": """
        UPDATE insurance.policy AS p SET age = other.age, power = other.power, miles = other.miles,
            braking_distance = other.braking_distance, training = other.training
        FROM (
            SELECT a.policy_id, b.age, b.power, b.miles, b.braking_distance, b.training
            FROM (SELECT policy_id, row_number() OVER (ORDER BY policy_id) AS place
                  FROM insurance.policy WHERE effective_date > :day) AS a
            JOIN (SELECT *, row_number() OVER (ORDER BY hashtextextended(policy_id, :seed)) AS place
                  FROM insurance.policy WHERE effective_date > :day) AS b USING (place)
        ) AS other
        WHERE p.policy_id = other.policy_id
    """,
    "later policies are others": """
        UPDATE insurance.policy SET age = 99, miles = 900, power = 1, training = NOT training
        WHERE effective_date > :day
    """,
    "later policies begin on another later day": """
        UPDATE insurance.policy SET effective_date = CAST(:day AS date) + 1, expiry_date = CAST(:day AS date) + 366
        WHERE effective_date > :day AND mod(hashtextextended(policy_id, :seed), 2) = 0
    """,
    "later outcomes swap their risks": """
        UPDATE insurance.outcome AS o SET risk = other.risk
        FROM (
            SELECT a.policy_id, b.risk
            FROM (SELECT policy_id, row_number() OVER (ORDER BY policy_id) AS place
                  FROM insurance.outcome WHERE observed_on > :day) AS a
            JOIN (SELECT risk, row_number() OVER (ORDER BY hashtextextended(policy_id, :seed)) AS place
                  FROM insurance.outcome WHERE observed_on > :day) AS b USING (place)
        ) AS other
        WHERE o.policy_id = other.policy_id
    """,
    "later outcomes are observed on another later day": """
        UPDATE insurance.outcome SET observed_on = CAST(:day AS date) + 1
        WHERE observed_on > :day AND mod(hashtextextended(policy_id, :seed), 2) = 0
    """,
    "later outcomes are others": "UPDATE insurance.outcome SET risk = 99 WHERE observed_on > :day",
    "later outcomes are gone": """
        DELETE FROM insurance.outcome WHERE observed_on > :day AND mod(hashtextextended(policy_id, :seed), 3) = 0
    """,
    "outcomes arrive later": """
        INSERT INTO insurance.outcome (policy_id, risk, observed_on)
        SELECT policy_id, -99, greatest(effective_date, CAST(:day AS date) + 1) FROM insurance.policy
        WHERE mod(hashtextextended(policy_id, :seed), 3) = 1 ON CONFLICT DO NOTHING
    """,
    "policies come later": """
        INSERT INTO insurance.policy (policy_id, customer_id, effective_date, expiry_date, training, age,
            emergency_braking, braking_distance, power, miles)
        SELECT 'later-' || :seed || '-' || policy_id, customer_id, CAST(:day AS date) + 1, CAST(:day AS date) + 366,
            training, 18, emergency_braking, 99, 400, 300
        FROM insurance.policy WHERE mod(hashtextextended(policy_id, :seed), 5) = 0 ON CONFLICT DO NOTHING
    """,
}

days = st.dates(FIRST, LAST)
futures = st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 2**31)), min_size=1, max_size=4)


@pytest.fixture
def world(warehouse: Engine, offer: Callable[..., int]) -> Iterator[Engine]:
    """Eight months of 50 policies, outcomes known two months later, and a champion made as of the first month's end."""
    simulate_portfolio(warehouse, Simulation(START, MONTHS, policies_a_month=50, label_delay_months=2))
    version = offer(warehouse, 2.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, version, by="uma")
    return warehouse


def change_the_future(engine: Engine, day: date, changes: list[tuple[str, int]]) -> None:
    with engine.begin() as connection:
        for name, seed in changes:
            connection.execute(text(CHANGES[name]), {"day": day, "seed": seed})


def snapshot_of(engine: Engine, day: date) -> Any:
    with engine.connect() as connection:
        return extract_snapshot(connection, day, 36).digest


def performance_of(engine: Engine, day: date) -> Any:
    report = report_performance(engine, day)
    return report.months, report.promises


def reference(connection: Connection) -> Reference:
    served = read_served(connection, date(2024, 1, 31))
    return Reference.of(served.features, fixed=0.1)


def drift_of(engine: Engine, day: date) -> Any:
    """What every month's columns say, read row by row and, as of millions of policies, added up by the database."""
    with engine.connect() as connection:
        known, months = reference(connection), comparable_months(connection, day, 5)
        told = [
            {name: known.measure(name, columns[name]) for name in FEATURES}
            for exact_rows in (10**9, 0)
            for columns in columns_of_months(connection, known, months, day, exact_rows)
        ]
    return months, told


def scores_of(engine: Engine, day: date) -> Any:
    score_portfolio(engine, day)
    columns = [column for column in score.columns if column.name not in {"run_id", "scored_at"}]
    with engine.connect() as connection:
        return connection.execute(select(*columns).where(score.c.as_of == day).order_by(score.c.policy_id)).all()


COMPUTED = {"snapshot": snapshot_of, "performance": performance_of, "drift": drift_of, "scores": scores_of}


@pytest.mark.timeout(3600)  # what a night's profile takes
@FEWER
@given(day=days, changes=futures)
def test_nothing_computed_as_of_a_day_depends_on_what_comes_later(
    world: Engine, day: date, changes: list[tuple[str, int]]
) -> None:
    before = {name: compute(world, day) for name, compute in COMPUTED.items()}
    change_the_future(world, day, changes)
    for name, compute in COMPUTED.items():
        assert compute(world, day) == before[name], name


@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_known_on_the_day_itself_does_count(world: Engine, name: str) -> None:
    """So that the property above does not hold for want of any effect."""
    day = date(2024, 5, 15)
    before = COMPUTED[name](world, day)
    with world.begin() as connection:
        on_the_day = (
            select(policy.c.policy_id).order_by(policy.c.effective_date.desc()).where(policy.c.effective_date <= day)
        )
        newest = connection.scalars(on_the_day.limit(1)).one()
        connection.execute(update(policy).where(policy.c.policy_id == newest).values(miles=150.0, effective_date=day))
        matured = select(outcome.c.policy_id).where(outcome.c.observed_on <= day - timedelta(days=10))
        oldest = connection.scalars(matured.order_by(outcome.c.observed_on.desc()).limit(1)).one()
        connection.execute(update(outcome).where(outcome.c.policy_id == oldest).values(risk=7.0, observed_on=day))
    assert COMPUTED[name](world, day) != before
