"""What the service refuses, and that nothing makes it fail."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from motorisk.warehouse.tables import quote

JsonObject = dict[str, Any]

GOOD = (
    '{"driver": {"training": false, "age": 35, "miles": 45.9},'
    ' "vehicle": {"emergency_braking": false, "braking_distance": 45.0, "power": 90.0}}'
)
TEMPLATES = {
    "driver.age": GOOD.replace("35", "%s"),
    "driver.miles": GOOD.replace("45.9", "%s"),
    "driver.training": GOOD.replace('"training": false', '"training": %s'),
    "vehicle.power": GOOD.replace("90.0", "%s"),
    "vehicle.braking_distance": GOOD.replace("45.0", "%s"),
    "vehicle.emergency_braking": GOOD.replace('"emergency_braking": false', '"emergency_braking": %s'),
    "effective_date": GOOD[:-1] + ', "effective_date": %s}',
    "reference": GOOD[:-1] + ', "reference": %s}',
}
NOT_FINITE = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400, "1" + "0" * 5000]
NO_NUMBERS = ['"35"', '"text"', '""', "true", "false", "null", "[]", "[35]", "{}"]
NO_FLAGS = ["2", "-1", "0.5", '"true"', '"1"', "null", "[]", "{}", "NaN", "1e999", "1" + "0" * 400]
NO_DATES = ['"2026-02-30"', '"20260101"', '"2026-1-1"', '"2026-W01-1"', '"2026-01-01T00:00:00"', '"tomorrow"', '""']
FAR_DATES = ['"1899-12-31"', '"2200-01-01"', '"0001-01-01"', '"9999-12-31"']


def post(client: httpx.Client, content: str | bytes | Iterator[bytes], media_type: str = "application/json") -> Any:
    return client.post("/v1/quotes", content=content, headers={"Content-Type": media_type})


def problem_of(response: httpx.Response, status: int) -> JsonObject:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document: JsonObject = response.json()
    assert document["status"] == status
    assert {"type", "title", "detail"} <= document.keys()
    assert "Traceback" not in response.text
    return document


def assert_refused(response: httpx.Response, *expected: tuple[str, str]) -> None:
    found = problem_of(response, 422)["errors"]
    assert found == [{"field": field, "problem": problem} for field, problem in sorted(expected)]


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("field", ["driver.age", "driver.miles", "vehicle.power", "vehicle.braking_distance"])
def test_numbers_must_be_finite(client: httpx.Client, field: str, value: str) -> None:
    assert_refused(post(client, TEMPLATES[field] % value), (field, "must be a finite number"))


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("field", ["driver.age", "driver.miles", "vehicle.power", "vehicle.braking_distance"])
def test_text_and_booleans_are_no_numbers(client: httpx.Client, field: str, value: str) -> None:
    assert_refused(post(client, TEMPLATES[field] % value), (field, "must be a number"))


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("driver.age", "14.999", "must be at least 15"),
        ("driver.age", "-35", "must be at least 15"),
        ("driver.age", "120.001", "must be at most 120"),
        ("driver.miles", "-0.001", "must be at least 0"),
        ("vehicle.power", "0", "must be greater than 0"),
        ("vehicle.power", "-90", "must be greater than 0"),
        ("vehicle.braking_distance", "0.0", "must be greater than 0"),
        ("vehicle.braking_distance", "-1e-300", "must be greater than 0"),
    ],
)
def test_impossible_values_are_refused(client: httpx.Client, field: str, value: str, problem: str) -> None:
    assert_refused(post(client, TEMPLATES[field] % value), (field, problem))


@pytest.mark.parametrize(("field", "value"), [("driver.age", "15"), ("driver.age", "120"), ("driver.miles", "0")])
def test_the_bounds_themselves_are_possible(client: httpx.Client, field: str, value: str) -> None:
    assert post(client, TEMPLATES[field] % value).status_code == 201


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("value", NO_FLAGS)
@pytest.mark.parametrize("field", ["driver.training", "vehicle.emergency_braking"])
def test_flags_are_true_false_one_or_zero(client: httpx.Client, field: str, value: str) -> None:
    assert_refused(post(client, TEMPLATES[field] % value), (field, "must be true or false (or 1 or 0)"))


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("value", [*NO_DATES, "20260101", "1767225600", "true", "[]", "{}"])
def test_an_effective_date_is_an_iso_date(client: httpx.Client, value: str) -> None:
    assert_refused(post(client, TEMPLATES["effective_date"] % value), ("effective_date", "must be a date, YYYY-MM-DD"))


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("value", FAR_DATES)
def test_an_effective_date_is_of_these_centuries(client: httpx.Client, value: str) -> None:
    refused = ("effective_date", "must be from 1900-01-01 to 2199-12-31")
    assert_refused(post(client, TEMPLATES["effective_date"] % value), refused)


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("7", "must be text"),
        ("true", "must be text"),
        ("[]", "must be text"),
        ('"' + "x" * 101 + '"', "must be at most 100 characters"),
        ('"a\\u0000b"', "must not contain control characters"),
        ('"a\\nb"', "must not contain control characters"),
        ('"\\ud800"', "contains text that is not valid Unicode"),
    ],
)
def test_a_reference_is_a_short_text(client: httpx.Client, value: str, problem: str) -> None:
    assert_refused(post(client, TEMPLATES["reference"] % value), ("reference", problem))


def test_a_reference_may_be_a_hundred_characters_of_any_script(client: httpx.Client) -> None:
    response = post(client, TEMPLATES["reference"] % json.dumps("é" * 98 + "😀 "))
    assert response.json()["reference"] == "é" * 98 + "😀 "


@pytest.mark.bad_input("HTTP request")
def test_every_bad_field_is_named_at_once(client: httpx.Client) -> None:
    content = {
        "driver": {"training": "yes", "age": 14, "milse": 5},
        "vehicle": {"emergency_braking": 2, "braking_distance": 0, "power": "90"},
        "effective_date": "soon",
        "colour": "red",
    }
    assert_refused(
        post(client, json.dumps(content)),
        ("colour", "is not a known field"),
        ("driver.age", "must be at least 15"),
        ("driver.miles", "is missing"),
        ("driver.milse", "is not a known field"),
        ("driver.training", "must be true or false (or 1 or 0)"),
        ("effective_date", "must be a date, YYYY-MM-DD"),
        ("vehicle.braking_distance", "must be greater than 0"),
        ("vehicle.emergency_braking", "must be true or false (or 1 or 0)"),
        ("vehicle.power", "must be a number"),
    )


@pytest.mark.bad_input("HTTP request")
def test_missing_parts_are_named(client: httpx.Client) -> None:
    assert_refused(post(client, "{}"), ("driver", "is missing"), ("vehicle", "is missing"))
    half = '{"driver": null, "vehicle": {"power": 90}}'
    assert_refused(
        post(client, half),
        ("driver", "must be an object"),
        ("vehicle.braking_distance", "is missing"),
        ("vehicle.emergency_braking", "is missing"),
    )


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("content", ["[]", "null", "5", '"text"', json.dumps(GOOD), "true", "NaN", f"[{GOOD}]"])
def test_a_body_must_be_an_object(client: httpx.Client, content: str) -> None:
    assert_refused(post(client, content), ("", "must be an object"))


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        GOOD[:-1],
        GOOD + "x",
        GOOD.replace('"', "'"),
        b"\xff\xfe",
        GOOD.encode("utf-16"),
        b'{"a": "\xed\xa0\x80"}',
        b"\x00",
        "[" * 60_000,
        '{"a":' * 10_000,
    ],
)
def test_what_is_no_json_is_a_bad_request(client: httpx.Client, content: str | bytes) -> None:
    problem_of(post(client, content), 400)


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("content", ["[" * 900 + "]" * 900, '{"driver":' * 900 + "1" + "}" * 900])
def test_deep_nesting_does_no_harm(client: httpx.Client, content: str) -> None:
    assert post(client, content).status_code in {400, 422}


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("part", ['"age": 35, "age": 35', '"age": 35, "\\u0061ge": 36'])
def test_a_key_given_twice_is_a_bad_request(client: httpx.Client, part: str) -> None:
    document = problem_of(post(client, GOOD.replace('"age": 35', part)), 400)
    assert document["detail"] == "the key 'age' appears more than once in an object"


@pytest.mark.bad_input("HTTP request")
def test_thousands_of_unknown_fields_are_answered_briefly(client: httpx.Client) -> None:
    response = post(client, json.dumps({f"k{number}": 1 for number in range(5000)}))
    problem_of(response, 422)
    assert len(response.content) < 20_000


@pytest.mark.bad_input("HTTP request")
def test_an_unknown_field_with_a_long_name_is_not_repeated_in_full(client: httpx.Client) -> None:
    response = post(client, json.dumps({"x" * 60_000: 1}))
    problem_of(response, 422)
    assert len(response.content) < 2_000


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"]
)
def test_only_json_is_taken(client: httpx.Client, media_type: str) -> None:
    problem_of(post(client, GOOD, media_type), 415)


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"])
def test_json_may_be_called_by_its_other_names(client: httpx.Client, media_type: str) -> None:
    assert post(client, GOOD, media_type).status_code == 201


@pytest.mark.bad_input("HTTP request")
def test_a_body_of_exactly_64_kib_is_read_and_one_byte_more_is_not(client: httpx.Client) -> None:
    assert post(client, GOOD.ljust(64 * 1024)).status_code == 201
    document = problem_of(post(client, GOOD.ljust(64 * 1024 + 1)), 413)
    assert document["detail"] == "the body is larger than 64 KiB"


@pytest.mark.bad_input("HTTP request")
def test_a_chunked_body_is_read_up_to_the_same_size(client: httpx.Client) -> None:
    assert post(client, iter([GOOD[:50].encode(), GOOD[50:].encode()])).status_code == 201
    problem_of(post(client, (b" " * 1024 for _ in range(65))), 413)


@pytest.mark.bad_input("HTTP request")
def test_the_connection_serves_on_after_a_refusal(client: httpx.Client) -> None:
    for content in ["x" * 100_000, "{", "[]"]:
        assert post(client, content).status_code >= 400
        assert post(client, GOOD).status_code == 201


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/quotes", "POST"),
        ("DELETE", "/v1/quotes", "POST"),
        ("PUT", "/v1/model", "GET"),
        ("POST", "/healthz", "GET"),
        ("POST", "/metrics", "GET"),
        ("PATCH", "/v1/quotes/00000000-0000-4000-8000-000000000000", "GET"),
    ],
)
def test_another_method_is_not_allowed(client: httpx.Client, method: str, path: str, allowed: str) -> None:
    response = client.request(method, path)
    problem_of(response, 405)
    assert allowed in response.headers["Allow"]


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("path", ["/v1", "/v1/quote", "/v1/quotes/", "/docs/assets/../plugins.py", "/docs/assets/x"])
def test_an_unknown_address_is_not_found(client: httpx.Client, path: str) -> None:
    problem_of(client.get(path), 404)


@pytest.mark.bad_input("HTTP request")
def test_refused_requests_leave_nothing_in_the_ledger(client: httpx.Client, database: Engine) -> None:
    def count() -> int | None:
        with database.connect() as connection:
            return connection.scalar(select(func.count()).select_from(quote))

    before = count()
    for content in [TEMPLATES["driver.age"] % "14", TEMPLATES["reference"] % "7", "{", "[]"]:
        assert post(client, content).status_code >= 400
    assert count() == before


@pytest.mark.bad_input("HTTP request")
def test_headers_beyond_measure_are_refused_by_the_server(client: httpx.Client) -> None:
    address = urlsplit(str(client.base_url))
    for head in [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: 1\r\n" % i for i in range(200)) + b"\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
    ]:
        with socket.create_connection((str(address.hostname), address.port or 0), timeout=10) as connection:
            connection.sendall(head)
            answer = connection.recv(65536).decode()
        assert answer.startswith("HTTP/1.1 4")
        headers, _, content = answer.partition("\r\n\r\n")
        assert "Content-Type: application/problem+json" in headers
        assert "X-Content-Type-Options: nosniff" in headers
        assert json.loads(content)["status"] == int(answer.split()[1])
        assert "xxxx" not in content
        assert "Traceback" not in answer


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner), max_leaves=8
)
names = st.sampled_from(["training", "age", "miles", "emergency_braking", "braking_distance", "power", "x"])
bodies = st.fixed_dictionaries(
    {},
    optional={
        "driver": st.dictionaries(names, anything, max_size=7) | anything,
        "vehicle": st.dictionaries(names, anything, max_size=7) | anything,
        "effective_date": anything | st.dates().map(str),
        "reference": anything,
    },
)


@pytest.mark.bad_input("HTTP request")
@settings(max_examples=150, deadline=None)
@given(content=bodies | anything)
def test_no_json_document_makes_the_service_fail(client: httpx.Client, content: object) -> None:
    response = post(client, json.dumps(content))
    assert response.status_code in {201, 400, 422}, response.text


@pytest.mark.bad_input("HTTP request")
@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200))
def test_no_bytes_make_the_service_fail(client: httpx.Client, content: bytes) -> None:
    assert post(client, content).status_code in {400, 422}
