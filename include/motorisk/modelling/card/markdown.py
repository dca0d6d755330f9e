"""A card as Markdown, for terminals and for Airflow's forms. Nothing that somebody wrote becomes markup."""

import re
from collections.abc import Callable, Iterator

from motorisk.modelling.card.structure import Card, Facts, Panel, Part, Plots, Strong, Table, Text

PLOTS_A_ROW = 2
_MARKS = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")
_BLOCKS = re.compile(r"^(\d*)(?=[.)](?:\s|$)|[-+](?:[\s-]|$)|#{1,6}(?:\s|$)|=+\s*$)")
# Renderers make links of bare addresses; a word joiner, which shows nothing, keeps these plain text.
_ADDRESSES = re.compile(r"(?<=:)(?=//)|(?<=\bwww)(?=\.)|(?<=\w)(?=@\w)", re.IGNORECASE)
_WORD_JOINER = "\u2060"

Address = Callable[[Panel], str]


def escaped(text: str) -> str:
    """Plain text that stays plain text in Markdown."""
    quiet = _MARKS.sub(lambda mark: f"\\{mark.group()}", text)
    return _ADDRESSES.sub(_WORD_JOINER, _BLOCKS.sub(r"\1\\", quiet))


def to_markdown(card: Card, *, plots: Address | None = None, page: str | None = None) -> str:
    """The card; `plots` gives the address of a panel's image where the reader can see images, `page` the card's own."""
    lines = [*_facts(card.head), ""]
    if page is not None:
        lines += [f"[The card as a page, with its plots]({page})", ""]
    for section in card.sections:
        parts = [line for part in section.parts for line in (*_part(part, plots), "")]
        lines += [f"#### {escaped(section.heading)}", "", *parts]
    return "\n".join(lines).rstrip() + "\n"


def _part(part: Part, plots: Address | None) -> Iterator[str]:
    match part:
        case Text():
            yield escaped(part.text)
        case Facts():
            yield from _facts(part)
        case Table():
            yield from _table([part.headings, *part.rows])
        case Plots() if plots is None:
            yield "The plots are in the HTML card."
        case Plots():
            images = [f"![{escaped(panel.description)}]({plots(panel)})" for panel in part.panels]
            rows = [images[start : start + PLOTS_A_ROW] for start in range(0, len(images), PLOTS_A_ROW)]
            yield from _rows([[""] * PLOTS_A_ROW, *rows])


def _facts(facts: Facts) -> Iterator[str]:
    for name, value in facts.rows:
        yield f"- **{escaped(name)}**: {escaped(value)}"


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield from _rows([[_cell(text) for text in row] for row in rows])


def _rows(rows: list[list[str]]) -> Iterator[str]:
    head, *body = rows
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in body:
        yield "| " + " | ".join(row) + " |"


def _cell(text: str) -> str:
    return f"**{escaped(text)}**" if isinstance(text, Strong) else escaped(text)
