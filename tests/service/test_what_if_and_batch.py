"""What would change a premium, many quotes at once, and the language of reasons."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, select

from motorisk.domain.policy import FEATURES
from motorisk.warehouse.tables import quote

JsonObject = dict[str, Any]


def rows(database: Engine) -> int:
    with database.connect() as connection:
        return connection.scalar(select(func.count()).select_from(quote)) or 0


def test_a_change_costs_what_a_quote_for_it_would_and_nothing_is_stored(
    client: httpx.Client, database: Engine, body: JsonObject
) -> None:
    before = rows(database)
    changes = [
        {"feature": "training", "value": True},
        {"feature": "miles", "value": 10},
        {"feature": "age", "value": 119.5},
    ]
    asked = body | {"effective_date": "2026-06-01"}
    response = client.post("/v1/quotes/what-if", json=asked | {"changes": changes})
    assert response.status_code == 200, response.text
    document = response.json()
    assert rows(database) == before
    usual = client.post("/v1/quotes", json=asked).json()
    assert document["price"] == {name: usual[name] for name in document["price"]}
    assert [(change["feature"], change["value"]) for change in document["changes"]] == [
        ("training", True),
        ("miles", 10.0),
        ("age", 119.5),
    ]
    for change in document["changes"]:
        part = FEATURES[change["feature"]].part
        changed = json.loads(json.dumps(asked))
        changed[part][change["feature"]] = change["value"]
        would_be = client.post("/v1/quotes", json=changed).json()
        for name in ("premium", "risk_class", "predictor", "expected_risk", "warnings"):
            assert change[name] == would_be[name]
        difference = Decimal(would_be["premium"]["gross"]) - Decimal(usual["premium"]["gross"])
        assert Decimal(change["gross_difference"]) == difference


def test_without_changes_every_feature_is_changed(client: httpx.Client, body: JsonObject) -> None:
    document = client.post("/v1/quotes/what-if", json=body).json()
    changed = [change["feature"] for change in document["changes"]]
    assert list(dict.fromkeys(changed)) == list(FEATURES)
    assert changed.count("training") == 1
    assert changed.count("power") == 5
    assert {change["predictor"] for change in document["changes"]} == {"model"}


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ([{"feature": "age", "value": 14}], "changes.0"),
        ([{"feature": "power", "value": 90}, {"feature": "power", "value": 0}], "changes.1"),
        ([{"feature": "miles", "value": True}], "changes.0"),
        ([{"feature": "training", "value": 0.5}], "changes.0"),
        ([{"feature": "colour", "value": 1}], "changes.0.feature"),
        ([{"feature": "age"}], "changes.0.value"),
        ([{"feature": "age", "value": 1e999}], "changes.0"),
        ("all", "changes"),
        ([{"feature": "age", "value": 40}] * 201, "changes"),
    ],
)
def test_an_impossible_change_is_refused_by_its_place(
    client: httpx.Client, body: JsonObject, changes: object, field: str
) -> None:
    content = json.dumps(body | {"changes": changes})
    response = client.post("/v1/quotes/what-if", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert {error["field"] for error in response.json()["errors"]} == {field}


def test_a_batch_answers_or_refuses_each_by_itself(client: httpx.Client, database: Engine, body: JsonObject) -> None:
    before = rows(database)
    young = body | {"driver": body["driver"] | {"age": 14}}
    old = body | {"driver": body["driver"] | {"age": 119}, "reference": "old"}
    early = body | {"effective_date": "1999-12-31"}
    asked = [body, young, old, 17, early, {}, body | {"reference": "last"}]
    response = client.post("/v1/quotes/batch", json={"quotes": asked})
    assert response.status_code == 200, response.text
    document = response.json()
    assert (document["answered"], document["refused"]) == (3, 4)
    results = document["results"]
    assert [result["index"] for result in results] == list(range(7))
    assert [result["status"] for result in results] == [201, 422, 201, 422, 422, 422, 201]
    assert rows(database) == before + 3
    for result in results:
        assert (result["quote"] is None) != (result["problem"] is None)
        if result["quote"]:
            assert client.get(f"/v1/quotes/{result['quote']['quote_id']}").json() == result["quote"]
    assert results[1]["problem"]["errors"] == [{"field": "driver.age", "problem": "must be at least 15"}]
    assert results[3]["problem"]["errors"] == [{"field": "", "problem": "must be an object"}]
    assert results[4]["problem"]["errors"][0]["field"] == "effective_date"
    assert results[2]["quote"]["predictor"] == "rules"


def test_a_thousand_at_once_and_no_more(client: httpx.Client, database: Engine, body: JsonObject) -> None:
    before = rows(database)
    document = client.post("/v1/quotes/batch", json={"quotes": [body] * 1000}).json()
    assert document["answered"] == 1000
    assert len({result["quote"]["quote_id"] for result in document["results"]}) == 1000
    assert rows(database) == before + 1000
    for wrong in ([body] * 1001, [], {}, None):
        response = client.post("/v1/quotes/batch", json={"quotes": wrong})
        assert response.status_code == 422
        assert [error["field"] for error in response.json()["errors"]] == ["quotes"]


def test_a_batch_takes_no_key(client: httpx.Client, body: JsonObject) -> None:
    response = client.post("/v1/quotes/batch", json={"quotes": [body]}, headers={"Idempotency-Key": "k"})
    assert (response.status_code, response.json()["title"]) == (422, "Idempotency-Key not taken")


@pytest.mark.bad_input("HTTP request")
def test_a_batch_of_more_than_a_mebibyte_is_refused(client: httpx.Client, body: JsonObject) -> None:
    content = json.dumps({"quotes": [body]}).ljust(1024 * 1024 + 1)
    response = client.post("/v1/quotes/batch", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (None, "en"),
        ("de", "de"),
        ("de-AT, en;q=0.5", "de"),
        ("fr, de;q=0.5, en;q=0.4", "de"),
        ("fr", "en"),
        ("en-GB", "en"),
        ("*", "en"),
        ("de;q=0", "en"),
        ("nonsense;;;", "en"),
    ],
)
def test_reasons_come_in_the_language_that_is_preferred(
    client: httpx.Client, body: JsonObject, wanted: str | None, language: str
) -> None:
    headers = {} if wanted is None else {"Accept-Language": wanted}
    response = client.post("/v1/quotes", json=body, headers=headers)
    assert response.headers["Content-Language"] == language
    assert response.headers["Vary"] == "Accept-Language"
    ending = {"en": "of our portfolio.", "de": "unseres Bestands."}[language]
    assert all(reason["text"].endswith(ending) for reason in response.json()["reasons"])
    again = client.get(response.headers["Location"], headers=headers)
    assert again.json() == response.json()
    assert again.headers["Content-Language"] == language


def test_warnings_come_in_german_too(client: httpx.Client, body: JsonObject) -> None:
    body["driver"]["age"] = 101.5
    response = client.post("/v1/quotes", json=body, headers={"Accept-Language": "de"})
    (warning,) = response.json()["warnings"]
    assert "das Alter beträgt 101,5 Jahre" in warning
