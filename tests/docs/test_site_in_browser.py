"""The site as readers see it, in the system's Chromium, by day and by night."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from tests.browsing import OpenPage, keep, watched_windows

BROKEN = "[...document.images].filter(one => !one.complete || !one.naturalWidth).map(one => one.src)"
"""Addresses of the images of a page that are not shown."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def open_page(url: str, browser: Browser) -> Iterator[OpenPage]:
    with watched_windows(browser, url) as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_newcomer_finds_the_tutorial_and_its_commands(open_page: OpenPage, scheme: str) -> None:
    page = open_page("/index.html", color_scheme=scheme)
    keep(page, "site", f"index-{scheme}")
    page.get_by_role("main").get_by_role("link", name="first hour").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("first hour")
    expect(page.locator("pre", has_text="make demo").first).to_be_visible()
    keep(page, "site", f"first-hour-{scheme}")


def test_what_is_searched_for_is_found(open_page: OpenPage) -> None:
    page = open_page("/index.html")
    page.get_by_role("textbox", name="Search").fill("rollback")
    page.keyboard.press("Enter")
    results = page.locator("ul.search li")
    expect(results.first).to_be_visible()
    results.first.get_by_role("link").first.click()
    expect(page.get_by_role("main")).to_contain_text("rollback")


@pytest.mark.parametrize(("width", "height"), [(390, 800), (1366, 768)], ids=["phone", "laptop"])
def test_every_page_of_the_menu_shows_its_pictures_and_fits(
    open_page: OpenPage, site: Path, width: int, height: int
) -> None:
    page = open_page("/index.html", viewport={"width": width, "height": height})
    for file in sorted(site.rglob("*.html")):
        path = file.relative_to(site)
        if path.parts[0] in {"_modules", "_static"} or path.name in {"genindex.html", "search.html"}:
            continue
        page.goto(f"/{path}")
        assert page.evaluate(BROKEN) == [], path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} pixels wider than the window"
