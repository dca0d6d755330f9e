"""Change the code on purpose, one small change at a time, and see whether a test fails (mutation testing).

    python scripts/mutation.py [MUTANT…]        # `make mutation`; a pattern like 'motorisk.domain.*' runs those again
    python scripts/mutation.py --report [FILE]  # only count what has been found, with the survivors

What is mutated and which tests judge says `[tool.mutmut]` in pyproject.toml. mutmut works on a copy under
`test-results/mutation` (it wants the sources in a folder `src`) and goes on where it stopped: results are kept until
the function changes. All tests share one Postgres, and see databases of their own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

from mutmut.stats import status_by_exit_code

from motorisk.warehouse.embedded import EmbeddedPostgres

PROJECT = Path(__file__).parent.parent
WORK = PROJECT / "test-results" / "mutation"
COPIED = ("dags", "observability", "tests", "scripts", "pyproject.toml")
PARTS = ("domain", "modelling.gates", "registry", "quoting")
"""Of each of these, at least `ENOUGH` of the mutants have to be noticed."""
ENOUGH = 0.80


def prepare() -> None:
    """Bring the copy up to date; files keep their times, so that the results of what has not changed stand."""
    for name in COPIED:
        _copy(PROJECT / name, WORK / name)
        if (WORK / "mutants").exists():
            _copy(PROJECT / name, WORK / "mutants" / name)
    _copy(PROJECT / "include", WORK / "src")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def run(patterns: list[str]) -> int:
    """Let mutmut work, with a Postgres for all tests."""
    server = EmbeddedPostgres(WORK / "server" / "postgres")
    shutil.rmtree(WORK / "server", ignore_errors=True)
    address = server.ensure_running()
    environment = {
        **os.environ,
        "TEST_POSTGRES": address,
        "HYPOTHESIS_PROFILE": "mutation",
        "PYTHONPATH": str(WORK / "mutants" / "src"),  # of programs that tests start
        "OMP_NUM_THREADS": "1",
    }
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "1", *patterns]
    try:
        return subprocess.run(command, cwd=WORK, env=environment, check=False).returncode
    finally:
        server.stop()


def found() -> dict[str, Counter[str]]:
    """Of each part: how many mutants fared how."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for name, fate in fates().items():
        part = next((part for part in PARTS if name.startswith(f"motorisk.{part}.")), None)
        if part is not None:
            counts[part][fate] += 1
    return counts


def fates() -> dict[str, str]:
    """What became of each mutant."""
    told: dict[str, str] = {}
    for file in sorted((WORK / "mutants" / "src").rglob("*.py.meta")):
        for name, exit_code in json.loads(file.read_text())["exit_code_by_key"].items():
            told[name] = status_by_exit_code[exit_code]
    return told


def report() -> bool:
    """Print what was found, and whether it is enough."""
    is_enough = True
    noticed = ("killed", "timeout", "caught by type check", "segfault")
    print(f"{'part':18}{'mutants':>9}{'noticed':>9}{'survived':>10}{'no tests':>10}{'not run':>9}{'score':>8}")
    for part in PARTS:
        counts = found()[part]
        unknown = counts["not checked"]
        tried = counts.total() - unknown
        killed = sum(counts[fate] for fate in noticed)
        score = killed / tried if tried else 0.0
        is_enough &= score >= ENOUGH and not unknown
        figures = (
            f"{counts.total():9}{killed:9}{tried - killed - counts['no tests']:10}{counts['no tests']:10}{unknown:9}"
        )
        print(f"{part:18}{figures}{score:8.1%}")
    return is_enough


def main() -> int:
    """Run and count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--report", action="store_true", help="only count what has been found")
    parser.add_argument("mutants", nargs="*", help="patterns of mutants to run again")
    arguments = parser.parse_args()
    if not arguments.report:
        prepare()
        if code := run(arguments.mutants):
            return code
    return 0 if report() else 1


if __name__ == "__main__":
    sys.exit(main())
