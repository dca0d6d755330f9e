"""Months of the simulated world whose outcomes are known when the last of them is, after the label delay."""

from datetime import date

import pyarrow as pa

from motorisk.domain.calendar import add_months
from motorisk.modelling.snapshot import Snapshot
from motorisk.simulation.portfolio import Simulation, simulate


def history(months: int, delay: int = 12, policies: int = 300, drift_until: int | None = None) -> Snapshot:
    """So many months of so many policies each, as of the month in which the last outcomes become known."""
    simulation = Simulation(date(2022, 1, 1), months=months, policies_a_month=policies, drift_until=drift_until)
    end = add_months(date(2022, 1, 31), months - 1 + delay)
    return Snapshot.of_table(end, pa.concat_tables(simulate(simulation)))
