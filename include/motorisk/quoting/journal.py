"""The journal: quotes that were answered while Postgres was away, in append-only files of this machine.

One file a process, under `MOTORISK_HOME/journal/`. A record is its payload's length and CRC-32 (little-endian, 32
bits each), then the payload. Answers wait for `fdatasync`, so that what a crash leaves unfinished at a file's end was
never answered: readers stop there. The writer holds a lock on its file (`flock`); who gets the lock of a file
that nobody writes any more may carry it into the ledger and remove it.
"""

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

SUFFIX = ".journal"
MAGIC = b"motorisk journal 1\n"
MAX_PAYLOAD_BYTES = 1 << 20
MAX_FILE_BYTES = 64 << 20
"""Then a new file is begun, so that what is in the ledger again does not stay on the disk."""

_HEADER = struct.Struct("<II")
_READ_BYTES = 1 << 20


def journal_files(folder: Path) -> list[Path]:
    """The journal's files, the oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def _frame(payload: bytes) -> bytes:
    return _HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a disk that is nearly full takes a part first
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Make the names of new files and the absence of removed ones survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class JournalWriter:
    """One process's journal file, made when it is first needed. Not safe for threads: one of them writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self._size = 0

    def append(self, payloads: Iterable[bytes]) -> None:
        """Write payloads, in order, and return when they are on the disk; `OSError` where it does not take them.

        Then none of them counts: the file is cut back and left to whoever carries it into the ledger.
        """
        data = b"".join(map(_frame, payloads))
        if self._descriptor is None or self._size >= MAX_FILE_BYTES:
            self.close()
            self._open()
        descriptor = self._descriptor
        assert descriptor is not None  # noqa: S101  `_open` has set it
        try:
            _write(descriptor, data)
            os.fdatasync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, self._size)
            self.close()  # after a failed sync nobody knows what the disk has of it
            raise
        self._size += len(data)

    def close(self) -> None:
        """Leave the file to whoever carries it into the ledger; the next append begins another."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{time.time_ns():020d}-{os.getpid()}{SUFFIX}"
        unborn = path.with_suffix(".new")
        descriptor = os.open(unborn, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _write(descriptor, MAGIC)
            os.fsync(descriptor)
            unborn.rename(path)  # only now can anybody take it for a finished one
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            unborn.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise
        self._descriptor, self._size = descriptor, len(MAGIC)


class JournalReader:
    """Reads a file's complete records from an offset on; goes on later with what was appended meanwhile."""

    def __init__(self, file: BinaryIO, offset: int = 0) -> None:
        self._file = file
        self.offset = offset
        """Just behind the last complete record."""

    def records(self) -> Iterator[bytes]:
        """Payloads up to the file's end, or up to the first record that is not as it was written."""
        if self.offset == 0:
            self._file.seek(0)
            if self._file.read(len(MAGIC)) != MAGIC:
                return
            self.offset = len(MAGIC)
        self._file.seek(self.offset)
        while len(header := self._file.read(_HEADER.size)) == _HEADER.size:
            length, checksum = _HEADER.unpack(header)
            if not 0 < length <= MAX_PAYLOAD_BYTES:
                return
            payload = self._file.read(length)
            if len(payload) < length or zlib.crc32(payload) != checksum:
                return
            self.offset += _HEADER.size + length
            yield payload

    def rest(self) -> bytes:
        """What lies behind the last complete record: empty unless a crash tore the end, or the disk forgot."""
        self._file.seek(self.offset)
        return self._file.read()


def records_that_begin(file: BinaryIO, beginning: bytes) -> Iterator[bytes]:
    """Complete records whose payload begins so.

    Searched as plain bytes, in blocks, so that nobody waits long for the interpreter behind a large file: some other
    record may hold these bytes too, hence its length and checksum have to fit.
    """
    position, tail = 0, b""
    while block := file.read(_READ_BYTES):
        text = tail + block
        found = text.find(beginning)
        while found >= 0:
            begin = position - len(tail) + found - _HEADER.size
            if begin >= len(MAGIC):
                yield from islice(JournalReader(file, begin).records(), 1)
                file.seek(position + len(block))
            found = text.find(beginning, found + 1)
        position += len(block)
        tail = text[-(len(beginning) - 1) :]


@contextmanager
def claimed(path: Path) -> Iterator[BinaryIO | None]:
    """A journal file, locked for carrying it into the ledger; None where somebody writes or carries it, or did."""
    try:
        file = path.open("rb", buffering=_READ_BYTES)
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_there = path.stat().st_ino == os.fstat(file.fileno()).st_ino
        except (BlockingIOError, FileNotFoundError):
            is_there = False
        yield file if is_there else None


def keep_aside(path: Path, ending: str, content: bytes) -> Path:
    """Keep what could not be carried into the ledger beside a journal file, durably, for people to look at."""
    aside = path.with_suffix(ending)
    with aside.open("ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return aside


def remove(path: Path) -> None:
    """Remove a file whose records are all in the ledger."""
    path.unlink()
    sync_folder(path.parent)
