"""The site is built without a warning, loads nothing from elsewhere, and its reference has everything."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import Table
from tests.docs.pages import ROOT, TRANSLATIONS, Block, read, with_commands

from motorisk.settings import PREFIX, Settings
from motorisk.warehouse.tables import metadata

LOADING = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "object": "data",
    "use": "href",
}


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(LOADING.get(tag, ""))
        if address and dict(attrs).get("rel") != "canonical":
            self.addresses.append(address)


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.addresses, page
        assert [one for one in loads.addresses if re.match(r"(\w+:)?//", one)] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(\w+:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_setting_command_table_and_operation_is_in_the_reference(site: Path) -> None:
    def text(page: str) -> str:
        return re.sub(r"<[^>]+>", "", (site / "reference" / f"{page}.html").read_text(encoding="utf-8"))

    assert all(f"{PREFIX}{name}".upper() in text("settings") for name in Settings.model_fields)
    assert all(name in text("tables") for name in metadata.tables)
    assert {"motorisk timelapse", "motorisk quote replay", "motorisk db upgrade"} <= set(
        re.findall(r"motorisk(?: [a-z-]+)+", text("commands"))
    )
    assert "POST /v1/quotes" in text("http")
    assert "motorisk_quotes_total" in text("metrics")


def test_every_row_of_the_tables_says_what_its_column_means(site: Path) -> None:
    page = (site / "reference" / "tables.html").read_text(encoding="utf-8")
    rows = [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL)]
    cells = [row for row in rows if row]
    assert len(cells) == sum(len(table.columns) for table in metadata.tables.values())
    assert [row[0] for row in cells if not re.sub(r"<[^>]+>", "", row[-1]).strip()] == []


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.fullname)
def test_every_table_says_what_it_is_for(table: Table) -> None:
    assert table.comment


@pytest.mark.parametrize("page", with_commands(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_block_is_run_or_says_who_runs_it(page: Path) -> None:
    found = read(page)
    assert found.blocks
    assert found.after is None or found.after in with_commands()


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: page.stem)
def test_a_translation_has_the_same_commands(page: Path) -> None:
    def blocks(file: Path) -> list[Block]:
        return [replace(block, where="") for block in read(file).blocks]

    assert blocks(TRANSLATIONS[page]) == blocks(page)
