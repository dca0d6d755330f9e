"""A card as Markdown: read back by a Markdown parser, it says what the card says, and nothing of people's is markup."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from motorisk.modelling.card.markdown import escaped, to_markdown
from motorisk.modelling.card.structure import Card, Facts, Table
from motorisk.modelling.card.wording import said

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NASTY = [
    "<script>alert(1)</script>",
    "[click](javascript:alert(1)) ![x](http://evil.example/x.png)",
    "a | b | c",
    "**bold** _it_ __it__ ~~gone~~ `code` \\| &lt;b&gt; &copy;",
    "# heading",
    "- item",
    "1. item",
    "123. item",
    "+ item",
    "+",
    "- - -",
    "1) item",
    "> quote",
    "---",
    "===",
    "http://evil.example www.evil.example eve@evil.example HTTPS://EVIL.example",
    "<http://evil.example>",
    "[a]: http://evil.example",
    "snake_case stays_readable",
    "| x |",
    "\\",
    "ends with \\",
]


def text_of(markdown: str) -> tuple[str, set[str]]:
    """What a reader sees, and the kinds of markup in it."""
    inline = [token for token in PARSER.parse(markdown) if token.type == "inline"]
    children = [child for token in inline for child in token.children or []]
    seen = "".join(child.content for child in children if child.type == "text")
    kinds = {child.type for child in children} | {token.type for token in PARSER.parse(markdown)}
    return seen.replace("\u2060", ""), kinds - {"text", "text_special", "inline", "paragraph_open", "paragraph_close"}


@pytest.mark.parametrize("nasty", NASTY)
def test_nothing_that_people_wrote_becomes_markup(nasty: str) -> None:
    assert text_of(escaped(nasty)) == (nasty, set())


@given(st.text(st.characters(codec="utf-8", exclude_characters="\u2060")).map(said))
def test_any_text_stays_itself(text: str) -> None:
    seen, kinds = text_of(escaped(text))
    assert (seen, kinds) == (text, set())


@pytest.mark.parametrize("nasty", NASTY)
def test_bare_addresses_are_no_links_for_renderers_that_look_for_them(nasty: str) -> None:
    linking = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
    assert "<a " not in linking.render(escaped(nasty))
    assert "://" not in escaped(nasty)
    assert "www." not in escaped(nasty)


def test_ordinary_words_are_left_alone() -> None:
    plain = "trend_gam: 0.3156 ± 0.0041, 4.0 % (of 9,000 policies)"
    assert escaped(plain) == plain
    for figure in ("0.061", "-18.2 %", "+0.4 %", "3.553e-15"):
        assert escaped(figure) == figure


@pytest.mark.parametrize("nasty", NASTY)
def test_a_comment_leaves_the_tables_as_they_are(make_card: Callable[..., Card], nasty: str) -> None:
    def shape(markdown: str) -> list[str]:
        return [token.type for token in PARSER.parse(markdown)]

    assert shape(to_markdown(make_card(nasty))) == shape(to_markdown(make_card("fine")))
    assert nasty in text_of(to_markdown(make_card(nasty)))[0]


def test_every_section_table_and_fact_is_there(card: Card) -> None:
    markdown = to_markdown(card)
    tokens = PARSER.parse(markdown)
    assert sum(token.type == "heading_open" for token in tokens) == len(card.sections)
    cells = [tokens[index + 1].content for index, token in enumerate(tokens) if token.type in {"td_open", "th_open"}]
    expected = [
        cell
        for section in card.sections
        for part in section.parts
        if isinstance(part, Table)
        for row in (part.headings, *part.rows)
        for cell in row
    ]
    assert [text_of(cell)[0] for cell in cells] == expected
    facts = [card.head, *(part for s in card.sections for part in s.parts if isinstance(part, Facts))]
    for name, value in (row for part in facts for row in part.rows):
        assert f"{name}: {value}" in text_of(markdown)[0]


def test_missed_gates_are_bold(card: Card) -> None:
    assert "| calibration error | 0.061 | \\<= 0.05 | **missed** |" in to_markdown(card)


def test_plots_are_images_only_where_readers_see_images(card: Card) -> None:
    terminal = to_markdown(card)
    assert "![" not in terminal
    assert "The plots are in the HTML card." in terminal
    form = to_markdown(card, plots=lambda panel: f"/plots/{panel.name}.svg", page="/card")
    images = [
        child
        for token in PARSER.parse(form)
        for child in token.children or []
        if token.type == "inline" and child.type == "image"
    ]
    assert [image.attrs["src"] for image in images] == [f"/plots/{name}.svg" for name in card.panels]
    assert images[0].content == card.panels["term-training"].description
    assert "[The card as a page, with its plots](/card)" in form
