"""Requests, validated with the pydantic models that their views' annotations name.

flask-openapi3 describes the views from the same annotations, but reads requests more leniently than
`motorisk_web.strict_json`, and works a header's JSON schema out anew for every request.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, get_type_hints

from flask import Request, Response, request
from pydantic import BaseModel, ValidationError

from motorisk_web.problems import InvalidRequest
from motorisk_web.strict_json import MAX_BODY_BYTES, read_json

P = ParamSpec("P")


def _aliases(header: type[BaseModel] | None) -> list[str]:
    return [str(field.alias) for field in header.model_fields.values()] if header else []


def _environ_key(name: str) -> str:
    return f"HTTP_{name.upper().replace('-', '_')}"


def validated(*, max_body_bytes: int = MAX_BODY_BYTES) -> Callable[[Callable[P, Response]], Callable[P, Response]]:
    """Give a view its `body`, `header` and `path`, validated; every wrong field is told at once.

    A header model names each header by the alias of a field.
    """

    def decorate(view: Callable[P, Response]) -> Callable[P, Response]:
        hints = get_type_hints(view)
        body: type[BaseModel] | None = hints.get("body")
        header: type[BaseModel] | None = hints.get("header")
        path: type[BaseModel] | None = hints.get("path")
        names = [(name, _environ_key(name)) for name in _aliases(header)]
        without = header() if header else None

        @wraps(view)
        def validate(*args: P.args, **kwargs: P.kwargs) -> Response:
            asked: Request = request._get_current_object()  # type: ignore[attr-defined]  # a proxy looks again at each use
            try:
                if header is not None:
                    environ = asked.environ
                    given = {name: environ[key] for name, key in names if key in environ}
                    kwargs["header"] = header.model_validate(given) if given else without
                if body is not None:
                    kwargs["body"] = body.model_validate(read_json(asked, max_body_bytes))
                if path is not None:
                    kwargs["path"] = path.model_validate({name: kwargs.pop(name) for name in path.model_fields})
            except ValidationError as error:
                raise InvalidRequest.from_validation(error) from None
            return view(*args, **kwargs)

        marked: Any = validate
        marked.__delay_validate_request__ = True  # flask-openapi3 leaves it to us
        return validate

    return decorate
