"""Headers that every answer carries."""

from collections.abc import MutableMapping
from typing import Any

from flask import Flask, Response, request

# An API's answers load nothing; the pages for people set their own policy.
DEFAULT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
_TLS_ONLY = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")

_ADDED = "motorisk.headers"


def add_header(environ: MutableMapping[str, Any], name: str, value: str) -> None:
    """Send a header with the answer to a request, whatever the answer will be."""
    environ.setdefault(_ADDED, []).append((name, value))


def added_headers(environ: MutableMapping[str, Any]) -> list[tuple[str, str]]:
    """The headers that this request's answer has beside its own."""
    added: list[tuple[str, str]] = environ.get(_ADDED, [])
    if environ["wsgi.url_scheme"] == "https":
        return [*added, _TLS_ONLY]
    return added


def secure_answers(app: Flask) -> None:
    """Add the headers that an answer has not set itself."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        if getattr(response, "carries_security_headers", False):
            return response
        for name, value in DEFAULT_HEADERS.items():
            response.headers.setdefault(name, value)
        for name, value in added_headers(request.environ):
            response.headers[name] = value
        return response
