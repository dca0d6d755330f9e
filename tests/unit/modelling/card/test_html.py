"""A card as HTML: one file that needs nothing else, that anybody can read and nobody can abuse."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from motorisk.modelling.card.html import card_page, content_security_policy, notice_page, panel_image, versions_page
from motorisk.modelling.card.structure import Card, Facts, Table, Text
from motorisk.registry.versions import ModelVersion

VOID = {"meta", "link", "br", "hr", "img", "input"}
NASTY = "<script>alert(1)</script><img src=x onerror=alert(1)> \"' onload='x' {{ 7 * 7 }} </style> &amp; http://evil.example"


class Page(HTMLParser):
    """What is in a page; fails where elements do not close as they opened."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(content)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self._open[-1] if self._open else "", " ".join(data.split())))

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def texts_in(self, *tags: str) -> list[str]:
        return [text for tag, text in self.texts if tag in tags]


def test_a_page_is_one_file_that_needs_nothing_else(card: Card) -> None:
    content = card_page(card)
    page = Page(content)
    assert "://" not in content
    assert not {"script", "link", "img", "iframe", "object", "form"} & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on") or name in {"style", "src"}}, tag
        assert attributes.get("href", "#").startswith("#")
    anchors = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {attributes["href"][1:] for _, attributes in page.elements if "href" in attributes} <= anchors
    clips = re.findall(r"url\(#(.+?)\)", content)
    assert clips
    assert set(clips) <= anchors


def test_every_name_is_given_once(card: Card) -> None:
    names = [attributes["id"] for _, attributes in Page(card_page(card)).elements if "id" in attributes]
    assert len(names) == len(set(names))


def test_the_policy_lets_nothing_pass_but_the_pages_own_style_sheet(card: Card) -> None:
    style = re.search(r"<style>(.*?)</style>", card_page(card), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    policy = content_security_policy()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    (told,) = [meta for meta in Page(card_page(card)).named("meta") if "http-equiv" in meta]
    assert told["content"] == policy


def test_what_people_wrote_is_text(make_card: Callable[..., Card]) -> None:
    page = Page(card_page(make_card(NASTY, trained_by=NASTY, candidate=NASTY)))
    assert NASTY in page.texts_in("td")
    assert f"by {NASTY} on 36,000 policies known on 2024-01-01" in page.texts_in("dd")
    assert not {"script", "img"} & {tag for tag, _ in page.elements}


def test_the_page_says_what_the_card_says(card: Card) -> None:
    page = Page(card_page(card))
    assert page.texts_in("h2") == [section.heading for section in card.sections]
    parts = [part for section in card.sections for part in section.parts]
    tables = [part for part in parts if isinstance(part, Table)]
    expected = [cell for table in tables for row in (table.headings, *table.rows) for cell in row if cell]
    assert page.texts_in("th", "td", "strong") == expected
    assert page.texts_in("p") == [part.text for part in parts if isinstance(part, Text)]
    facts = [card.head, *(part for part in parts if isinstance(part, Facts))]
    assert page.texts_in("dt", "dd") == [text for part in facts for row in part.rows for text in row if text]


def test_plots_and_tables_can_be_read_aloud(card: Card) -> None:
    page = Page(card_page(card))
    plots = page.named("svg")
    assert len(plots) == len(card.panels)
    ids = {attributes.get("id") for _, attributes in page.elements}
    for plot in plots:
        assert plot["role"] == "img"
        assert set(plot["aria-labelledby"].split()) <= ids
    assert page.texts_in("desc") == [panel.description for panel in card.panels.values()]
    assert page.named("th")
    assert {heading.get("scope") for heading in page.named("th")} == {"col", "row"}
    for region in page.named("div"):
        if region.get("role") == "region":
            assert region["tabindex"] == "0"
            assert region["aria-labelledby"] in ids
    assert page.named("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.named("meta")


def test_a_page_has_colours_for_light_for_dark_and_for_paper(card: Card) -> None:
    css = card_page(card)
    assert "color-scheme: light dark" in css
    assert "@media print" in css
    used, given = set(re.findall(r"var\((--[a-z]+)\)", css)), set(re.findall(r"(--[a-z]+):", css))
    assert used == given
    assert set(re.findall(r"(--[a-z]+): light-dark\(#[0-9a-f]+, #[0-9a-f]+\);", css)) == given
    for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL):
        assert set(re.findall(r"(--[a-z]+):", block)) == given


def test_an_image_stands_alone_under_its_own_policy(card: Card) -> None:
    image, policy = panel_image(card.panels["term-age"])
    root = ET.fromstring(image)  # noqa: S314  our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    style = root.find("{http://www.w3.org/2000/svg}style")
    assert style is not None
    assert style.text is not None
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "--paper: light-dark(" in style.text


def test_versions_are_listed_with_their_cards(model: ModelVersion) -> None:
    champion = replace(model, version=1, state="approved", trained_by=NASTY, metrics={})
    page = Page(versions_page([model, champion], lambda version: f"/models/{version}"))
    assert [link["href"] for link in page.named("a")] == ["/models/2", "/models/1"]
    assert "approved: the champion" in page.texts_in("td")
    assert NASTY in page.texts_in("td")
    assert Page(versions_page([], str)).texts_in("p") == ["No model was trained yet."]


def test_a_notice_is_a_sentence_with_a_way_on() -> None:
    page = Page(notice_page("Unknown", NASTY, ("Back", "/back?a=1&b=<")))
    assert page.texts_in("p", "h1") == ["Unknown", NASTY]
    assert [link["href"] for link in page.named("a")] == ["/back?a=1&b=<"]


@pytest.mark.parametrize("versions", [None, "/motorisk/"])
def test_a_card_leads_back_to_the_list_where_there_is_one(card: Card, versions: str | None) -> None:
    links = [link["href"] for link in Page(card_page(card, versions=versions)).named("a")]
    assert ("/motorisk/" in links) == (versions is not None)
