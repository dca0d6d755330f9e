"""Change the code on purpose, one small change at a time, and see whether a test fails (mutation testing).

    python scripts/mutation.py [PART…] [--sample N]   # `make mutation`; N changes of each part, drawn at random
    python scripts/mutation.py --report               # only count what has been found, and name the survivors

Parts, and the tests that judge each, are in pyproject.toml under `[tool.mutation]`. mutmut works on a copy of each part
under `test-results/mutation` (it wants the sources in a folder `src`) and goes on where it stopped: results are kept
until the function changes. All tests share one Postgres, and have databases of their own.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mutmut.stats import status_by_exit_code

from motorisk.warehouse.embedded import EmbeddedPostgres

PROJECT = Path(__file__).parent.parent
RESULTS = PROJECT / "test-results" / "mutation"
COPIED = ("dags", "observability", "scripts", "tests", "pyproject.toml")
ENOUGH = 0.80
"""Of each part, at least this share of the changes has to be noticed."""
NOTICED = {"killed", "segfault"}
"""A timeout may be an endless loop or a busy machine: it is counted by itself, and not as noticed."""

CONFIGURATION = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = {mutated}
also_copy = ["dags", "observability", "scripts"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist"]
# Servers, threads and pools of the tests stay out of the process that is forked.
process_isolation = "forkserver"
timeout_multiplier = 10.0
timeout_constant = 5.0
"""
GENERATE = (
    "from mutmut.__main__ import *; makedirs('mutants', exist_ok=True); copy_src_dir(); copy_also_copy_files();"
    "create_mutants(1)"
)


def parts() -> dict[str, dict[str, list[str]]]:
    """By name: which files are changed, and which tests have to notice."""
    told: dict[str, dict[str, list[str]]] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["mutation"]
    return told


def prepare(part: str, files: dict[str, list[str]]) -> Path:
    """Bring the part's copy up to date; sources keep their times, so that the results of what has not changed stand."""
    folder = RESULTS / part
    _copy(PROJECT / "include", folder / "src")
    for name in COPIED:
        _copy(PROJECT / name, folder / name)
    with (folder / "pyproject.toml").open("a") as configuration:
        mutated = [f"src/motorisk/{pattern}" for pattern in files["mutated"]]
        configuration.write(CONFIGURATION.format(mutated=mutated, tests=files["tests"]))
    if (folder / "mutants").exists():
        for name in COPIED:
            _copy(folder / name, folder / "mutants" / name)
    return folder


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def run(folder: Path, patterns: list[str], sample: int | None, environment: dict[str, str]) -> int:
    """Let mutmut work on a part: on all changes, those of the patterns, or some that a fixed seed draws."""
    generate = [sys.executable, "-c", GENERATE]
    subprocess.run(generate, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    chosen = patterns
    if sample is not None:
        names = sorted(name for name in fates(folder) if not patterns or any(fnmatch(name, one) for one in patterns))
        chosen = random.Random(0).sample(names, min(sample, len(names)))  # noqa: S311
        chosen = [name for name in chosen if fates(folder)[name] == "not checked"]
        if not chosen:
            return 0
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "1", *chosen]
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def fates(folder: Path) -> dict[str, str]:
    """What became of each change, by its name."""
    told: dict[str, str] = {}
    for file in sorted((folder / "mutants" / "src").rglob("*.py.meta")):
        for name, exit_code in json.loads(file.read_text())["exit_code_by_key"].items():
            told[name] = status_by_exit_code[exit_code]
    return told


def report() -> bool:
    """Print what was found, and the survivors; whether it is enough."""
    is_enough = True
    heads = ("changes", "tried", "noticed", "timeout", "survived", "no tests", "score")
    print(f"{'part':10}" + "".join(f"{head:>10}" for head in heads))
    unnoticed: list[str] = []
    for part in parts():
        told = fates(RESULTS / part)
        counts = Counter(told.values())
        tried = len(told) - counts["not checked"]
        noticed = sum(counts[fate] for fate in NOTICED)
        share = noticed / tried if tried else 0.0
        is_enough &= share >= ENOUGH
        survived = tried - noticed - counts["timeout"] - counts["no tests"]
        figures = (len(told), tried, noticed, counts["timeout"], survived, counts["no tests"])
        print(f"{part:10}" + "".join(f"{figure:10}" for figure in figures) + f"{share:10.1%}")
        unnoticed += [f"{fate:10} {name}" for name, fate in told.items() if fate not in {*NOTICED, "not checked"}]
    print("\n".join(unnoticed))
    return is_enough


def main() -> int:
    """Run and count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--report", action="store_true", help="only count what has been found")
    parser.add_argument("--sample", type=int, help="try so many changes of each part, not all")
    parser.add_argument("--only", action="append", default=[], help="pattern of changes to try, also again")
    parser.add_argument("parts", nargs="*", help="parts to try (default: all)")
    arguments = parser.parse_args()
    known: dict[str, Any] = parts()
    if unknown := set(arguments.parts) - known.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if arguments.report:
        return 0 if report() else 1
    server = EmbeddedPostgres(RESULTS / "server" / "postgres")
    shutil.rmtree(RESULTS / "server", ignore_errors=True)
    try:
        address = server.ensure_running()
        for part in arguments.parts or known:
            folder = prepare(part, known[part])
            environment = {
                **os.environ,
                "TEST_POSTGRES": address,
                "HYPOTHESIS_PROFILE": "mutation",
                "PYTHONPATH": str(folder / "mutants" / "src"),  # of programs that tests start
                "OMP_NUM_THREADS": "1",
            }
            if code := run(folder, arguments.only, arguments.sample, environment):
                return code
    finally:
        server.stop()
    return 0 if report() else 1


if __name__ == "__main__":
    sys.exit(main())
