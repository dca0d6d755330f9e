"""What the audit of dependencies finds, on pages as an index answers them."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pypi_simple import ProjectPage

SCRIPT = Path(__file__).parents[2] / "scripts" / "audit_dependencies.py"
GOOD, OTHER = "a" * 64, "b" * 64


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_dependencies", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def page(project: str = "flask", *, uploaded: str = "2026-02-19", sha256: str = GOOD, **changes: object) -> ProjectPage:
    """An index's JSON page (PEP 691) of a project with one file of version 3.1.3."""
    file = {
        "filename": f"{project}-3.1.3.tar.gz",
        "url": f"files/{project}-3.1.3.tar.gz",
        "hashes": {"sha256": sha256},
        "upload-time": f"{uploaded}T05:00:00Z",
        "yanked": changes.get("yanked", False),
    }
    meta = {"api-version": "1.4"}
    return ProjectPage.from_json_data(
        {
            "meta": meta,
            "name": project,
            "files": [file],
            "versions": ["3.1.3"],
            "project-status": {"status": changes.get("status", "active")},
        },
        base_url="index/",
    )


def found(audit: ModuleType, pages: dict[str, ProjectPage | None], **reasons: str) -> list[tuple[str, str]]:
    pins = [audit.Pin(project, "3.1.3", {GOOD}) for project in pages]
    return list(audit.findings(pins, pages, reasons))


def test_what_is_as_it_was_locked_raises_nothing(audit: ModuleType) -> None:
    assert found(audit, {"flask": page()}) == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "no such project"),
        (page(sha256=OTHER), f"no file with the locked hash {GOOD[:12]}"),
        (page(yanked="leaks passwords"), "yanked: leaks passwords"),
        (page(status="quarantined"), "the project is quarantined"),
        (page(status="archived"), "the project is archived"),
    ],
)
def test_each_change_behind_a_lock_is_found(audit: ModuleType, answer: ProjectPage | None, why: str) -> None:
    [(what, said)] = found(audit, {"flask": answer})
    assert what == "flask 3.1.3"
    assert why in said


def test_a_version_that_was_removed_is_found(audit: ModuleType) -> None:
    [(what, said)] = audit.findings([audit.Pin("flask", "3.1.2", {GOOD})], {"flask": page()}, {})
    assert (what, said) == ("flask 3.1.2", "the index no longer has this version")


def test_a_project_without_releases_needs_a_reason_and_a_reason_needs_such_a_project(audit: ModuleType) -> None:
    pages = {"flask": page(), "old": page("old", uploaded="2024-02-01")}
    assert [what for what, _ in found(audit, pages)] == ["old"]
    assert found(audit, pages, old="done, nothing to release") == []
    unneeded = found(audit, pages, old="done", flask="why not", gone="was here once")
    assert {what: why.split(":")[0] for what, why in unneeded} == {"flask": "is maintained", "gone": "is not locked"}


@pytest.mark.parametrize(
    ("lock", "problem"),
    [("flask==3.1.3\n", "has no hash"), (f"flask>=3.1 \\\n    --hash=sha256:{GOOD}\n", "not locked to one version")],
)
def test_a_lock_that_locks_nothing_is_refused(audit: ModuleType, tmp_path: Path, lock: str, problem: str) -> None:
    (tmp_path / "web.txt").write_text(lock)
    with pytest.raises(audit.UnreadableLock, match=problem):
        audit.read_pins(tmp_path)


def test_our_own_locks_are_read_whole(audit: ModuleType) -> None:
    requirements = SCRIPT.parent.parent / "requirements"
    pins = audit.read_pins(requirements)
    lines = [line for file in requirements.glob("*.txt") for line in file.read_text().splitlines()]
    hashes = {line.split("sha256:")[1][:64] for line in lines if "--hash=sha256:" in line}
    assert hashes == set.union(*(pin.hashes for pin in pins))
    assert {"flask", "apache-airflow", "evidently"} <= {pin.project for pin in pins}
