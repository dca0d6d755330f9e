"""Ask the package index what became of everything that the lock files name.

    python scripts/audit_dependencies.py [--index URL]

Nothing but the index is needed (its JSON form, PEP 691, 700 and 792; PIP_INDEX_URL or --index names another one). Of
each locked version it is asked whether it is still there, whether it was yanked, whether the index knows a file of each
locked hash, whether the project was archived, deprecated or quarantined, and when it last released anything. A project
without a release in the two years before the newest one that is locked counts as unmaintained and needs a written
reason in requirements/unmaintained.toml; so the answer depends on the locks and the index and not on today's date.

Known vulnerabilities are another question (`make audit-advisories`): an index does not tell them.
"""

import argparse
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import requests
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pypi_simple import NoSuchProjectError, ProjectPage, PyPISimple
from requests.adapters import HTTPAdapter
from rich.console import Console
from urllib3.util import Retry

REQUIREMENTS = Path(__file__).parent.parent / "requirements"
UNMAINTAINED_AFTER = timedelta(days=730)
THREADS = 8
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass
class Pin:
    """One locked version and the hashes (SHA-256, hex) of the files that may be installed for it."""

    project: str
    version: str
    hashes: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        """Name and version as a requirement has them."""
        return f"{self.project} {self.version}"


class UnreadableLock(Exception):
    """A lock file or the file of reasons is not what it should be."""


def read_pins(folder: Path) -> list[Pin]:
    """All pins of a folder's lock files, sorted; a version in several files is one pin with the hashes of all."""
    pins: dict[tuple[str, str], Pin] = {}
    for file in sorted(folder.glob("*.txt")):
        for entry in re.split(r"(?<!\\)\n", file.read_text()):
            if not entry.strip() or entry.startswith("#"):
                continue
            requirement = Requirement(entry.split("\\", 1)[0].strip())
            versions = [clause.version for clause in requirement.specifier if clause.operator == "=="]
            if len(versions) != 1:
                raise UnreadableLock(f"{file.name}: {requirement.name} is not locked to one version")
            hashes = set(HASH.findall(entry))
            if not hashes:
                raise UnreadableLock(f"{file.name}: {requirement.name} has no hash")
            key = (canonicalize_name(requirement.name), versions[0])
            pins.setdefault(key, Pin(*key)).hashes |= hashes
    return [pins[key] for key in sorted(pins)]


def read_reasons(file: Path) -> dict[str, str]:
    """Why each unmaintained project is kept."""
    reasons = tomllib.loads(file.read_text())
    for project, reason in reasons.items():
        if not isinstance(reason, str) or not reason.strip():
            raise UnreadableLock(f"{file.name}: {project} has no reason")
    return reasons


def last_release(page: ProjectPage) -> datetime | None:
    """When a project last published a file that it did not take back."""
    return max((file.upload_time for file in page.packages if file.upload_time and not file.is_yanked), default=None)


def findings(
    pins: list[Pin], pages: Mapping[str, ProjectPage | None], reasons: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """What is wrong with the pins: pairs of what and why.

    ``pages`` has the index's page of each pinned project, None where there is none.
    """
    dates = [date for page in pages.values() if page is not None and (date := last_release(page)) is not None]
    newest = max(dates, default=None)
    for pin in pins:
        page = pages[pin.project]
        if page is None:
            yield str(pin), "the index has no such project"
            continue
        files = [file for file in page.packages if file.version == pin.version]
        if not files:
            yield str(pin), "the index no longer has this version"
            continue
        if yanked := [file for file in files if file.is_yanked]:
            yield str(pin), f"yanked: {yanked[0].yanked_reason or 'no reason given'}"
        known = {file.digests.get("sha256") for file in files}
        for unknown in sorted(pin.hashes - known):
            yield str(pin), f"the index has no file with the locked hash {unknown[:12]}…"
        if page.status is not None and page.status != "active":
            yield str(pin), f"the project is {page.status}: {page.status_reason or 'no reason given'}"
    for project in sorted(pages):
        page = pages[project]
        released = last_release(page) if page is not None else None
        old = released is not None and newest is not None and newest - released > UNMAINTAINED_AFTER
        if old and project not in reasons:
            yield project, f"no release since {released:%Y-%m-%d}, and no reason in unmaintained.toml"
        if not old and project in reasons:
            yield project, "is maintained: unmaintained.toml need not name it"
    for project in sorted(set(reasons) - set(pages)):
        yield project, "is not locked: unmaintained.toml need not name it"


def ask(index: str | None, pins: list[Pin]) -> dict[str, ProjectPage | None]:
    """The index's page of every pinned project."""
    session = requests.Session()
    retry = Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
    session.mount("https://", HTTPAdapter(max_retries=retry, pool_maxsize=THREADS))
    client = PyPISimple(index, session=session) if index else PyPISimple(session=session)

    def page(project: str) -> ProjectPage | None:
        try:
            return client.get_project_page(project, timeout=60)
        except NoSuchProjectError:
            return None

    projects = sorted({pin.project for pin in pins})
    with client, ThreadPoolExecutor(THREADS) as threads:
        return dict(zip(projects, threads.map(page, projects), strict=True))


def main() -> int:
    """Ask, print what is wrong, and say so by the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--index", default=os.environ.get("PIP_INDEX_URL"), help="address of the index's simple API")
    console = Console(soft_wrap=True)
    arguments = parser.parse_args()
    try:
        pins = read_pins(REQUIREMENTS)
        reasons = read_reasons(REQUIREMENTS / "unmaintained.toml")
        pages = ask(arguments.index, pins)
    except (UnreadableLock, tomllib.TOMLDecodeError) as problem:
        console.print(f"[red]{problem}[/]", highlight=False)
        return 2
    except requests.RequestException as problem:
        console.print(f"[red]the package index does not answer: {problem}[/]", highlight=False)
        return 2
    wrong = list(findings(pins, pages, reasons))
    for what, why in wrong:
        console.print(f"[red]{what}[/]: {why}", highlight=False)
    hashes = sum(len(pin.hashes) for pin in pins)
    console.print(
        f"{len(pins)} locked versions of {len(pages)} projects, {hashes} hashes: "
        + (f"{len(wrong)} to look at" if wrong else "all there, none yanked, archived or quarantined")
        + f"; {len(reasons)} without a release in two years, each with a reason",
        highlight=False,
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
