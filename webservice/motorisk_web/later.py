"""Answers that wait for something, without a thread that waits for it.

A quote may be told only once it is on a disk. The view returns a `LaterAnswer` before; a server that knows such answers
(`motorisk_web.deferring_worker`) lets the thread go and comes back when they are ready, every other WSGI server waits
for the first piece of content: the standard lets an application say status and headers as late as that.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from flask import Flask, Response, current_app

from motorisk_web.answers import JsonAnswer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Settling(Protocol):
    """What is waited for."""

    def when_settled(self, callback: Callable[[], None], /) -> None:
        """Have a function called once, when it is there."""
        ...


class LaterAnswer(Response):
    """What `answer` returns or raises, which waits for `settling`."""

    carries_security_headers = True

    def __init__(self, settling: Settling, answer: Callable[[], JsonAnswer]) -> None:
        self._settling = settling
        self._answer = answer
        self._app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        self._count: Callable[[int], None] = lambda status: None
        super().__init__()

    def count_with(self, count: Callable[[int], None]) -> None:
        """Call a function with the status, once it is known."""
        self._count = count

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "LaterContent":
        """The content, which says status and headers before its first piece."""
        return LaterContent(self._settling, lambda: self._pieces(environ, start_response))

    def _pieces(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterator[bytes]:
        try:
            answer: Response = self._answer()
        except Exception as error:  # told and counted as any request's
            with self._app.request_context(environ):
                answer = self._app.process_response(self._app.make_response(self._app.handle_user_exception(error)))
        else:
            self._count(answer.status_code)
        content, status, headers = answer.get_wsgi_response(environ)
        start_response(status, headers)
        yield from content


class LaterContent:
    """The pieces of an answer."""

    def __init__(self, settling: Settling, pieces: Callable[[], Iterator[bytes]]) -> None:
        self.when_ready = settling.when_settled
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        """Waits, unless it was ready."""
        return self._pieces()

    def close(self) -> Any:
        """Nothing is open."""
