"""The Evidently workspace: a project for each kind of rows, with a dashboard, and in it a snapshot a night.

A workspace is a folder, or any address that fsspec knows (`s3://…`). A snapshot's name follows from kind and date, so
that a night that is run again replaces its own. What Evidently writes is mostly drawings, some of them twice: they are
kept once and without what a reader would not miss, and nights that are older than `DRAWN_DAYS` keep their figures and
words alone. HTML is made from a snapshot when somebody asks for it.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from motorisk.errors import InvalidData
from motorisk.files import make_folder
from motorisk.monitoring.dashboards import NAMES, dashboard
from motorisk.monitoring.measures import Kind

DRAWN_DAYS = 400
"""Days for which nights keep their drawings: a year, and a month to look back from."""

THINNED_DAYS = 32
"""Each night takes the drawings from those of so many days before: also where there is one a month, or some failed."""

DIGITS = 4
"""Significant digits of what is drawn."""

_log = logging.getLogger(__name__)

_NAMESPACE = UUID("5f0f5ad5-9d6b-4d0a-8f0a-6d2c4f6b7a10")
_NIGHTLY = ("threshold", "per_column_threshold")
"""Parameters that differ from night to night: Evidently would draw a line of its own for each."""


@dataclass(frozen=True, slots=True)
class Night:
    """What a snapshot is of; `rows` are all rows, however few Evidently was handed; `says` are our own verdicts."""

    kind: Kind
    as_of: date
    version: int
    rows: int
    drifted: Sequence[str]
    says: Sequence[str]


def project_id(kind: Kind) -> UUID:
    """The project of a kind, the same in every workspace."""
    return uuid5(_NAMESPACE, kind.value)


def snapshot_id(kind: Kind, as_of: date) -> UUID:
    """The snapshot of a night."""
    return uuid5(project_id(kind), as_of.isoformat())


def page(kind: Kind, as_of: date) -> str:
    """Where Evidently's UI shows a night's report, below its address."""
    return f"/projects/{project_id(kind)}/reports/{snapshot_id(kind, as_of)}"


class Workspace:
    """Evidently's files at a place."""

    def __init__(self, place: str) -> None:
        self.place = place

    @cached_property
    def _where(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        files, root = url_to_fs(self.place)
        return files, root.rstrip("/")

    @cached_property
    def _is_local(self) -> bool:
        from fsspec.implementations.local import LocalFileSystem

        return isinstance(self._where[0], LocalFileSystem)

    def prepare(self) -> None:
        """Write projects and dashboards that are not there or differ."""
        for kind in Kind:
            described = {"id": str(project_id(kind)), "version": "2", **NAMES[kind]}
            for name, content in (("metadata", described), ("dashboard", dashboard(kind, project_id(kind)))):
                path = f"{project_id(kind)}/{name}.json"
                if self._read_or_none(path) != content:
                    self._write(path, content)

    def path(self, kind: Kind, as_of: date) -> str:
        """Where a night's snapshot is, whether it is there or not."""
        return f"{self.place.rstrip('/')}/{_snapshot(kind, as_of)}"

    def keep(self, night: Night, report: Any) -> str:
        """Store a night's report (what `evidently_report` returns), in the place of an earlier one; return its path."""
        self.prepare()
        self._write(_snapshot(night.kind, night.as_of), _slim(_content(night, report)))
        self._thin(night.kind, night.as_of)
        return self.path(night.kind, night.as_of)

    def forget(self, kind: Kind, as_of: date) -> None:
        """Remove a night's snapshot, if there is one."""
        files, root = self._where
        path = f"{root}/{_snapshot(kind, as_of)}"
        if files.exists(path):
            files.rm_file(path)

    def has(self, kind: Kind, as_of: date) -> bool:
        """Whether there is a snapshot of a night."""
        files, root = self._where
        return bool(files.exists(f"{root}/{_snapshot(kind, as_of)}"))

    def html(self, kind: Kind, as_of: date) -> str | None:
        """A night's report as a page of its own; None where there is no snapshot, `InvalidData` for a damaged one."""
        content = self._read(_snapshot(kind, as_of))
        if content is None:
            return None
        # Takes seconds to import.
        from evidently.core.report import Snapshot

        return str(Snapshot.load_dict(content).get_html_str(as_iframe=False))

    def _thin(self, kind: Kind, as_of: date) -> None:
        for days in range(DRAWN_DAYS, DRAWN_DAYS + THINNED_DAYS):
            old = _snapshot(kind, as_of - timedelta(days=days))
            content = self._read_or_none(old)
            if content is not None and len(content["widgets"]) > 1:
                content["widgets"] = content["widgets"][:1]
                self._write(old, content)

    def _read(self, path: str) -> Any:
        files, root = self._where
        try:
            return json.loads(files.cat_file(f"{root}/{path}"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise InvalidData(
                f"{self.place.rstrip('/')}/{path} is damaged ({error}): running its night again writes it anew"
            ) from None

    def _read_or_none(self, path: str) -> Any:
        """The same where a damaged file is none: it is written anew, or too old to hold this night up."""
        try:
            return self._read(path)
        except InvalidData as error:
            _log.warning("%s", error)
            return None

    def _write(self, path: str, content: Any) -> None:
        files, root = self._where
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        if not self._is_local:  # what object stores are sent is there as a whole or not at all
            files.pipe_file(f"{root}/{path}", text.encode())
            return
        file = Path(root) / path
        make_folder(file.parent)
        unfinished = file.with_suffix(f".{os.getpid()}.unfinished")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(file)
        # A running UI hears of files that are written to, not of what a file is renamed to.
        with file.open("a", encoding="utf-8") as end:
            end.write("\n")


def _snapshot(kind: Kind, as_of: date) -> str:
    return f"{project_id(kind)}/snapshots/{snapshot_id(kind, as_of)}.json"


def _content(night: Night, report: Any) -> Any:
    """The snapshot as JSON, with the number of all rows, and our verdicts on top."""
    from evidently.legacy.renderers.html_widgets import text_widget
    from evidently.legacy.utils import NumpyEncoder
    from evidently.metrics import RowCount

    model = report.to_snapshot_model()
    rows = RowCount().to_calculation()
    model.metric_results[rows.id] = rows.result(night.rows)
    model.top_level_metrics.append(rows.id)
    model.timestamp = datetime.combine(night.as_of, time())
    drifted = ", ".join(night.drifted) or "nothing"
    model.name = f"{night.as_of}: drifted: {drifted}"
    model.tags = [night.kind.value, "drifted" if night.drifted else "steady"]
    model.metadata = {
        "as_of": night.as_of.isoformat(),
        "version": str(night.version),
        "rows": f"{night.rows:,}",
        "drifted": drifted,
    }
    words = f"{night.rows:,} rows against the reference of version {night.version}, as of {night.as_of}."
    model.widgets = [text_widget(text="\n\n".join([words, *night.says])), *model.widgets]
    return json.loads(json.dumps(model.dict(), cls=NumpyEncoder))


def _slim(content: Any) -> Any:
    """Without what is drawn twice and what the UI has anyway."""
    for result in content["metric_results"].values():
        result["widget"] = None
        for part in (result, result.get("count"), result.get("share")):
            location = part and part.get("metric_value_location")
            if location:
                for name in _NIGHTLY:
                    location["metric"]["params"].pop(name, None)
    content["widgets"] = [_drawn(widget) for widget in content["widgets"]]
    return content


def _drawn(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {name: _drawn(part) for name, part in value.items() if name != "template"}
    if isinstance(value, list):
        return [_drawn(part) for part in value]
    return value
