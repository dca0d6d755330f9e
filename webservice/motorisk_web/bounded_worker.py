"""Gunicorn's threaded worker, with a bound on how long a client may take to send a request.

Gunicorn bounds neither the time for the head of a request nor that for its body: as many clients as there are threads,
each sending a byte now and then, would stop the service.
"""

import socket
import time
from typing import Any, Self

from gunicorn.workers.gthread import _DEFER, ThreadWorker

REQUEST_SECONDS = 10.0
"""From the first byte of a request to its last. A single wait in it is bounded by the listening socket's options."""


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
