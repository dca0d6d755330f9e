"""The Evidently workspace: one small snapshot a night and kind, whatever is run again."""

import json
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motorisk.domain.policy import FEATURES
from motorisk.errors import FolderNotWritable, InvalidData
from motorisk.monitoring.drift import evidently_report
from motorisk.monitoring.measures import Kind
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.workspace import DRAWN_DAYS, Night, Workspace, project_id, snapshot_id
from motorisk.simulation.portfolio import draw_features

NIGHT = date(2026, 3, 31)
Report = Callable[[int], Any]


@pytest.fixture(scope="module")
def report() -> Report:
    """Evidently's report on a month of the simulated world."""
    reference = Reference.of(draw_features(np.random.default_rng([3, 0]), 0, 1500), fixed=0.1)

    def of_month(month: int) -> Any:
        values = draw_features(np.random.default_rng([3, month]), month, 1500)
        columns = {name: reference.column(name, values[name]) for name in FEATURES}
        return evidently_report(columns, reference.columns, dict.fromkeys(FEATURES, 0.05 + month / 100))

    return of_month


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "evidently"))


def _night(as_of: date = NIGHT, rows: int = 1_234_567, drifted: Sequence[str] = ("miles",)) -> Night:
    return Night(Kind.POLICIES, as_of, 7, rows, drifted, ["miles drifts since about 2026-01."])


def _files(workspace: Workspace) -> dict[str, bytes]:
    root = Path(workspace.place)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _content(path: str) -> Any:
    return json.loads(Path(path).read_text())


def test_a_night_that_is_run_again_replaces_its_snapshot(workspace: Workspace, report: Report) -> None:
    first = workspace.keep(_night(), report(12))
    before = _files(workspace)
    again = workspace.keep(_night(rows=1400, drifted=()), report(1))
    assert again == first == workspace.path(Kind.POLICIES, NIGHT)
    assert _files(workspace).keys() == before.keys()
    assert {name for name, content in _files(workspace).items() if content != before[name]} == {
        f"{project_id(Kind.POLICIES)}/snapshots/{snapshot_id(Kind.POLICIES, NIGHT)}.json"
    }
    assert _content(first)["metadata"] == {"as_of": "2026-03-31", "version": "7", "rows": "1,400", "drifted": "nothing"}


def test_a_night_takes_some_kilobytes_and_evidently_reads_it(workspace: Workspace, report: Report) -> None:
    from evidently.core.report import Snapshot

    made = report(12)
    path = workspace.keep(_night(), made)
    assert Path(path).stat().st_size < 60_000 < len(made.dumps())
    kept = Snapshot.load(path)
    values = {metric["metric_name"].partition("(")[0]: metric["value"] for metric in kept.dict()["metrics"]}
    assert values["RowCount"] == 1_234_567, "all rows, and not those that Evidently was handed"
    scores = {metric["config"].get("column"): metric["value"] for metric in kept.dict()["metrics"]}
    told = {metric["config"].get("column"): metric["value"] for metric in made.dict()["metrics"]}
    assert {name: scores[name] for name in FEATURES} == {name: told[name] for name in FEATURES}


def test_lines_go_on_though_thresholds_change(workspace: Workspace, report: Report) -> None:
    """Evidently draws a line for each set of parameters."""
    contents = [_content(workspace.keep(_night(NIGHT + timedelta(days=n)), report(n))) for n in (1, 2)]
    locations = [
        sorted(
            json.dumps(result["metric_value_location"]["metric"]["params"])
            for result in content["metric_results"].values()
        )
        for content in contents
    ]
    assert locations[0] == locations[1]


def test_the_page_is_made_when_somebody_asks(workspace: Workspace, report: Report) -> None:
    workspace.keep(_night(), report(12))
    page = workspace.html(Kind.POLICIES, NIGHT)
    assert page is not None
    assert len(page) > 1_000_000, "complete: it needs no network"
    assert "miles drifts since about 2026-01." in page
    assert "1,234,567 rows against the reference of version 7" in page
    assert workspace.html(Kind.SCORES, NIGHT) is None
    assert workspace.html(Kind.POLICIES, NIGHT + timedelta(days=1)) is None


def test_old_nights_keep_their_figures_and_words_without_the_drawings(workspace: Workspace, report: Report) -> None:
    old, kept = (NIGHT - timedelta(days=DRAWN_DAYS + days) for days in (3, -1))
    paths = {day: workspace.keep(_night(day), report(3)) for day in (old, kept)}
    before = {day: _content(path) for day, path in paths.items()}
    workspace.keep(_night(), report(12))
    assert _content(paths[kept]) == before[kept]
    thin = _content(paths[old])
    assert thin.pop("widgets") == before[old].pop("widgets")[:1]
    assert thin == before[old]
    assert Path(paths[old]).stat().st_size < 12_000
    page = workspace.html(Kind.POLICIES, old)
    assert page is not None
    assert "miles drifts since about" in page


def test_a_forgotten_night_is_gone(workspace: Workspace, report: Report) -> None:
    path = workspace.keep(_night(), report(12))
    workspace.forget(Kind.SCORES, NIGHT)
    assert Path(path).exists()
    workspace.forget(Kind.POLICIES, NIGHT)
    assert not Path(path).exists()


def test_a_workspace_may_be_at_any_address_that_fsspec_knows(report: Report) -> None:
    workspace = Workspace("memory://drift/reports")
    path = workspace.keep(_night(), report(12))
    assert path.startswith("memory://drift/reports/")
    page = Workspace("memory://drift/reports").html(Kind.POLICIES, NIGHT)
    assert page is not None
    assert "miles drifts since about" in page
    workspace.forget(Kind.POLICIES, NIGHT)
    assert workspace.html(Kind.POLICIES, NIGHT) is None


@pytest.mark.fault("corrupted workspace")
def test_a_damaged_file_holds_no_night_up(workspace: Workspace, report: Report) -> None:
    old, first, second = NIGHT - timedelta(days=DRAWN_DAYS), report(0), report(12)
    workspace.keep(_night(old), first)
    whole = _files(workspace)
    described = {name: content for name, content in whole.items() if "snapshots" not in name}
    for damage in (b"", b'{"widgets": [', b"\xff\xfe", b"<html>"):
        for name in whole:
            (Path(workspace.place) / name).write_bytes(damage)
        with pytest.raises(InvalidData, match=r"is damaged .*: running its night again writes it anew"):
            workspace.html(Kind.POLICIES, old)
        new = workspace.keep(_night(), second)
        assert _content(new)["metadata"]["as_of"] == "2026-03-31"
        assert {name: content for name, content in _files(workspace).items() if name in described} == described
    workspace.keep(_night(old), first)
    assert _content(workspace.path(Kind.POLICIES, old))["metadata"]["as_of"] == old.isoformat()


@pytest.mark.fault("folder not writable")
def test_a_workspace_that_is_a_file_is_named(tmp_path: Path, report: Report) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderNotWritable, match=r"file/.*: Not a directory: let user"):
        Workspace(str(tmp_path / "file")).keep(_night(), report(1))
