"""JSON bodies read strictly: what two programs could understand differently is refused."""

import json
from typing import Any

from flask import Request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

MAX_BODY_BYTES = 64 * 1024
MAX_INTEGER_DIGITS = 300
"""Longer integers are infinite as floats; Python also refuses to read those of thousands of digits."""


class _Refused(ValueError):
    """The document is JSON by its grammar, but ambiguous."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _Refused(f"the key {twice[:100]!r} appears more than once in an object")
    return found


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else float(digits)


# Made once: `json.loads` would make one for every request.
_decode = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_int=_integer).decode


def parse_json(content: bytes) -> Any:
    """The value of a UTF-8 JSON document; `BadRequest` says what is wrong with it.

    Numbers too large for a float become infinite, and NaN and Infinity (which are no JSON, but which some
    clients write) are let through: the schema then refuses them with the field's name.
    """
    try:
        return _decode(content.decode())
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except _Refused as error:
        raise BadRequest(str(error)) from None


def read_json(request: Request, max_bytes: int) -> Any:
    """The value of a request's body; 415, 413 or 400 where there is none, it is too large or no strict JSON."""
    environ = request.environ
    if environ.get("CONTENT_TYPE") != "application/json" and not request.is_json:
        raise UnsupportedMediaType("send the body as Content-Type: application/json")
    length = environ.get("CONTENT_LENGTH")
    content: bytes
    if length is not None and length.isascii() and length.isdigit() and int(length) <= max_bytes:
        content = environ["wsgi.input"].read(int(length))
    else:
        content = _read(request, max_bytes)
    return parse_json(content)


def _read(request: Request, max_bytes: int) -> bytes:
    # One byte more, to notice a longer chunked body: Werkzeug gives the first bytes of it without a word.
    request.max_content_length = max_bytes + 1
    try:
        content = request.get_data(cache=False)
        if len(content) > max_bytes:
            raise RequestEntityTooLarge
    except RequestEntityTooLarge:
        raise RequestEntityTooLarge(f"the body is larger than {max_bytes // 1024} KiB") from None
    return content
