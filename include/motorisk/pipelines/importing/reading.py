"""Read an import file, plain or packed, as blocks of whole lines; it is never held in memory.

The digest of the file's bytes is taken on the way.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from motorisk.errors import ImportRefused

BLOCK_BYTES = 1 << 21
LINE_BYTES = 1 << 20
"""A longer line is no policy; the limit bounds what is held in memory."""
_GZIP_MAGIC = b"\x1f\x8b"


class _DigestingFile(io.RawIOBase):
    """Passes a file's bytes on, taking their SHA-256 and reporting their number."""

    def __init__(self, file: io.RawIOBase, report: Callable[[int], object] | None) -> None:
        self._file = file
        self._report = report
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        size = self._file.readinto(buffer) or 0
        self.sha256.update(memoryview(buffer)[:size])
        if self._report is not None:
            self._report(size)
        return size


class LineReader:
    """Hands out an open file's content block by block."""

    def __init__(self, path: Path, file: _DigestingFile, content: io.BufferedIOBase) -> None:
        self.path = path
        self._file = file
        self._content = content
        self._rest = b""

    @property
    def digest(self) -> str:
        """SHA-256 of the file's bytes in hexadecimal; complete once everything is read."""
        return self._file.sha256.hexdigest()

    def read_lines(self) -> bytes:
        """The next whole lines, about two megabytes of them; nothing at the file's end.

        `ImportRefused` where the file turns out to be damaged or has no lines.
        """
        while data := self._read():
            end = data.rfind(b"\n") + 1
            lines, self._rest = (self._rest + data[:end], data[end:]) if end else (b"", self._rest + data)
            if len(self._rest) > LINE_BYTES:
                raise ImportRefused(f"{self.path}: a line has more than {LINE_BYTES:,} bytes; this is no CSV file")
            if lines:
                return lines
        lines, self._rest = self._rest, b""
        return lines

    def _read(self) -> bytes:
        try:
            return self._content.read(BLOCK_BYTES)
        except EOFError:
            raise ImportRefused(f"{self.path}: the gzip file is truncated; nothing was imported") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise ImportRefused(f"{self.path}: the gzip file is corrupt ({error}); nothing was imported") from None
        except OSError as error:
            raise _unreadable(self.path, error) from None


def _unreadable(path: Path, error: OSError) -> ImportRefused:
    return ImportRefused(f"{path}: cannot be read: {error.strerror or error}")


@contextmanager
def open_lines(path: Path, report: Callable[[int], object] | None = None) -> Iterator[LineReader]:
    """Open a file, plain or gzip (by its name or its first bytes).

    `report` gets the number of bytes of each read from it. `ImportRefused` where it cannot be opened.
    """
    with ExitStack() as stack:
        try:
            file = _DigestingFile(stack.enter_context(path.open("rb", buffering=0)), report)
            content = stack.enter_context(io.BufferedReader(file, BLOCK_BYTES))
            packed = path.suffix.lower() == ".gz" or content.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
        except OSError as error:
            raise _unreadable(path, error) from None
        yield LineReader(path, file, stack.enter_context(gzip.GzipFile(fileobj=content)) if packed else content)
