"""Split an import file's lines into rows and fields, knowing each row's line and wording.

Only lines, quoting and encoding are judged here; what the fields mean is judged in `validation`. A block of lines
without quotes is split by Arrow as a whole, every other block row by row.
"""

import codecs
import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from motorisk.errors import ImportRefused
from motorisk.pipelines.importing.header import Header, parse_header
from motorisk.pipelines.importing.reading import LineReader
from motorisk.pipelines.importing.wording import shown, storable

BATCH_ROWS = 20_000
BATCH_CHARACTERS = 8_000_000
ROW_BYTES = 1 << 20
"""A longer row is no policy; the limit bounds what is held in memory."""
_LINE_ENDS = "\r\n"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that breaks the contract: the physical line on which it starts, its wording, and why."""

    line: int
    text: str
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as parallel columns of text, and rows that could not be split."""

    lines: npt.NDArray[np.int64]
    texts: pa.StringArray
    columns: dict[str, pa.StringArray]
    """Those of the contract that the file has."""
    refusals: list[Refusal]

    @property
    def rows(self) -> int:
        """The number of rows, with those that could not be split."""
        return len(self.lines) + len(self.refusals)


def _is_clean(text: str) -> bool:
    """Whether the text was UTF-8 in the file and has no NUL."""
    return "\0" not in text and (text.isascii() or storable(text) == text)


class RowReader:
    """The header and the rows of an import file; `ImportRefused` where the file as a whole cannot be read."""

    def __init__(self, reader: LineReader) -> None:
        self._reader = reader
        self._path = reader.path
        # Physical lines that wait to be split one by one, and those of the row that is being split.
        self._pending = deque(reader.read_lines().removeprefix(codecs.BOM_UTF8).splitlines(keepends=True))
        self._row: list[bytes] = []
        self._row_bytes = 0
        self._row_line = 1
        self._delimiter = self._find_delimiter()
        self.header = self._read_header()

    def batches(self) -> Iterator[Batch]:
        """The rows in the file's order; blank lines are left out."""
        block = b"".join(self._pending) or self._reader.read_lines()
        self._pending.clear()
        while block or self._pending:
            batch = self._split_at_once(block) if block else None
            if batch is None:
                self._pending.extend(block.splitlines(keepends=True))
                batch = self._split_one_by_one()
            yield batch
            block = b"" if self._pending else self._reader.read_lines()

    def _find_delimiter(self) -> str:
        for line in self._lines():
            if line.strip():
                self._give_back(keep=0)
                return ";" if line.count(";") > line.count(",") else ","
        raise ImportRefused(f"{self._path}: the file is empty")

    def _read_header(self) -> Header:
        _, text, fields, problem = next(self._rows())
        if problem is not None:
            raise ImportRefused(f"{self._path}: the header {problem}")
        if not _is_clean(text):
            raise ImportRefused(f"{self._path}: the header is not UTF-8 text")
        return parse_header(fields, str(self._path))

    def _split_at_once(self, block: bytes) -> Batch | None:
        """The rows of plain lines; None where there are quotes, blank lines or anything wrong."""
        if b'"' in block or b"\0" in block or block.count(b"\r") != block.count(b"\r\n"):
            return None
        if block.startswith(codecs.BOM_UTF8):  # Arrow would drop it, here in the midst of the file
            return None
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
        offsets = np.concatenate([[0], ends, [] if block.endswith(b"\n") else [len(block)]]).astype(np.int32)
        count = len(offsets) - 1
        if np.diff(offsets).min() <= len(_LINE_ENDS):
            return None
        try:
            block.decode()
            table = pyarrow.csv.read_csv(
                pa.BufferReader(block),
                pyarrow.csv.ReadOptions(column_names=self.header.names, block_size=len(block) + 1),
                pyarrow.csv.ParseOptions(delimiter=self._delimiter, quote_char=False),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(self.header.names, pa.string()),
                    include_columns=list(self.header.positions),
                    strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
        except (UnicodeDecodeError, pa.ArrowInvalid):
            return None
        if table.num_rows != count:
            return None
        first, self._row_line = self._row_line, self._row_line + count
        texts = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(block))
        return Batch(
            lines=np.arange(first, first + count),
            texts=pyarrow.compute.utf8_rtrim(texts, _LINE_ENDS),
            columns={name: table[name].combine_chunks() for name in self.header.positions},
            refusals=[],
        )

    def _split_one_by_one(self) -> Batch:
        lines: list[int] = []
        texts: list[str] = []
        rows: list[list[str]] = []
        refusals: list[Refusal] = []
        characters = 0
        for line, text, fields, problem in self._rows():
            reasons = self._malformations(fields) if problem is None else [f"row: {problem}"]
            if reasons:
                refusals.append(Refusal(line, text, reasons))
            else:
                lines.append(line)
                texts.append(text)
                rows.append(fields)
            characters += len(text)
            if len(lines) + len(refusals) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
                break
        by_position = list(zip(*rows, strict=True)) or [()] * len(self.header.names)
        return Batch(
            lines=np.array(lines, np.int64),
            texts=pa.array(texts, pa.string()),
            columns={name: pa.array(by_position[i], pa.string()) for name, i in self.header.positions.items()},
            refusals=refusals,
        )

    def _malformations(self, fields: list[str]) -> list[str]:
        names = self.header.names
        if len(fields) != len(names):
            return [f"row: must have {len(names)} fields, got {len(fields)}"]
        if _is_clean("".join(fields)):
            return []
        return [
            f"{name}: must be UTF-8 text without NUL bytes, got {shown(value)}"
            for name, value in zip(names, fields, strict=True)
            if not _is_clean(value)
        ]

    def _rows(self) -> Iterator[tuple[int, str, list[str], str | None]]:
        """Line, wording, fields and what is wrong with the quotes of each pending row that is not blank."""
        while True:
            # Strict: a quote that is never closed must not swallow the rows below it.
            reader = csv.reader(self._lines(), delimiter=self._delimiter, skipinitialspace=True, strict=True)
            try:
                for fields in reader:
                    line, text = self._take_row()
                    if len(fields) > 1 or text.strip():
                        yield line, text, fields, None
                return
            except csv.Error as error:
                problem = f"cannot be split into fields: {error}"
            self._give_back(keep=1)  # the lines below may be blameless
            yield *self._take_row(), [], problem

    def _lines(self) -> Iterator[str]:
        """The pending lines; further ones only while a row goes on."""
        while True:
            if self._row and not self._pending:
                self._pending.extend(self._reader.read_lines().splitlines(keepends=True))
            if not self._pending:
                return
            line = self._pending.popleft()
            self._row.append(line)
            self._row_bytes += len(line)
            if self._row_bytes > ROW_BYTES:
                raise ImportRefused(f"{self._path}: the row on line {self._row_line} has more than {ROW_BYTES:,} bytes")
            yield line.decode("utf-8", "surrogateescape")

    def _take_row(self) -> tuple[int, str]:
        line, text = self._row_line, b"".join(self._row).decode("utf-8", "surrogateescape").rstrip(_LINE_ENDS)
        self._row_line += len(self._row)
        self._row.clear()
        self._row_bytes = 0
        return line, text

    def _give_back(self, *, keep: int) -> None:
        """Make the row's lines pending again, but for the first `keep`."""
        self._pending.extendleft(reversed(self._row[keep:]))
        del self._row[keep:]
        self._row_bytes = sum(map(len, self._row))
