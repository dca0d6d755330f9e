"""Gunicorn's threaded worker, with a bound on how long a client may take to send a request.

Gunicorn bounds neither the time for the head of a request nor that for its body: as many clients as there are threads,
each sending a byte now and then, would stop the service.
"""

import json
import socket
import time
from typing import Any, Self

from gunicorn import util
from gunicorn.workers.gthread import _DEFER, ThreadWorker

from motorisk_web.security import DEFAULT_HEADERS

REQUEST_SECONDS = 10.0
"""From the first byte of a request to its last. A single wait in it is bounded by the listening socket's options."""


def _write_problem(connection: socket.socket, status: int, reason: str, message: str) -> None:
    """Refuse what does not get as far as the app the way the app does; `message` would repeat what the client sent."""
    members = {"type": "about:blank", "title": reason, "status": status, "detail": "this is no request that we answer"}
    content = json.dumps(members)
    headers = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(content)),
        **DEFAULT_HEADERS,
    }
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items()), "", content]
    util.write_nonblock(connection, "\r\n".join(lines).encode())


util.write_error = _write_problem  # gunicorn has a page of HTML and no other way to replace it


class BoundedSocket(socket.socket):
    """A connection that raises `TimeoutError` once its present request has taken too long to arrive."""

    deadline = float("inf")

    @classmethod
    def instead_of(cls, connection: socket.socket) -> Self:
        """The same connection; the other object is closed."""
        return cls(fileno=connection.detach())

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """The next bytes."""
        if time.monotonic() > self.deadline:
            raise TimeoutError
        try:
            return super().recv(bufsize, flags)
        except BlockingIOError:  # the socket's own bound (SO_RCVTIMEO)
            raise TimeoutError from None


class BoundedWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves requests on threads, and none for somebody who has not begun to send one."""

    def handle(self, conn: Any) -> Any:
        """Serve one request of a connection."""
        if not conn.initialized:
            # Gunicorn would keep the thread for five seconds; its poller wakes us as well.
            if not conn.wait_for_data(0):
                return _DEFER
            conn.sock = BoundedSocket.instead_of(conn.sock)
        conn.sock.deadline = time.monotonic() + REQUEST_SECONDS
        return super().handle(conn)
