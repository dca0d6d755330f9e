"""Gunicorn's log: its own lines as the service's, and a line a request that holds no request up."""

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import orjson
from gunicorn.config import Config
from gunicorn.glogging import Logger

from motorisk.settings import settings
from motorisk_web.access import client_of
from motorisk_web.log_lines import JsonLines, TextLines, instant, is_json
from motorisk_web.metrics import route_of
from motorisk_web.request_ids import request_id_of

WRITE_SECONDS = 0.2
MAX_LINES = 20_000
"""Lines that wait for a reader who is behind; those that come then are dropped, rather than requests held up."""
ATOMIC_BYTES = 4096
"""What a pipe takes in one piece, so that the workers' lines do not get into each other (PIPE_BUF of Linux)."""
EXIT_SECONDS = 2.0

_REFUSED = "Invalid request from ip="
_FAILED = "Error handling request"


class LineBuffer:
    """Lines for a descriptor, written by a thread of their own every 0.2 s; a killed process loses so many."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._starting = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, line: bytes) -> None:
        """Take a line, which ends in a line break."""
        if len(self._lines) >= MAX_LINES:
            self._dropped += 1
            return
        self._lines.append(line)
        if self._thread is None:
            self._start()

    def close(self) -> None:
        """Write what waits; gives up after two seconds."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(EXIT_SECONDS)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:  # not before a line is there: threads do not survive gunicorn's fork
                self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(WRITE_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        waiting, piece = self._lines, b""
        while waiting:
            line = waiting.popleft()
            if piece and len(piece) + len(line) > ATOMIC_BYTES:
                self._put(piece)
                piece = b""
            piece += line
        if piece:
            self._put(piece)
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            logging.getLogger(__name__).warning("%d access lines were dropped: nobody reads fast enough", dropped)

    def _put(self, piece: bytes) -> None:
        try:
            while piece:
                piece = piece[os.write(self._descriptor, piece) :]
        except OSError:  # whoever read the lines is gone
            self._dropped += piece.count(b"\n")


class ServerLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """What gunicorn logs with; the service's own loggers use its handlers."""

    def __init__(self, cfg: Config) -> None:
        self._is_json = is_json(settings())
        self._access_lines = LineBuffer(sys.__stdout__.fileno() if sys.__stdout__ else 1)
        super().__init__(cfg)

    def setup(self, cfg: Config) -> None:
        """Give every handler the service's formatter, and every other library's lines a handler."""
        super().setup(cfg)
        formatter = JsonLines() if self._is_json else TextLines()
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter)
        root = logging.getLogger()
        root.handlers = list(self.error_log.handlers)
        root.setLevel(logging.WARNING)
        logging.captureWarnings(True)
        for name in ("motorisk", "motorisk_web"):
            logging.getLogger(name).setLevel(logging.INFO)
        threading.excepthook = self._thread_ended

    def _thread_ended(self, arguments: Any) -> None:
        exc_info = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
        self.error_log.error("a thread ended in an error", exc_info=exc_info)

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Keep to oneself what of a refused request gunicorn would repeat."""
        if isinstance(msg, str) and msg.startswith(_REFUSED):
            msg = msg.partition(": ")[0]
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Keep the address of a request that failed to oneself."""
        if isinstance(sys.exception(), TimeoutError | BlockingIOError):
            self.info("a client took too long to send its request or to take its answer")
            return
        if isinstance(msg, str) and msg.startswith(_FAILED):
            msg, args = _FAILED, ()
        super().exception(msg, *args, **kwargs)

    def access(self, resp: Any, req: Any, environ: MutableMapping[str, Any], request_time: timedelta) -> None:
        """A line a request: nothing that the client wrote but the request's id, of a form of ours."""
        if not self.access_log_enabled:
            return
        method, status = environ.get("REQUEST_METHOD", ""), int(str(resp.status)[:3])
        route = route_of(environ)
        line = {
            "time": instant(time.time()),
            "level": "info",
            "logger": "motorisk.access",
            "message": f"{method} {route} {status}",
            "pid": os.getpid(),
            "request_id": request_id_of(environ),
            "method": method,
            "route": route,
            "status": status,
            "milliseconds": round(request_time.total_seconds() * 1000, 1),
            "client": client_of(environ),
            "remote": environ.get("REMOTE_ADDR"),
        }
        if self._is_json:
            self._access_lines.add(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            return
        text = "{time} [{pid}] {message} {milliseconds} ms {client} {remote} {request_id}\n".format(**line)
        self._access_lines.add(text.encode())

    def close(self) -> None:
        """Write the lines that wait."""
        self._access_lines.close()
