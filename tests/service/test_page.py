"""The page for people over HTTP: who may send its form, what is stored, and when there is a page at all."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from pydantic import ValidationError
from sqlalchemy import Engine, func, select

from motorisk.pipelines.replay import replay_ids
from motorisk.settings import Settings
from motorisk.warehouse.tables import quote
from motorisk_web.app import create_app
from motorisk_web.exposure import has_page

FIELDS = {"age": "35", "miles": "45.9", "power": "90", "braking_distance": "45"}


@pytest.fixture
def visitor(service: Any) -> Iterator[httpx.Client]:
    """A browser, as far as cookies go."""
    with service.client() as opened:
        yield opened


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the form."""
    return dict(re.findall('<input type="hidden" name="([a-z]+)" value="([^"]+)"', page))


def stored(database: Engine) -> int:
    with database.connect() as connection:
        return connection.scalar(select(func.count()).where(quote.c.channel == "page")) or 0


def test_a_form_sent_twice_makes_one_quote(visitor: httpx.Client, database: Engine) -> None:
    form = FIELDS | hidden(visitor.get("/").text)
    before = stored(database)
    first, second = visitor.post("/", data=form), visitor.post("/", data=form)
    assert (first.status_code, second.status_code) == (200, 200)
    ids = [re.findall('id="quote-id">([^<]+)<', answer.text) for answer in (first, second)]
    assert ids[0] == ids[1] != []
    assert stored(database) == before + 1
    read = visitor.get(f"/v1/quotes/{ids[0][0]}").json()
    assert read["quote_id"] == ids[0][0]
    assert f"€{read['premium']['gross']}" in first.text


def test_the_old_form_filled_in_differently_makes_another_quote(visitor: httpx.Client, database: Engine) -> None:
    form = FIELDS | hidden(visitor.get("/").text)
    before = stored(database)
    for age in ("35", "36"):
        assert visitor.post("/", data=form | {"age": age}).status_code == 200
    assert stored(database) == before + 2


def test_two_tabs_share_their_token(visitor: httpx.Client) -> None:
    first, second = (FIELDS | hidden(visitor.get("/").text) for _ in range(2))
    assert first["token"] == second["token"]
    assert first["key"] != second["key"]
    assert [visitor.post("/", data=form).status_code for form in (first, second)] == [200, 200]


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("attack", ["no cookie", "no field", "another token", "another site", "a neighbour"])
def test_a_form_of_another_site_stores_nothing(service: Any, database: Engine, attack: str) -> None:
    before = stored(database)
    with service.client() as browser:
        form = FIELDS | hidden(browser.get("/").text)
        headers = {}
        if attack == "no cookie":  # SameSite=Strict: browsers leave it out
            browser.cookies.clear()
        elif attack == "no field":
            del form["token"]
        elif attack == "another token":
            form["token"] = "é" * 22
        else:
            headers = {"Sec-Fetch-Site": "cross-site" if attack == "another site" else "same-site"}
        answer = browser.post("/", data=form, headers=headers)
        assert answer.status_code == 403
        assert "send the form once more" in answer.text
        assert 'value="45.9"' in answer.text
        assert stored(database) == before
        again = FIELDS | hidden(answer.text)
        assert browser.post("/", data=again).status_code == 200


def test_the_cookie_stays_on_this_site_and_away_from_scripts(visitor: httpx.Client) -> None:
    cookie = visitor.get("/").headers["Set-Cookie"]
    assert re.fullmatch(r"motorisk_page=[A-Za-z0-9_-]{22}; HttpOnly; Path=/; SameSite=Strict", cookie)


def test_the_pages_what_if_answers_the_page_alone(visitor: httpx.Client, body: dict[str, Any]) -> None:
    token = hidden(visitor.get("/").text)["token"]
    asked = body | {"changes": [{"feature": "power", "value": 120.0}]}
    assert visitor.post("/what-if", json=asked).status_code == 403
    answered = visitor.post("/what-if", json=asked, headers={"X-Page-Token": token})
    assert answered.json() == visitor.post("/v1/quotes/what-if", json=asked).json()


def test_only_own_files_may_be_loaded_and_nothing_is_inline(visitor: httpx.Client) -> None:
    form = FIELDS | hidden(visitor.get("/").text)
    answer = visitor.post("/", data=form)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "://" not in answer.text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?! src=)", answer.text)
    loaded = re.findall('(?:src|href)="(/page/[^"]+)"', answer.text)
    assert len(loaded) == 3
    for address in loaded:
        asset = visitor.get(address)
        assert asset.status_code == 200
        kept = visitor.get(address, headers={"If-None-Match": asset.headers["ETag"]})
        assert kept.status_code == 304
    assert visitor.get("/page/../views.py").status_code == 404


