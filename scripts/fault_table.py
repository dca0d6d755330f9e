"""Each fault and each bad input that the tests try, how often, and how often it was survived.

    python scripts/fault_table.py test-results/faults.xml

Reads the report that `make faults` lets pytest write (any other JUnit report of the tests will do). A case is survived
where its test passed: nothing lost, nothing doubled, a clear message. Ends with 1 where one was not, or where nobody
tries something that has to be tried.
"""

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

FAULTS = (
    "Postgres stopped",
    "Postgres restarted",
    "out of connections",
    "disk full",
    "read-only database",
    "killed while training",
    "killed while approving",
    "killed while scoring",
    "killed while reporting",
    "killed while monitoring",
    "killed while quoting",
    "two at once",
    "clock set back",
    "daylight-saving change",
    "working directory gone",
    "corrupted rating plan",
    "corrupted snapshot",
    "corrupted journal",
    "corrupted workspace",
    "plan of a newer schema",
    "wrong database",
    "migrations behind",
    "migrations ahead",
    "clock skew",
    "missing permission",
    "no champion",
    "empty portfolio",
    "port taken",
    "expired key",
    "folder not writable",
)
"""What has to be tried; tests may try more."""
BAD_INPUTS = ("HTTP request", "import file", "rating plan", "policy", "training data", "training configuration")

Counts = dict[str, tuple[int, int]]


def count(report: Path, kind: str, required: Iterable[str]) -> Counts:
    """By name of a fault or bad input: how many cases there were, and how many were survived."""
    tried, survived = Counter[str](), Counter[str]()
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  our own tests' report
        passed = not any(case.find(end) is not None for end in ("failure", "error", "skipped"))
        for found in case.iter("property"):
            if found.get("name") == kind:
                tried[found.get("value", "")] += 1
                survived[found.get("value", "")] += passed
    others = sorted(set(tried) - set(required))
    return {name: (tried[name], survived[name]) for name in (*required, *others)}


def main(report: Path) -> int:
    """Print the table."""
    table = Table(title="What was broken, and survived", title_justify="left", show_footer=True)
    faults, inputs = count(report, "fault", FAULTS), count(report, "bad_input", BAD_INPUTS)
    together = [*faults.values(), *inputs.values()]
    table.add_column("", footer="all")
    table.add_column("cases", justify="right", footer=str(sum(tried for tried, _ in together)))
    table.add_column("survived", justify="right", footer=str(sum(survived for _, survived in together)))
    for title, counts in (("fault", faults), ("bad input", inputs)):
        table.add_section()
        table.add_row(f"[bold]{title}[/]")
        for name, (tried, survived) in counts.items():
            style = "" if tried == survived > 0 else "red"
            table.add_row(f"  {name}", str(tried), str(survived), style=style)
    Console(width=100).print(table)
    return int(not all(tried == survived > 0 for tried, survived in together))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: fault_table.py REPORT.xml")
    sys.exit(main(Path(sys.argv[1])))
