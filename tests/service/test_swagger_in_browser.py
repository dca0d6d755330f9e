"""The API's description for people, in the system's Chromium: read, and a quote asked for from it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect
from tests.browsing import OpenPage, keep, watched_windows


@pytest.fixture
def open_page(service: Any, browser: Browser) -> Iterator[OpenPage]:
    with watched_windows(browser, service.url) as opened:
        yield opened


def test_every_operation_is_shown_under_the_pages_own_policy(open_page: OpenPage, client: httpx.Client) -> None:
    page = open_page("/docs")
    described = client.get("/openapi.json").json()
    operations = [path for path, methods in described["paths"].items() for _ in methods]
    expect(page.get_by_role("heading", name=described["info"]["title"])).to_be_visible()
    expect(page.locator(".opblock")).to_have_count(len(operations))
    shown = [path.replace("\u200b", "") for path in page.locator(".opblock-summary-path").all_text_contents()]
    assert sorted(shown) == sorted(operations)
    keep(page, "swagger", "operations")


def test_a_quote_is_asked_for_from_the_page_with_the_example_of_the_description(
    open_page: OpenPage, client: httpx.Client
) -> None:
    page = open_page("/docs")
    operation = page.locator(".opblock-post").filter(has=page.locator('[data-path="/v1/quotes"]'))
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    expect(answer.locator(".response-col_status").last).to_contain_text("201")
    expect(answer).to_contain_text('"gross"')
    said = answer.locator(".response-col_description .highlight-code").first.inner_text()
    quote_id = said.split('"quote_id": "')[1][:36]
    assert client.get(f"/v1/quotes/{quote_id}").is_success
    keep(page, "swagger", "quote")
