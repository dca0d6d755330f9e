"""The settings, from the class that reads them."""

from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from generate.markdown import cell, code, table
from motorisk.settings import PREFIX, Settings

INTRODUCTION = """# Settings

Environment variables, read once when a program starts. An empty one counts as unset; one that is unknown or cannot be
read stops the program with a line that names it.

"""
MADE_DEFAULT = "default_is"
"""Where a setting whose default depends on the machine says in words what it is."""
KINDS = {
    "Path": "path",
    "str": "text",
    "int": "whole number",
    "float": "number",
    "Decimal": "number",
    "bool": "true, false",
}


def page(settings: type[BaseSettings] = Settings) -> str:
    """The page: a row a setting; `ValueError` for one whose default is made and not described."""
    rows = [
        (code(f"{PREFIX}{name}".upper()), _kind(field), _default(name, field), cell(field.description))
        for name, field in settings.model_fields.items()
    ]
    return INTRODUCTION + table(("variable", "values", "default", "meaning"), rows) + "\n"


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        extra = field.json_schema_extra
        if not isinstance(extra, dict) or MADE_DEFAULT not in extra:
            raise ValueError(f"{name}: say what its default is, json_schema_extra={{{MADE_DEFAULT!r}: …}}")
        return str(extra[MADE_DEFAULT])
    if field.default is None or field.default is PydanticUndefined:
        return "unset"
    return code(str(field.default).lower() if isinstance(field.default, bool) else field.default)


def _kind(field: FieldInfo) -> str:
    kinds = [kind for kind in _alternatives(field.annotation) if kind is not NoneType]
    words = ", ".join(_word(kind) for kind in kinds)
    limits = [
        f"{sign} {getattr(limit, name):g}"
        for limit in field.metadata
        for name, sign in (("ge", "≥"), ("le", "≤"))
        if hasattr(limit, name)
    ]
    return ", ".join([words, *limits])


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal or not get_args(annotation):
        return (annotation,)
    return get_args(annotation)


def _word(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(code(value) for value in get_args(kind))
    return "text (never shown)" if kind is SecretStr else KINDS[kind.__name__]
