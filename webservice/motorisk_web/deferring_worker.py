"""Gunicorn's threaded worker, whose threads do not wait for answers that come later.

An app's answer may have a method `when_ready` (see `motorisk_web.later`). Then the thread goes on to the next request,
and the answer is sent by the main thread once it is ready: many quotes that one commit made durable wake one thread
instead of one each, which would all contend for the interpreter.
"""

import select
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi

from motorisk_web.bounded_worker import BoundedWorker

_LATER = object()


@dataclass(slots=True, eq=False)
class Exchange:
    """A request and its answer."""

    request: Any
    connection: Any
    response: Any
    environ: dict[str, Any]
    content: Any
    began: float


class DeferringWorker(BoundedWorker):
    """A worker with exchanges that no thread is busy with."""

    alive: bool

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ready: deque[Exchange] = deque()
        self._is_sending_due = False

    def enqueue_req(self, conn: Any) -> None:
        """Have a thread serve the next request of a connection."""
        self.tpool.submit(self.handle, conn).add_done_callback(partial(self._handled, conn))

    def _handled(self, conn: Any, future: "Future[Any]") -> None:
        if future.cancelled() or future.exception() is not None or future.result() is not _LATER:
            self.method_queue.defer(self.finish_request, conn, future)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Serve a request, or begin to: whether the connection can be used again, or that this is not known yet.

        Gunicorn's own method, in two parts.
        """
        environ: dict[str, Any] = {}
        response: Any = None
        try:
            self.cfg.pre_request(self, req)
            began = time.monotonic()  # gunicorn asks the clock, which people and summer time set back
            response, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg)
            environ["wsgi.multithread"] = True
            self.nr += 1
            if self.alive and self.nr >= self.max_requests:
                self.log.info("Autorestarting worker after current request.")
                self.alive = False
            if not self.alive or not self.cfg.keepalive or len(self.keepalived_conns) >= self.max_keepalived:
                response.force_close()
            content = self.wsgi(environ, response.start_response)
        except BaseException:
            self._end(req, environ, response)
            raise
        exchange = Exchange(req, conn, response, environ, content, began)
        when_ready = getattr(content, "when_ready", None)
        if when_ready is None:
            return self._answer(exchange)
        when_ready(partial(self._become_ready, exchange))
        return _LATER

    def _keepalive_after(self, conn: Any, keepalive: Any) -> Any:
        return keepalive if keepalive is _LATER else super()._keepalive_after(conn, keepalive)

    def _answer(self, exchange: Exchange) -> bool:
        """Send the answer: whether the connection can be used again."""
        response, content = exchange.response, exchange.content
        try:
            try:
                if isinstance(content, exchange.environ["wsgi.file_wrapper"]):
                    response.write_file(content)
                else:
                    for piece in content:
                        response.write(piece)
                response.close()
            finally:
                took = timedelta(seconds=time.monotonic() - exchange.began)
                self.log.access(response, exchange.request, exchange.environ, took)
                if hasattr(content, "close"):
                    content.close()
            return not response.should_close()
        except OSError:
            raise
        except (Exception, SystemExit):
            if response.headers_sent:  # a second answer would corrupt the first
                self.log.exception("Error handling request")
                util.close_graceful(exchange.connection.sock)
                raise StopIteration from None
            raise
        finally:
            self._end(exchange.request, exchange.environ, response)

    def _end(self, request: Any, environ: dict[str, Any], response: Any) -> None:
        try:
            self.cfg.post_request(self, request, environ, response)
        except Exception:
            self.log.exception("Exception in post_request hook")

    # --- answers that come later ----------------------------------------------------------------------------------

    def _become_ready(self, exchange: Exchange) -> None:
        self._ready.append(exchange)
        if not self._is_sending_due:  # else it goes with those before
            self._is_sending_due = True
            self.method_queue.defer(self._send_ready)

    def _send_ready(self) -> None:
        """In the main thread, which must not wait for a client who does not read."""
        self._is_sending_due = False  # first: what becomes ready from now on may be too late for the loop
        while self._ready:
            exchange = self._ready.popleft()
            if _takes_an_answer(exchange.connection.sock):
                self.finish_request(exchange.connection, _done(self._send(exchange)))
            else:
                conn = exchange.connection
                self.tpool.submit(self._send, exchange).add_done_callback(
                    lambda future, conn=conn: self.method_queue.defer(self.finish_request, conn, future)
                )

    def _send(self, exchange: Exchange) -> bool:
        conn = exchange.connection
        try:
            return bool(self._keepalive_after(conn, self._answer(exchange)))
        except StopIteration:
            return False
        except OSError as error:
            self.log.debug("the client is gone: %s", error)
            return False
        except Exception as error:
            self.handle_error(exchange.request, conn.sock, conn.client, error)
            return False


def _takes_an_answer(sock: Any) -> bool:
    """Whether a third of its buffer is free (Linux), which is more than an answer."""
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return any(events & select.POLLOUT for _, events in poll.poll(0))


def _done(result: bool) -> "Future[bool]":
    future: Future[bool] = Future()
    future.set_result(result)
    return future
