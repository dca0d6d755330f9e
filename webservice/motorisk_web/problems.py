"""The one map from everything that can go wrong to an RFC 9457 problem document."""

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from flask_openapi3.types import ResponseDict
from gunicorn.http.errors import NoMoreData, ParseException
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException

from motorisk.errors import DatabaseUnavailable, InvalidData, MotoriskError
from motorisk_web.request_ids import current_request_id

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
MAX_ERRORS = 100
MAX_NAME_LENGTH = 100

_log = logging.getLogger(__name__)

_TEXTS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "float_type": "must be a number",
    "model_type": "must be an object",
    "string_type": "must be text",
    "string_too_long": "must be at most {max_length} characters",
    "string_unicode": "contains text that is not valid Unicode",
}


class InvalidRequest(InvalidData):
    """Fields of a request are wrong."""

    title = "Invalid request"

    def __init__(self, errors: Iterable[tuple[str, str]]) -> None:
        found = sorted(set(errors))
        self.errors = [{"field": field, "problem": problem} for field, problem in found[:MAX_ERRORS]]
        texts = [f"{field or 'the body'} {problem}" for field, problem in found[:5]]
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        super().__init__("; ".join(texts) + more)

    @classmethod
    def from_validation(cls, error: ValidationError) -> "InvalidRequest":
        """Every bad field that pydantic found, in plain words and without its value."""
        return cls(_field_problem(found) for found in error.errors(include_url=False, include_input=False))


def _field_problem(found: ErrorDetails) -> tuple[str, str]:
    field = ".".join(str(part)[:MAX_NAME_LENGTH] for part in found["loc"])
    text = _TEXTS.get(found["type"])
    return field, found["msg"] if text is None else text.format(**found.get("ctx", {}))


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    kind: str = "about:blank",
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """A problem document; None among `members` are left out."""
    document = {"type": kind, "title": title, "status": status, "detail": detail}
    document |= {name: value for name, value in members.items() if value is not None}
    return _response(document, headers)


def _response(document: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    status = document["status"]
    request_id = current_request_id()
    if request_id is not None:
        document = document | {"request_id": request_id}
    response = Response(json.dumps(document), status, mimetype=MEDIA_TYPE)
    response.headers.update(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return response


def problem_responses(*statuses: HTTPStatus) -> ResponseDict:
    """The OpenAPI description of an operation's problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": status.phrase, "content": content} for status in statuses}


def of_validation_error(error: ValidationError) -> Response:
    """What flask-openapi3 answers where a request does not fit its model."""
    return of_motorisk_error(InvalidRequest.from_validation(error))


def problem_members(error: MotoriskError) -> dict[str, Any]:
    """The members of an expected failure's document: its class says status and title, its message the detail."""
    words = re.sub("(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
    members = {
        "type": f"urn:motorisk:problem:{words}",
        "title": error.title,
        "status": int(error.status),
        "detail": str(error),
    }
    errors = getattr(error, "errors", None)
    return members if errors is None else members | {"errors": errors}


def of_motorisk_error(error: MotoriskError) -> Response:
    """An expected failure."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # The first line: what a driver says further on may hold a row, and no input belongs into a log.
        reason = (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0]
        _log.warning("%s: %s", error.title, reason)
    return _response(problem_members(error))


def of_http_exception(error: HTTPException) -> Response:
    """Unknown addresses, wrong methods, bodies too large and the like."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return problem(status, status.phrase, error.description or status.description, headers=headers)


def of_unexpected_error(error: Exception) -> Response:
    """Anything else: the log has the trace under the answer's `instance`, the caller gets none of it."""
    instance = uuid.uuid4().urn
    _log.error("unexpected error %s", instance, exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return problem(status, status.phrase, "an unexpected error; it was logged", instance=instance)


def register(app: Flask, *, on_database_error: Callable[[], None]) -> None:
    """Answer every failure of the app with a problem document."""

    def database_unavailable(error: DatabaseUnavailable) -> Response:
        on_database_error()
        return of_motorisk_error(error)

    def too_slow(_: TimeoutError) -> Response:
        status = HTTPStatus.REQUEST_TIMEOUT
        return problem(status, status.phrase, "the request did not arrive in time")

    def torn(_: ParseException | NoMoreData | ConnectionError) -> Response:
        status = HTTPStatus.BAD_REQUEST
        return problem(status, status.phrase, "the body is not sent as HTTP/1.1 has it, or not to its end")

    app.register_error_handler(DatabaseUnavailable, database_unavailable)
    for torn_error in (ParseException, NoMoreData, ConnectionError):  # gunicorn reads bodies as they are asked for
        app.register_error_handler(torn_error, torn)
    app.register_error_handler(TimeoutError, too_slow)  # the connection's; all others are translated
    app.register_error_handler(MotoriskError, of_motorisk_error)
    app.register_error_handler(HTTPException, of_http_exception)
    app.register_error_handler(Exception, of_unexpected_error)
