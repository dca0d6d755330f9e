"""Command blocks in Markdown: what a reader would type, and what the page says they see.

Fenced blocks of the language `sh` are commands, run page by page and in their order, in one terminal a page. A `text`
block right after one is what it prints: every line has to be in the output, figures aside, and `…` stands for anything.
Comments before a block say what else is to be known; a reader of the site does not see them:

    <!-- commands: after docs/how-to/index.md -->     before the first one: the page goes on where that page ends
    <!-- commands: before: COMMAND -->                the reader has done this already, in their own way
    <!-- commands: running: COMMAND, until URL -->    before the first one: what runs already, as after `make demo`
    <!-- commands: background until URL -->           the block goes on in a second terminal; URL answers when it is up
    <!-- commands: fails -->                          the block is refused: exit status 1
    <!-- commands: not run: reason (tests/demo) -->   why not, and which test, benchmark or script runs it
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BESIDE: tuple[str, ...] = ("README.md", "CONTRIBUTING.md")
"""Pages with commands outside the site."""

TRANSLATIONS = {ROOT / "docs" / "workshop.md": ROOT / "docs" / "workshop.de.md"}

MARK = re.compile(r"<!-- commands: (.*?) -->", re.DOTALL)
BLOCK = re.compile(r"^( *)```(sh|text)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
COVERED = re.compile(r"not run: .+ \(((?:tests|bench|scripts|\.ci)\S*)\)$", re.DOTALL)
RUNNING = re.compile(r"running: (.+), until (\S+)$")


@dataclass
class Block:
    """Some commands of a page; `prints` is what the page says they print."""

    where: str
    commands: str
    prints: str = ""
    background_until: str | None = None
    fails: bool = False
    covered_by: str | None = None


@dataclass
class Page:
    """A page's blocks, and the page after which they come."""

    blocks: list[Block]
    after: Path | None = None


def with_commands() -> list[Path]:
    """All pages that have command blocks; translations, which have the same, are not among them."""
    pages = [*(ROOT / name for name in BESIDE), *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        page for page in pages if "```sh\n" in page.read_text(encoding="utf-8") and page not in TRANSLATIONS.values()
    ]


def read(file: Path) -> Page:
    """Parse a page; `ValueError` where a mark says nothing that is known."""
    text = file.read_text(encoding="utf-8")
    page, end = Page([]), 0
    for found in BLOCK.finditer(text):
        indent, language, body = found.groups()
        between, end = text[end : found.start()], found.end()
        body = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
        if language == "text":
            if page.blocks and not between.strip():
                page.blocks[-1].prints = body
            continue
        block = Block(f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}", body)
        for mark in MARK.findall(between):
            _apply(" ".join(mark.split()), page, block)
        page.blocks.append(block)
    return page


def _apply(mark: str, page: Page, block: Block) -> None:
    started = any(not one.covered_by for one in page.blocks)
    if mark.startswith("after ") and not started:
        page.after = ROOT / mark.removeprefix("after ")
    elif (running := RUNNING.match(mark)) and not started:
        page.blocks.append(Block(block.where, running.group(1), background_until=running.group(2)))
    elif mark.startswith("before: "):
        page.blocks.append(Block(block.where, mark.removeprefix("before: ")))
    elif mark.startswith("background until "):
        block.background_until = mark.removeprefix("background until ")
    elif mark == "fails":
        block.fails = True
    elif covered := COVERED.match(mark):
        block.covered_by = covered.group(1)
        if not (ROOT / block.covered_by).exists():
            raise ValueError(f"{block.where}: {block.covered_by} does not exist")
    else:
        raise ValueError(f"{block.where}: a mark that is unknown, or in the wrong place: {mark}")
