"""Retention: old scores leave the database for Parquet files, a date at a time.

A date's file is written under another name, read back and compared with the table value by value, and only then gets
its name; its table is detached and dropped, and `score_run` told where the scores are now, in one transaction after
that. Killed at any moment and started again, it goes on: a file that is there is compared again and not written twice.
"""

import contextlib
import itertools
import os
from collections.abc import Generator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from psycopg2 import sql
from sqlalchemy import Connection, Engine, func, select, text, update

from motorisk.errors import ArchiveRefuted
from motorisk.files import make_folder
from motorisk.pipelines.scoring.renewals import earliest_before, partition_name
from motorisk.warehouse.locks import exclusively, lock_tables
from motorisk.warehouse.streaming import reading
from motorisk.warehouse.tables import score_plan, score_run

GROUP_ROWS = 131_072
"""Rows of a row group: what is compared, and held in memory, at a time."""

_MONEY = pa.decimal128(12, 2)
SCHEMA = pa.schema(
    {
        "as_of": pa.date32(), "policy_id": pa.string(), "version": pa.int32(), "tariff": pa.string(),
        "predictor": pa.string(), "risk_class": pa.string(), "expected_risk": pa.float64(), "p_low": pa.int32(),
        "p_medium": pa.int32(), "p_high": pa.int32(), "net": _MONEY, "insurance_tax": _MONEY, "gross": _MONEY,
        "net_before": _MONEY, "class_before": pa.string(), "capped": pa.bool_(),
    }
)  # fmt: skip
"""The columns of `motorisk.score`."""


@dataclass(frozen=True, slots=True)
class OldScores:
    """A date whose scores are older than what is kept; `kept_for` says why it stays nevertheless."""

    as_of: date
    run_id: int
    rows: int
    size: int
    kept_for: str | None


@dataclass(frozen=True, slots=True)
class Archived:
    """A date whose scores left the database for a file; `size` are the file's bytes."""

    as_of: date
    rows: int
    file: Path
    size: int


def old_scores(engine: Engine, before: date) -> list[OldScores]:
    """Dates before a day whose scores are in the database, the oldest first, with what keeps some of them there.

    What is needed stays: the newest published date, the one before it (summaries compare with it), dates that are
    being scored or compared with, and what renewals of the newest date or later compare with, a year before.
    """
    with engine.connect() as connection:
        published = connection.execute(
            select(score_run.c.as_of, score_run.c.run_id, score_run.c.rows)
            .where(score_run.c.archive.is_(None))
            .order_by(score_run.c.as_of)
        ).all()
        working = {day for row in connection.execute(select(score_plan.c.as_of, score_plan.c.before)) for day in row}
        newest = [row.as_of for row in published[-2:]]

        def reason(day: date) -> str | None:
            if day in newest:
                return "one of the two newest"
            if day in working:
                return "a run under way needs it"
            if day >= earliest_before(newest[-1]):
                return "renewals compare with it"
            return None

        return [
            OldScores(row.as_of, row.run_id, row.rows, _table_bytes(connection, row.as_of), reason(row.as_of))
            for row in published
            if row.as_of < before
        ]


def _table_bytes(connection: Connection, as_of: date) -> int:
    size = text("SELECT pg_total_relation_size(to_regclass(:name))")
    return connection.scalar(size, {"name": f"motorisk.{partition_name(as_of)}"}) or 0


def archive_scores(engine: Engine, as_of: date, folder: Path) -> Archived | None:
    """Move a date's scores into a Parquet file below `folder`; None where they are not in the database any more.

    Raises `ArchiveRefuted` where the file is not what the table holds or the date was scored anew meanwhile, and
    `DatabaseUnavailable` where the connection is lost or somebody reads the scores for too long: the scores stay.
    """
    make_folder(folder)
    with exclusively(engine, "score archive", as_of.toordinal()):
        with engine.connect() as connection:
            there = (score_run.c.as_of == as_of) & score_run.c.archive.is_(None)
            run = connection.execute(select(score_run.c.run_id, score_run.c.rows).where(there)).one_or_none()
            if run is None:
                return None
            file = folder / f"scores_{as_of}_run{run.run_id}.parquet"
            written = file if file.exists() else file.with_suffix(".unfinished")
            if written != file:
                _write(connection, as_of, written)
            _compare(connection, as_of, written, run.rows)
        if written != file:
            _rename(written, file)
        _drop(engine, as_of, run.run_id, file)
    return Archived(as_of, run.rows, file, file.stat().st_size)


