"""Airflow's UI as an underwriter sees it, in the system's Chromium: light, dark and on a phone."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from motorisk.registry.events import history
from motorisk.registry.versions import get


@pytest.fixture(scope="module")
def asking(platform: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """A run of `approve_model` that asks whether the offered version may price policies."""
    log = Path(platform.environment["AIRFLOW_HOME"]) / "approve_model.log"
    command = [Path(sys.executable).parent / "airflow", "dags", "test", "approve_model", "--conf"]
    with log.open("wb") as output:
        run = subprocess.Popen(
            [*command, f'{{"version": {platform.offered}}}'],
            env=platform.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    yield run
    run.kill()
    run.wait()


def _wait_until_asked(platform: Any, asking: "subprocess.Popen[bytes]") -> None:
    admin = platform.client("admin")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and asking.poll() is None:
        if admin.get("/api/v2/dags/approve_model/dagRuns/~/hitlDetails").json().get("hitl_details"):
            return
        time.sleep(0.5)
    raise AssertionError("nobody was asked")


def brightness(page: Any) -> float:
    """Of the card's paper, from 0 to 255."""
    colour = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")) / 3


@pytest.mark.usefixtures("asking")
def test_the_navigation_leads_to_versions_and_their_cards(
    platform: Any, uma: Callable[..., Page], tmp_path: Path
) -> None:
    page = uma(color_scheme="light", viewport={"width": 1400, "height": 1000})
    page.goto("/")
    page.get_by_role("link", name="Motorisk", exact=True).click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    frame.get_by_role("link", name=f"Version {platform.offered}").click()
    expect(frame.get_by_role("heading", name=f"Model version {platform.offered}")).to_be_visible()
    expect(frame.get_by_role("img", name="age: risk index against average")).to_be_visible()
    page.screenshot(path=tmp_path / "card-in-airflow.png")
    frame.get_by_role("link", name="All versions").click()
    expect(frame.get_by_role("heading", name="Model versions")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_card_fits_a_phone_in_light_and_dark(
    platform: Any, uma: Callable[..., Page], tmp_path: Path, scheme: str
) -> None:
    page = uma(color_scheme=scheme, viewport={"width": 390, "height": 800})
    page.goto(f"/motorisk/models/{platform.offered}")
    expect(page.get_by_role("heading", name="Price impact")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert (brightness(page) > 200) == (scheme == "light")
    lines = page.locator("svg.plot").first.locator("text").first
    ink = lines.evaluate("text => getComputedStyle(text).fill")
    assert (ink == "rgb(27, 31, 36)") == (scheme == "light")
    page.screenshot(path=tmp_path / f"card-{scheme}.png", full_page=True)
    page.emulate_media(media="print")
    assert brightness(page) == 255


def test_the_form_shows_the_plots_and_the_answer_is_recorded(
    platform: Any, uma: Callable[..., Page], asking: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    page = uma(color_scheme="dark", viewport={"width": 1400, "height": 1000})
    question = f"May version {platform.offered} price policies?"
    _wait_until_asked(platform, asking)
    page.goto("/required_actions")
    page.get_by_role("link", name=question).first.click()
    plots = page.locator("img[src*='/plots/']")
    expect(plots).to_have_count(8)
    for number in range(8):
        plots.nth(number).scroll_into_view_if_needed()
        expect(plots.nth(number)).to_have_js_property("complete", True)
        assert plots.nth(number).evaluate("image => image.naturalWidth") > 0
    page.screenshot(path=tmp_path / "form.png")
    expect(page.get_by_text("[x](http:", exact=False).first).to_be_visible()
    assert page.locator("a[href*='evil.example']").count() == 0
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="The card as a page, with its plots").click()
    expect(opened.value.get_by_role("heading", name=f"Model version {platform.offered}")).to_be_visible()

    page.locator("input[name=element_comment]").fill("dearer for the young, as it should be")
    page.get_by_role("button", name="Approve").click()
    assert asking.wait(60) == 0
    with platform.warehouse.connect() as connection:
        assert get(connection, platform.offered).state == "approved"
        assert history(connection, platform.offered)[-1].comment == "dearer for the young, as it should be"

    run = page.url.partition("/runs/")[2].partition("/")[0]
    page.goto(f"/dags/approve_model/runs/{run}/tasks/decide/details")
    expect(page.get_by_role("link", name="Model card")).to_have_attribute(
        "href", f"/motorisk/models/{platform.offered}"
    )
