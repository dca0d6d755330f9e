"""A name for each request, by which its answer, its problems and its log lines find each other."""

import os
import re
from collections.abc import MutableMapping
from typing import Any

from flask import Flask, has_request_context, request

from motorisk.domain.api_key import PREFIX
from motorisk_web.security import add_header

HEADER = "X-Request-ID"
_KEY = "motorisk.request_id"
# Long enough for every usual form, too narrow for anything that a log or a header could take for its own.
# A key of ours in the wrong place is not repeated.
_WELL_FORMED = re.compile(rf"(?!{PREFIX})[A-Za-z0-9][A-Za-z0-9._-]{{0,127}}")


def _request_id(environ: MutableMapping[str, Any]) -> str:
    given = environ.get("HTTP_X_REQUEST_ID")
    if given is not None and _WELL_FORMED.fullmatch(given):
        return str(given)
    return os.urandom(16).hex()


def current_request_id() -> str | None:
    """The present request's id; None outside of requests."""
    return request.environ.get(_KEY) if has_request_context() else None


def request_id_of(environ: MutableMapping[str, Any]) -> str | None:
    """A request's id; None before it got one."""
    return environ.get(_KEY)


def name_requests(app: Flask) -> None:
    """Give every request the id that its caller has for it, or a new one, and tell it with the answer."""

    @app.before_request
    def name() -> None:
        environ = request.environ
        environ[_KEY] = request_id = _request_id(environ)
        add_header(environ, HEADER, request_id)