def test_what_visitors_type_is_text(visitor: httpx.Client) -> None:
    form = FIELDS | hidden(visitor.get("/").text) | {"age": '"><script>alert(1)</script>'}
    answer = visitor.post("/", data=form)
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize(
    ("start", "status"), [("2026-12-31", 200), ("1950-01-01", 422), ("tomorrow", 422), ("9999-01-01", 422)]
)
def test_the_start_is_a_day_with_prices(visitor: httpx.Client, start: str, status: int) -> None:
    form = FIELDS | hidden(visitor.get("/").text) | {"effective_date": start}
    answer = visitor.post("/", data=form)
    assert answer.status_code == status
    assert ("31 December 2026" in answer.text) == (status == 200)
    assert ("Enter a day for which there are prices" in answer.text) == (status == 422)


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize(
    ("value", "status"),
    [("35,5", 200), (" 35 ", 200), ("1e2", 422), ("1_0", 422), ("٣٥", 422), ("inf", 422), ("9" * 400, 422), ("", 422)],
)
def test_numbers_are_read_as_people_write_them(visitor: httpx.Client, value: str, status: int) -> None:
    form = FIELDS | hidden(visitor.get("/").text) | {"age": value}
    assert visitor.post("/", data=form).status_code == status


@pytest.mark.bad_input("HTTP request")
def test_other_bodies_are_refused(visitor: httpx.Client) -> None:
    assert visitor.post("/", json=FIELDS).status_code == 415
    assert visitor.post("/", data=FIELDS | {"age": "1" * 20_000}).status_code == 413


@pytest.mark.fault("no champion")
def test_without_a_champion_the_page_says_so(start_app: Callable[[], FlaskClient], database_url: str) -> None:
    browser = start_app()
    page = browser.get("/")
    assert page.status_code == 200
    answer = browser.post("/", data=FIELDS | hidden(page.text))
    assert answer.status_code == 503
    assert "There are no prices right now" in answer.text
    assert 'value="45.9"' in answer.text


def test_a_page_that_is_off_leads_to_the_api(settings: Settings) -> None:
    for options in ({"quote_page": "off"}, {"quote_host": "192.0.2.7"}):
        browser = create_app(settings.model_copy(update=options)).test_client()
        answer = browser.get("/")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/docs/")
        assert browser.post("/", data=FIELDS).status_code == 405
        assert browser.post("/what-if", json={}).status_code == 404
        assert browser.get("/page/page.css").status_code == 404


@pytest.mark.parametrize(
    ("page", "host", "shown"),
    [
        (None, "127.0.0.1", True),
        (None, "::1", True),
        (None, "localhost", True),
        (None, "192.0.2.7", False),
        (None, "quotes.internal", False),
        ("on", "192.0.2.7", True),
        ("off", "127.0.0.1", False),
    ],
)
def test_by_default_only_this_machine_is_shown_the_page(page: Any, host: str, shown: bool) -> None:
    assert has_page(Settings(quote_page=page, quote_host=host)) is shown


def test_where_keys_are_required_the_page_is_shown_only_on_request() -> None:
    assert not has_page(Settings(quote_access="keys"))
    assert has_page(Settings(quote_access="keys", quote_page="on"))


def test_the_page_is_on_or_off() -> None:
    with pytest.raises(ValidationError):
        Settings(quote_page="yes")  # type: ignore[arg-type]


@pytest.mark.fault("Postgres stopped")
def test_the_page_quotes_while_the_database_is_away(
    start_service: Callable[[], Any], warehouse: Engine, approve: Callable[[Engine], int], unreachable: Any
) -> None:
    version = approve(warehouse)
    service = start_service()
    service.wait_until_served(version)
    with service.client() as browser:
        form = FIELDS | hidden(browser.get("/").text)
        with unreachable(warehouse):
            first, second = browser.post("/", data=form), browser.post("/", data=form)
            (quote_id,) = {*re.findall('id="quote-id">([^<]+)<', first.text + second.text)}
            read = browser.get(f"/v1/quotes/{quote_id}")
        service.wait_for_status("/readyz", 200)
    assert (first.status_code, second.status_code) == (200, 200)
    assert "Our database is away at the moment" in first.text
    assert (read.status_code, read.json()["recorded"]) == (200, "journal")
    deadline = time.monotonic() + 20
    while stored(warehouse) == 0:
        assert time.monotonic() < deadline, service.log.read_text()
        time.sleep(0.1)
    with warehouse.connect() as connection:
        (row,) = connection.execute(select(quote)).all()
    assert (row.channel, str(row.quote_id)) == ("page", quote_id)
    run = replay_ids(warehouse, [row.quote_id])
    assert (run.quotes, run.is_exact) == (1, True)
