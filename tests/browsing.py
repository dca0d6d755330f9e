"""Windows of the system's Chromium that notice what a person would: scripts that fail, and addresses elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

DESK = {"width": 1280, "height": 900}

OpenPage = Callable[..., Page]
ARTIFACTS = Path(__file__).parent / "artifacts"


@contextmanager
def watched_windows(browser: Browser, url: str) -> Iterator[OpenPage]:
    """Open paths below `url`, each in a window of its own; options are those of a browser's context.

    `AssertionError` at the end where a script failed, the page's policy was broken or another address was asked for.
    Refusals are no failures: Chromium reports their status as an error too.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def only_here(route: Route) -> None:
        if not route.request.url.startswith((url, "data:")):
            complaints.append(f"asked for {route.request.url}")
        route.continue_()

    def open_window(path: str = "/", **options: Any) -> Page:
        context = browser.new_context(base_url=url, **{"locale": "en-GB", "viewport": DESK, **options})
        context.set_default_timeout(20_000)
        contexts.append(context)
        context.route("**/*", only_here)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    try:
        yield open_window
    finally:
        for context in contexts:
            context.close()
    assert complaints == []


def keep(page: Page, folder: str, name: str) -> None:
    """Keep a screenshot of the whole page, under `tests/artifacts/`."""
    (ARTIFACTS / folder).mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / folder / f"{name}.png", full_page=True, animations="disabled")
