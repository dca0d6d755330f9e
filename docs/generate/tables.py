"""The tables, from the code that works with them and the migrations that make them."""

import re
from pathlib import Path

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from generate.markdown import cell, code, table
from motorisk.warehouse import migrations
from motorisk.warehouse.tables import metadata

INTRODUCTION = """# Tables

Schema `insurance` stands for the insurer's policy system, which the platform only reads; schema `motorisk` is the
platform's own. Numbered migrations make the tables (`motorisk db upgrade`); constraints are in their SQL. `motorisk db
shell` opens psql.

"""
COMMENT = re.compile(r"COMMENT ON COLUMN (\w+\.\w+\.\w+) IS\s+'((?:[^']|'')*)'")


def page() -> str:
    """The page: a section a table."""
    comments = _comments()
    return INTRODUCTION + "\n".join(_section(found, comments) for found in metadata.sorted_tables)


def _section(found: Table, comments: dict[str, str]) -> str:
    rows = [
        (
            code(column.name) + (" (key)" if column.primary_key else ""),
            column.type.compile(dialect=postgresql.dialect()).lower(),
            "" if not column.nullable else "yes",
            cell(comments.get(f"{found.fullname}.{column.name}", "")),
        )
        for column in found.columns
    ]
    head = f"## `{found.fullname}`\n\n" + (f"{found.comment}.\n\n" if found.comment else "")
    return head + table(("column", "type", "may be null", "meaning"), rows) + "\n"


def _comments() -> dict[str, str]:
    """Comments on columns, as the migrations leave them."""
    versions = Path(migrations.__file__).parent / "versions"
    found: dict[str, str] = {}
    for file in sorted(versions.glob("*.up.sql")):
        found |= {name: text.replace("''", "'") for name, text in COMMENT.findall(file.read_text(encoding="utf-8"))}
    return found
