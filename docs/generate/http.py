"""The quote service's HTTP interface, from the description that it serves as /openapi.json."""

import json
from collections.abc import Iterator
from typing import Any

from generate.markdown import cell, code, table
from motorisk.settings import Settings
from motorisk_web.app import create_app

INTRODUCTION = """# HTTP

The quote service describes itself: `/openapi.json` is for programs, `/docs` for people (Swagger UI, served locally).
Errors are `application/problem+json` (RFC 9457) and name every bad field. Beside what follows there are `/metrics/`
([metrics](metrics.md)) and `/`, the page for people.

"""
Schema = dict[str, Any]


def page() -> str:
    """The page: operations, then the objects that they take and give."""
    specification = create_app(Settings(quote_access="keys")).spec_json
    parts = [*_operations(specification), "## Objects\n", *_objects(specification["components"]["schemas"])]
    return INTRODUCTION + "\n".join(parts)


def _operations(specification: Schema) -> Iterator[str]:
    for path, operations in specification["paths"].items():
        for method, operation in operations.items():
            yield f"## `{method.upper()} {path}`\n"
            yield " ".join(filter(None, (_sentence(operation.get("summary")), operation.get("description", "")))) + "\n"
            if not operation.get("security"):
                yield "Needs no API key.\n"
            if parameters := operation.get("parameters"):
                rows = [
                    (
                        code(one["name"]),
                        one["in"],
                        "yes" if one.get("required") else "",
                        cell(one.get("description", "")),
                    )
                    for one in parameters
                ]
                yield table(("parameter", "in", "required", "meaning"), rows) + "\n"
            if body := operation.get("requestBody"):
                yield f"Body: {_media(body['content'])}.\n"
            rows = [
                (code(status), cell(answer.get("description", "")), _media(answer.get("content", {})))
                for status, answer in sorted(operation["responses"].items())
            ]
            yield table(("status", "meaning", "body"), rows) + "\n"


def _sentence(text: str | None) -> str:
    return "" if not text else text if text.endswith(".") else f"{text}."


def _media(content: Schema) -> str:
    return ", ".join(f"{_kind(found.get('schema', {}))} ({kind})" for kind, found in content.items())


def _objects(schemas: Schema) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        yield f"### {name}\n"
        if description := schema.get("description"):
            yield f"{' '.join(description.split())}\n"
        required = set(schema.get("required", ()))
        rows = [
            (code(field), _kind(found), "yes" if field in required else "", cell(_meaning(found)))
            for field, found in schema.get("properties", {}).items()
        ]
        if rows:
            yield table(("field", "kind", "required", "meaning"), rows) + "\n"
        elif "enum" in schema:
            yield f"One of {_kind(schema)}.\n"


def _meaning(schema: Schema) -> str:
    example = schema.get("examples", [])
    parts = [schema.get("description", ""), f"For example {code(json.dumps(example[0]))}." if example else ""]
    return " ".join(filter(None, (_sentence(parts[0]), parts[1])))


def _kind(schema: Schema) -> str:
    if reference := schema.get("$ref"):
        name = reference.rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    for alternatives in ("anyOf", "oneOf", "allOf"):
        if alternatives in schema:
            return " or ".join(_kind(one) for one in schema[alternatives])
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    if "const" in schema:
        return code(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = [schema.get("format") or schema.get("type", "anything")]
    signs = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
    words += [f"{sign} {schema[limit]:g}" for limit, sign in signs if limit in schema]
    return ", ".join(words)
