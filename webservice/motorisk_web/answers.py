"""JSON answers, made for speed: a quote's answer costs no more than its price.

Werkzeug's general response looks at each header several times on its way out; these are known to be fine.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from flask import Response

from motorisk_web.security import DEFAULT_HEADERS, added_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_STATUS_LINES = {int(status): f"{status.value} {status.phrase}" for status in HTTPStatus}
_SECURITY = list(DEFAULT_HEADERS.items())
_JSON = ("Content-Type", "application/json")


class JsonAnswer(Response):
    """A JSON document."""

    carries_security_headers = True

    def __init__(self, document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self._content = orjson.dumps(document)
        self._own = list(headers.items()) if headers else []
        super().__init__(None, status, mimetype="application/json")

    def get_wsgi_response(self, environ: "WSGIEnvironment") -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """What goes out: the content in one piece."""
        length = ("Content-Length", str(len(self._content)))
        content = [] if environ["REQUEST_METHOD"] == "HEAD" else [self._content]
        return (
            content,
            _STATUS_LINES[self.status_code],
            [
                _JSON,
                length,
                *self._own,
                *_SECURITY,
                *added_headers(environ),
            ],
        )

    def get_data(self, as_text: Any = False) -> Any:
        """The content."""
        return self._content.decode() if as_text else self._content
