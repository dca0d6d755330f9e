"""Simulate: fill the insurer's tables with the workshop's world."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from sqlalchemy import Engine, select, text

from motorisk.domain.policy import FLAGS
from motorisk.simulation.portfolio import Simulation, simulate
from motorisk.warehouse.arrow import write_table
from motorisk.warehouse.tables import policy

_POLICY = "policy_id, customer_id, effective_date, expiry_date, training, age, emergency_braking, braking_distance, power, miles"  # noqa: E501
_STAGE = """
    CREATE TEMP TABLE simulated ON COMMIT DROP AS
    SELECT p.*, o.risk, o.observed_on FROM insurance.policy p, insurance.outcome o WITH NO DATA
"""
_INSERT_POLICIES = f"""
    INSERT INTO insurance.policy ({_POLICY}) SELECT {_POLICY} FROM simulated ON CONFLICT (policy_id) DO NOTHING
"""  # noqa: S608
_INSERT_OUTCOMES = """
    INSERT INTO insurance.outcome (policy_id, risk, observed_on)
    SELECT policy_id, risk, observed_on FROM simulated ON CONFLICT (policy_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class SimulationRun:
    """How many policies were added and how many had been there before."""

    inserted: int
    unchanged: int


def is_empty(engine: Engine) -> bool:
    """Whether there are no policies at all."""
    with engine.connect() as connection:
        return connection.scalar(select(policy.c.policy_id).limit(1)) is None


def simulate_portfolio(
    engine: Engine, simulation: Simulation, progress: Callable[[int, int], None] = lambda done, total: None
) -> SimulationRun:
    """Add simulated policies and their outcomes in one transaction; the same simulation again changes nothing."""
    with engine.begin() as connection:
        connection.execute(text(_STAGE))
        staged = 0
        for done, month in enumerate(simulate(simulation), start=1):
            flags = {name: month[name].cast(pa.bool_()) for name in FLAGS}
            columns = {name: flags.get(name, month[name]) for name in month.column_names}
            staged += write_table(connection, "simulated", month.column_names, pa.table(columns))
            progress(done, simulation.months)
        inserted = connection.execute(text(_INSERT_POLICIES)).rowcount
        # The foreign key's check may have been planned when the table of policies was small: it would read all of it.
        connection.execute(text("DISCARD PLANS"))
        connection.execute(text(_INSERT_OUTCOMES))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE insurance.policy, insurance.outcome"))
    return SimulationRun(inserted, staged - inserted)
