"""How long training takes and how much memory, whole program and all, on a simulated world of 54,000 matured policies.

    python bench/training.py [--policies-a-month 1500] [--months 36]

Prints a table: seconds and peak memory of `motorisk train` with all candidates, with `gam` and `trend_gam` alone, and
of the floor: one spline pipeline of scikit-learn fitted once to the same policies, as a program.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

FLOOR = """
import sys
import pyarrow.parquet as pq
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

table = pq.read_table(sys.argv[1]).to_pandas()
features = table[["training", "age", "emergency_braking", "braking_distance", "power", "miles"]].astype(float)
make_pipeline(SplineTransformer(10, knots="quantile"), Ridge()).fit(features, table["risk"])
"""
RUNS = {
    "all candidates, gates, price impact": [],
    "gam and trend_gam alone": ["--set", "candidates=[gam, trend_gam]"],
}


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float, int]:
    """Seconds, peak memory in MB, and how it ended, of one program."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - start, _megabytes(usage), process.returncode


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024  # Linux counts in KiB


def main() -> None:
    """Simulate, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies-a-month", type=int, default=1500)
    parser.add_argument("--months", type=int, default=36)
    arguments = parser.parse_args()
    motorisk = [sys.executable, "-m", "motorisk"]
    # A year after the last month all outcomes are known.
    as_of = date(2021 + (arguments.months - 1) // 12, (arguments.months - 1) % 12 + 1, 28).isoformat()
    table = Table(title=f"{arguments.months * arguments.policies_a_month:,} matured policies")
    for heading in ("program", "seconds", "times the floor", "peak MB", "ended with"):
        table.add_column(heading, justify="left" if heading == "program" else "right")
    with tempfile.TemporaryDirectory(prefix="motorisk-bench-") as folder:
        Path(folder).chmod(0o755)  # as root the database server runs as another user
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MOTORISK_")}
        environment["MOTORISK_HOME"] = f"{folder}/home"
        simulate = ["simulate", "--start", "2020-01", "--months", str(arguments.months)]
        simulate += ["--policies", str(arguments.policies_a_month)]
        try:
            for command in (["db", "upgrade"], simulate):
                subprocess.run([*motorisk, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
            found = {
                name: measured([*motorisk, "train", "--as-of", as_of, *options], environment)
                for name, options in RUNS.items()
            }
            (snapshot,) = Path(folder).glob("home/snapshots/*.parquet")
            floor = measured([sys.executable, "-c", FLOOR, str(snapshot)], environment)
        finally:
            subprocess.run([*motorisk, "db", "stop"], env=environment, check=False, stdout=subprocess.DEVNULL)
    for name, (seconds, memory, code) in {"floor: one spline pipeline, fitted once": floor, **found}.items():
        table.add_row(name, f"{seconds:.1f}", f"{seconds / floor[0]:.1f}", f"{memory:,.0f}", str(code))
    Console().print(table)


if __name__ == "__main__":
    main()
