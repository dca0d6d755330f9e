"""Markdown as the generated pages need it."""

from collections.abc import Iterable, Sequence


def cell(text: object) -> str:
    """A table's cell: one line, without the character that ends it."""
    return " ".join(str(text).split()).replace("|", "\\|")


def code(text: object) -> str:
    """Verbatim text in a cell; nothing where there is nothing."""
    return f"`{cell(text)}`" if str(text) else ""


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose cells are Markdown already."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cell(value) for value in line)} |" for line in lines)