def _batches(connection: Connection, as_of: date) -> Generator[pa.RecordBatch]:
    """A date's scores in the order of their policies, in row groups."""
    query = sql.SQL("SELECT {} FROM motorisk.{} ORDER BY policy_id").format(
        sql.SQL(", ").join(map(sql.Identifier, SCHEMA.names)), sql.Identifier(partition_name(as_of))
    )
    options = pa.csv.ConvertOptions(
        column_types=SCHEMA,
        true_values=["t"],
        false_values=["f"],
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    waiting: list[pa.Table] = []
    with reading(connection, query, None) as blocks:
        for block in blocks:
            waiting.append(
                pa.csv.read_csv(
                    pa.BufferReader(block),
                    pa.csv.ReadOptions(column_names=SCHEMA.names, block_size=len(block), use_threads=False),
                    pa.csv.ParseOptions(newlines_in_values=True),
                    options,
                )
            )
            table = pa.concat_tables(waiting)
            whole = table.num_rows // GROUP_ROWS * GROUP_ROWS
            yield from table.slice(0, whole).combine_chunks().to_batches(GROUP_ROWS)
            waiting = [table.slice(whole)]
        yield from pa.concat_tables([*waiting, SCHEMA.empty_table()]).combine_chunks().to_batches(GROUP_ROWS)


def _write(connection: Connection, as_of: date, file: Path) -> None:
    with file.open("wb") as opened:
        with pq.ParquetWriter(opened, SCHEMA, compression="zstd") as writer:
            for batch in _batches(connection, as_of):
                writer.write_batch(batch, row_group_size=GROUP_ROWS)
        opened.flush()
        os.fsync(opened.fileno())


def _compare(connection: Connection, as_of: date, file: Path, rows: int) -> None:
    """Read a file back and compare every value with the table."""
    refuted = f"{file} is not what is published as of {as_of}"
    try:
        with pq.ParquetFile(file) as opened, contextlib.closing(_batches(connection, as_of)) as published:
            if opened.schema_arrow != SCHEMA or opened.metadata.num_rows != rows:
                raise ArchiveRefuted(
                    f"{refuted}: {opened.metadata.num_rows} rows of {rows}, or other columns. The scores stay; "
                    "move the file away and run again"
                )
            stored = opened.iter_batches(GROUP_ROWS)
            for ours, table in itertools.zip_longest(stored, published):
                if ours is None or table is None or not ours.equals(table):
                    raise ArchiveRefuted(f"{refuted}. The scores stay; move the file away and run again")
    except pa.ArrowInvalid as error:
        raise ArchiveRefuted(f"{file} cannot be read back ({error}): the scores stay; move it away") from error


def _rename(unfinished: Path, file: Path) -> None:
    unfinished.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _drop(engine: Engine, as_of: date, run_id: int, file: Path) -> None:
    """Detach and drop a date's table, and tell where its scores are, all at once."""
    name = partition_name(as_of)
    with engine.begin() as connection:
        now = connection.scalar(select(score_run.c.run_id).where(score_run.c.as_of == as_of).with_for_update())
        if now != run_id:
            raise ArchiveRefuted(f"{as_of} was scored anew while {file} was written: its new scores stay")
        lock_tables(connection, "score", name)
        connection.execute(text(f"ALTER TABLE motorisk.score DETACH PARTITION motorisk.{name}"))
        connection.execute(text(f"DROP TABLE motorisk.{name}"))
        connection.execute(
            update(score_run)
            .where(score_run.c.as_of == as_of)
            .values(archive=file.name, archived_at=func.clock_timestamp())
        )
