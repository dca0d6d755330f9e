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
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Refused(f"the key {name[:100]!r} appears more than once in an object")
        found[name] = value
    return found


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else float(digits)


def parse_json(content: bytes) -> Any:
    """The value of a UTF-8 JSON document; `BadRequest` says what is wrong with it.

    Numbers too large for a float become infinite, and NaN and Infinity (which are no JSON, but which some
    clients write) are let through: the schema then refuses them with the field's name.
    """
    try:
        return json.loads(content.decode(), object_pairs_hook=_unique_keys, parse_int=_integer)
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except _Refused as error:
        raise BadRequest(str(error)) from None


class StrictJsonRequest(Request):
    """A request of which flask-openapi3 gets the body through `parse_json`."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body's value; 415, 413 or 400 also where `silent` asks for None, to which no reason could be given."""
        if not self.is_json:
            raise UnsupportedMediaType("send the body as Content-Type: application/json")
        try:
            content = self.get_data(cache=False)
            if len(content) > MAX_BODY_BYTES:
                raise RequestEntityTooLarge
        except RequestEntityTooLarge:
            raise RequestEntityTooLarge(f"the body is larger than {MAX_BODY_BYTES // 1024} KiB") from None
        value = parse_json(content)
        # flask-openapi3 would parse a string once more.
        return [value] if isinstance(value, str) else value
