"""Simulated months as files that `motorisk import` and `motorisk replay-quotes` read."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from motorisk.domain.calendar import add_months
from motorisk.domain.policy import FLAGS
from motorisk.files import make_folder
from motorisk.simulation.portfolio import Simulation, simulate


def write_months(
    simulation: Simulation, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[Path]:
    """One CSV file a month, `policies-YYYY-MM.csv`; a file is there as a whole or not at all.

    Numbers are written with all their digits, flags as 0 and 1.
    """
    make_folder(folder)
    written = []
    for number, month in enumerate(simulate(simulation)):
        path = folder / f"policies-{add_months(simulation.start, number):%Y-%m}.csv"
        columns = {name: month[name].cast(pa.int8()) if name in FLAGS else month[name] for name in month.column_names}
        part = path.with_suffix(".part")
        # No value needs quotes, and files without any are read faster.
        csv.write_csv(pa.table(columns), part, csv.WriteOptions(quoting_style="none", quoting_header="none"))
        part.replace(path)
        written.append(path)
        progress(number + 1, simulation.months)
    return written
