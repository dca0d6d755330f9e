"""The page for people as they use it, in the system's Chromium; screenshots are kept under `tests/artifacts/`."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, func, select
from tests.browsing import OpenPage, keep, watched_windows

from motorisk.warehouse.tables import quote

ARTIFACTS = "quote-page"
PHONE = {"width": 360, "height": 740}


@pytest.fixture
def open_page(service: Any, browser: Browser) -> Iterator[OpenPage]:
    with watched_windows(browser, service.url) as opened:
        yield opened


def submit(page: Page) -> None:
    page.get_by_role("button", name=re.compile("Get the price|Preis berechnen")).click()


def amount(text: str) -> float:
    """The amount in a text like €1,234.56."""
    found = re.search(r"([−-])?€([0-9,]+\.[0-9]{2})", text)
    assert found, text
    return float(found[2].replace(",", "")) * (-1 if found[1] else 1)


def quotes_of_the_page(database: Engine) -> int:
    with database.connect() as connection:
        return connection.scalar(select(func.count()).where(quote.c.channel == "page")) or 0


def is_wide(page: Page) -> bool:
    """Whether there is anything to scroll to the right."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def violations(page: Page) -> list[str]:
    """What axe-core finds, contrast included."""
    found = Axe().run(page).response["violations"]
    return [f"{item['id']}: {node['html']} {node['failureSummary']}" for item in found for node in item["nodes"]]


def test_filling_in_and_sending_makes_a_quote(open_page: OpenPage, database: Engine) -> None:
    page = open_page()
    keep(page, ARTIFACTS, "empty")
    page.get_by_label("Age").fill("23")
    page.get_by_label("Engine power").fill("150,5")
    page.get_by_label("Driver safety training").check()
    submit(page)
    expect(page.get_by_role("heading", name="Your quote")).to_be_visible()
    price = amount(page.locator(".price strong").inner_text())
    quote_id = page.locator("#quote-id").inner_text()
    with database.connect() as connection:
        row = connection.execute(select(quote).where(quote.c.quote_id == quote_id)).one()
    assert (row.channel, row.age, row.power, row.training) == ("page", 23.0, 150.5, True)
    assert float(row.gross) == price
    assert page.locator(".reasons li").count() == 6
    expect(page.get_by_label("Age").first).to_have_value("23")
    keep(page, ARTIFACTS, "quote")


def test_reasons_are_bars_as_long_as_they_weigh(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Age").fill("70")
    submit(page)
    rows = page.locator(".reasons li")
    shares = [float(text.replace("−", "-")) for text in rows.locator(".figure").all_inner_texts()]
    assert shares == sorted(shares, key=abs, reverse=True)
    assert min(shares) < 0 < max(shares)
    bars = rows.locator("rect.raises, rect.lowers")
    drawn = [bars.nth(number).bounding_box()["width"] for number in range(6)]  # type: ignore[index]
    for share, width in zip(shares, drawn, strict=True):
        assert width == pytest.approx(drawn[0] * abs(share) / abs(shares[0]), abs=1.5)
    zero = rows.first.locator("rect.zero").bounding_box()
    assert zero is not None
    for number, share in enumerate(shares):
        box = bars.nth(number).bounding_box()
        assert box is not None
        assert (box["x"] + box["width"] / 2 > zero["x"]) == (share > 0)


def test_sliders_change_the_premium_and_store_nothing(open_page: OpenPage, database: Engine) -> None:
    page = open_page()
    submit(page)
    stored = quotes_of_the_page(database)
    present = amount(page.locator(".price strong").inner_text())
    row = page.locator("[data-feature=power]")
    with page.expect_response("**/v1/quotes/what-if") as answered:
        row.get_by_role("slider").fill("200")
    change = answered.value.json()["changes"][0]
    assert (change["feature"], change["value"]) == ("power", 200)
    expect(row.locator(".premium")).to_have_text(f"€{float(change['premium']['gross']):,.2f}")
    expect(row.locator(".value")).to_have_text("200 kW")
    assert amount(row.locator(".premium").inner_text()) > present
    assert row.locator("output").get_attribute("aria-live") == "polite"

    flag = page.locator("[data-feature=emergency_braking]")
    flag.get_by_role("checkbox").uncheck()
    expect(flag.locator(".difference")).to_contain_text("+€")
    keep(page, ARTIFACTS, "what-if")
    page.get_by_role("button", name="Back to the quote").click()
    expect(row.locator(".premium")).to_have_text("as quoted")
    expect(row.locator(".value")).to_have_text("90 kW")
    expect(flag.get_by_role("checkbox")).to_be_checked()
    assert quotes_of_the_page(database) == stored


def test_moving_a_slider_asks_once_it_rests(open_page: OpenPage) -> None:
    page = open_page()
    submit(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or "") if "what-if" in request.url else None)
    slider = page.locator("[data-feature=age]").get_by_role("slider")
    slider.focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    expect(page.locator("[data-feature=age] .value")).to_have_text("47 years")
    expect(page.locator("[data-feature=age]")).to_have_class(re.compile("changed"))
    assert json.loads(asked[-1])["changes"] == [{"feature": "age", "value": 47}]
    assert len(asked) < 12


