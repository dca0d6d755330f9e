"""The import of policies and outcomes: one transaction a file, bad rows into quarantine."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from motorisk.pipelines.importing.loading import create_staging, merge, stage
from motorisk.pipelines.importing.reading import open_lines
from motorisk.pipelines.importing.splitting import RowReader
from motorisk.pipelines.importing.validation import check
from motorisk.pipelines.importing.wording import storable

Progress = Callable[[int], object]
"""Gets the number of a file's bytes (packed ones, if it is packed) read since the last call."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of one file.

    `rows` = new policies + `unchanged` + `quarantined` + rows that only added an outcome; `outcomes` counts those and
    the outcomes that came with new policies.
    """

    source: str
    source_digest: str
    rows: int
    policies: int
    outcomes: int
    unchanged: int
    quarantined: int
    ignored_columns: tuple[str, ...]
    seconds: float


def import_file(engine: Engine, path: Path, progress: Progress | None = None) -> ImportResult:
    """Load a file in one transaction; importing it again changes nothing.

    `ImportRefused`, with nothing loaded, where the file as a whole cannot be read or lacks required columns.
    """
    started = time.perf_counter()
    name = storable(path.name)
    rows = 0
    with open_lines(path, progress) as lines:
        reader = RowReader(lines)
        with engine.begin() as connection:
            create_staging(connection)
            for batch in reader.batches():
                rows += batch.rows
                stage(connection, check(batch))
            merged = merge(connection, name, lines.digest)
    return ImportResult(
        source=name,
        source_digest=lines.digest,
        rows=rows,
        policies=merged.policies,
        outcomes=merged.outcomes,
        unchanged=merged.unchanged,
        quarantined=merged.quarantined,
        ignored_columns=reader.header.ignored,
        seconds=time.perf_counter() - started,
    )


def import_files(engine: Engine, paths: Iterable[Path], progress: Progress | None = None) -> list[ImportResult]:
    """Load files one after the other; where one is refused, those before it stay loaded."""
    return [import_file(engine, path, progress) for path in paths]
