"""Streams of CSV between Postgres and the process: bounded blocks, each direction in a thread of its own.

While one block is worked on, the next is already being read and the one before written: libpq and Arrow work without
the interpreter's lock. Never more than `BLOCKS_AHEAD` blocks wait in either direction, whatever the table's size.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import Any

from psycopg2 import sql
from sqlalchemy import Connection

from motorisk.warehouse.copying import copy_in, copy_out

BLOCK_BYTES = 4 * 1024 * 1024
BLOCKS_AHEAD = 3
_PATIENCE = 0.2
"""Seconds after which a thread that waits looks whether the other side is still there."""


class _Abandoned(Exception):
    """The other side has gone: stop, nobody wants the rest."""


class _Channel:
    """A bounded queue of blocks that either side can close, with the error that made it close."""

    def __init__(self) -> None:
        self._blocks: Queue[bytes | None] = Queue(BLOCKS_AHEAD)
        self._closed = threading.Event()
        self.error: BaseException | None = None

    def close(self, error: BaseException | None = None) -> None:
        self.error = self.error or error
        self._closed.set()

    def put(self, block: bytes | None) -> None:
        while not self._closed.is_set():
            try:
                return self._blocks.put(block, timeout=_PATIENCE)
            except Full:
                continue
        raise _Abandoned

    def get(self) -> bytes | None:
        while True:
            try:
                return self._blocks.get(timeout=_PATIENCE)
            except Empty:
                if self._closed.is_set():
                    raise _Abandoned from None


class _Rows:
    """What `COPY … TO STDOUT` writes to: gathers whole rows into blocks.

    The server sends a row a message and the driver writes a message at a time, so that a block ends where a row does.
    """

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel
        self._block = bytearray()
        self._abandoned = False

    def write(self, row: bytes) -> int:
        self._block += row
        if len(self._block) >= BLOCK_BYTES:
            self.flush()
        return len(row)

    def flush(self) -> None:
        # The driver cannot leave a copy in the middle: what nobody wants any more is read to its end or its cancelling.
        if self._block and not self._abandoned:
            try:
                self._channel.put(bytes(self._block))
            except _Abandoned:
                self._abandoned = True
        self._block.clear()


class _Source:
    """What `COPY … FROM STDIN` reads from."""

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel
        self._block = b""
        self._position = 0

    def read(self, size: int) -> bytes:
        if self._position >= len(self._block):
            block = self._channel.get()
            if block is None:
                return b""
            self._block, self._position = block, 0
        part = self._block[self._position : self._position + size]
        self._position += len(part)
        return part


def _start(work: Callable[[], object], channel: _Channel, name: str) -> threading.Thread:
    def run() -> None:
        try:
            work()
        except _Abandoned:
            pass
        except BaseException as error:  # told to whoever waits on the other side
            channel.close(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


@contextmanager
def reading(
    connection: Connection, query: str | sql.Composable, parameters: Mapping[str, Any] | None
) -> Iterator[Iterator[bytes]]:
    """Blocks of a query's rows as CSV, read ahead; each ends with a whole row.

    Nothing else may use the connection meanwhile. Left early, what the server has still to say is thrown away.
    """
    channel = _Channel()
    rows: Any = _Rows(channel)

    def work() -> None:
        copy_out(connection, query, parameters, rows)
        rows.flush()
        channel.put(None)

    def blocks() -> Iterator[bytes]:
        while True:
            try:
                block = channel.get()
            except _Abandoned:
                if channel.error is not None:
                    raise channel.error from None
                raise
            if block is None:
                return
            yield block

    driver: Any = connection.connection.driver_connection
    thread = _start(work, channel, "copy out")
    try:
        yield blocks()
    except BaseException:
        if thread.is_alive() and not driver.closed:
            driver.cancel()
        raise
    finally:
        channel.close()
        thread.join()


@contextmanager
def writing(connection: Connection, table: str, columns: Sequence[str]) -> Iterator[Callable[[bytes], None]]:
    """A callable that appends blocks of CSV to a table, written behind; all are written when the block is left.

    Nothing else may use the connection meanwhile. Left by an error, the copy fails as a whole.
    """
    channel = _Channel()
    source: Any = _Source(channel)
    thread = _start(lambda: copy_in(connection, table, columns, source), channel, "copy in")

    def write(block: bytes | None) -> None:
        try:
            channel.put(block)
        except _Abandoned:
            raise channel.error or RuntimeError("the copy ended early") from None

    try:
        yield write
        write(None)
    except BaseException as error:
        channel.close(error)
        raise
    finally:
        thread.join()
    if channel.error is not None:
        raise channel.error