def test_where_the_api_asks_for_a_key_the_sliders_ask_the_page(service: Any, open_page: OpenPage) -> None:
    page = open_page()
    submit(page)
    page.route("**/v1/quotes/what-if", lambda route: route.fulfill(status=401, body="{}"))
    row = page.locator("[data-feature=miles]")
    with page.expect_response(f"{service.url}/what-if") as answered:
        row.get_by_role("slider").fill("90")
    assert answered.value.status == 200
    expect(row.locator(".difference")).to_contain_text("€")


def test_the_keyboard_alone_is_enough(open_page: OpenPage) -> None:
    page = open_page()
    seen: list[str] = []

    def focused() -> str:
        return str(page.evaluate("document.activeElement.id || document.activeElement.type || ''"))

    for _ in range(12):
        page.keyboard.press("Tab")
        if not seen or focused() != seen[-1]:
            seen.append(focused())
        ring = page.evaluate(
            """() => { const at = document.activeElement;
            return [at, at.parentElement].some(one => getComputedStyle(one).outlineStyle === "solid") }"""
        )
        assert ring, f"nobody sees that {focused()} has the focus"
        if focused() == "age":
            page.keyboard.press("Control+A")
            page.keyboard.type("52")
        if focused() == "training":
            page.keyboard.press("Space")
        if focused() == "submit":
            break
    assert seen == [
        "age",
        "miles",
        "training",
        "power",
        "braking_distance",
        "emergency_braking",
        "effective_date",
        "submit",
    ]
    page.keyboard.press("Enter")
    expect(page.locator("#answer:focus")).to_have_count(1)
    expect(page.locator(".reason", has_text="Driver safety training")).to_contain_text("yes")
    expect(page.locator(".reason", has_text="Age")).to_contain_text("52")
    page.keyboard.press("Tab")
    assert focused() == "change-age"
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-feature=age] .value")).to_have_text("51 years")
    expect(page.locator("[data-feature=age] .difference")).to_contain_text("€")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_it_fits_a_phone_and_everybody_can_read_it(open_page: OpenPage, scheme: str, language: str) -> None:
    page = open_page(color_scheme=scheme, viewport=PHONE, locale={"en": "en-US", "de": "de-DE"}[language])
    assert page.locator("html").get_attribute("lang") == language
    name = f"phone-{language}-{scheme}"
    assert not is_wide(page)
    assert violations(page) == []
    keep(page, ARTIFACTS, f"{name}-empty")
    page.locator("#age").fill("7")
    page.locator("#power").fill("viel")
    submit(page)
    expect(page.locator(".problem")).to_have_count(2)
    assert not is_wide(page)
    assert violations(page) == []
    keep(page, ARTIFACTS, f"{name}-wrong")
    page.locator("#age").fill("99")
    page.locator("#power").fill("120")
    submit(page)
    expect(page.locator(".note")).to_have_count(1)  # the rules answered
    assert not is_wide(page)
    assert violations(page) == []
    keep(page, ARTIFACTS, f"{name}-rules")
    page.locator("#age").fill("41.5")
    submit(page)
    page.locator("#change-miles").fill("20")
    expect(page.locator("[data-feature=miles] .difference")).to_contain_text("€")
    assert not is_wide(page)
    assert violations(page) == []
    keep(page, ARTIFACTS, name)
    red, green, blue = re.findall(r"\d+", page.locator("body").evaluate("at => getComputedStyle(at).backgroundColor"))
    assert (int(red) + int(green) + int(blue) > 600) == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_desk_shows_form_and_quote_side_by_side(open_page: OpenPage, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    submit(page)
    form, answer = page.locator("form").bounding_box(), page.locator("#answer").bounding_box()
    assert form is not None
    assert answer is not None
    assert form["x"] + form["width"] < answer["x"]
    assert abs(form["y"] - answer["y"]) < 5
    assert violations(page) == []
    keep(page, ARTIFACTS, f"desk-{scheme}")


def test_german_readers_read_german(open_page: OpenPage) -> None:
    page = open_page(locale="de-DE")
    expect(page).to_have_title("Was kostet die Versicherung des Autos?")
    page.get_by_label("Bremsweg").fill("41,5")
    submit(page)
    expect(page.locator(".price strong")).to_have_text(re.compile(r"^[0-9.]+,[0-9]{2}\s€$"))
    expect(page.locator(".reasons")).to_contain_text("Ein Bremsweg von 41,5 Metern aus 100 km/h")
    page.locator("#change-power").fill("200")
    expect(page.locator("[data-feature=power] .premium")).to_have_text(re.compile(r"^[0-9.]+,[0-9]{2}\s€$"))
    expect(page.locator("[data-feature=power] .value")).to_have_text("200 kW")


def test_it_works_without_javascript(open_page: OpenPage, database: Engine) -> None:
    page = open_page(java_script_enabled=False)
    page.get_by_label("Age").fill("old")
    submit(page)
    expect(page.locator("#age-problem")).to_have_text("Enter a number from 15 to 120.")
    expect(page.get_by_label("Age")).to_have_value("old")
    page.get_by_label("Age").fill("44")
    before = quotes_of_the_page(database)
    submit(page)
    expect(page.locator(".price strong")).to_contain_text("€")
    expect(page.locator("#what-if")).to_be_hidden()
    keep(page, ARTIFACTS, "without-javascript")
    page.reload()  # sends the form again
    expect(page.locator(".price strong")).to_contain_text("€")
    assert quotes_of_the_page(database) == before + 1
    page.go_back()
    page.get_by_label("Age").fill("45")
    submit(page)
    expect(page.locator(".reason", has_text="Age")).to_contain_text("45")
    assert quotes_of_the_page(database) == before + 2


def test_what_is_wrong_stands_beside_its_field(open_page: OpenPage, database: Engine) -> None:
    before = quotes_of_the_page(database)
    page = open_page()
    for name, value in {"age": "14", "miles": "-1", "power": "", "braking_distance": "1e3"}.items():
        page.locator(f"#{name}").fill(value)
    page.locator("#emergency_braking").uncheck()
    submit(page)
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page).to_have_title("Error: What will insuring the car cost?")
    for name, value, problem in (
        ("age", "14", "Enter a number from 15 to 120."),
        ("miles", "-1", "Enter a number 0 or more."),
        ("power", "", "Enter a number above 0."),
        ("braking_distance", "1e3", "Enter a number above 0."),
    ):
        field = page.locator(f"#{name}")
        expect(field).to_have_value(value)
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_have_accessible_description(re.compile(re.escape(problem)))
    expect(page.locator("#emergency_braking")).not_to_be_checked()
    links = page.get_by_role("alert").get_by_role("link")
    assert [link.get_attribute("href") for link in links.all()] == ["#age", "#miles", "#power", "#braking_distance"]
    keep(page, ARTIFACTS, "wrong")
    page.get_by_role("link", name=re.compile("Engine power")).click()
    expect(page.locator("#power")).to_be_focused()
    assert quotes_of_the_page(database) == before


def test_whoever_wants_less_motion_gets_none(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].filter(at => {
          const style = getComputedStyle(at);
          return style.transitionDuration !== "0s" || style.animationName !== "none"
            || style.scrollBehavior === "smooth";
        }).length"""
    )
    assert moving == 0
