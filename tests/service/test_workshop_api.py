"""The workshop's older API, answered to the letter."""

import http.client
import json
import time
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, select

from motorisk.warehouse.tables import quote

JsonObject = dict[str, Any]


@pytest.mark.parametrize("path", ["/predict", "/predict/"])
def test_a_prediction_by_the_model_has_probabilities(
    client: httpx.Client, database: Engine, body: JsonObject, path: str
) -> None:
    response = client.post(path, json=body | {"reference": f"model {path}"})
    document = response.json()
    assert response.status_code == 200
    assert list(document) == ["prediction", "probabilities", "predictor_type"]
    assert list(document["probabilities"]) == ["HIGH", "MEDIUM", "LOW"]
    assert document["predictor_type"] == "MODEL"
    assert document["prediction"] == max(document["probabilities"], key=document["probabilities"].get)
    with database.connect() as connection:
        row = connection.execute(select(quote).where(quote.c.reference == f"model {path}")).one()
    assert (row.channel, row.risk_class.upper(), row.tariff) == ("predict", document["prediction"], "standard")


def test_a_prediction_agrees_with_a_quote(client: httpx.Client, body: JsonObject) -> None:
    asked = body | {"effective_date": "2026-06-01"}
    prediction = client.post("/predict/", json=asked).json()
    probabilities = client.post("/v1/quotes", json=asked).json()["probabilities"]
    assert {name.lower(): value for name, value in prediction["probabilities"].items()} == probabilities


def test_a_prediction_by_the_rules_has_none(client: httpx.Client, body: JsonObject) -> None:
    body["driver"]["age"] = 119
    expected = {"prediction": "HIGH", "probabilities": None, "predictor_type": "RULES"}
    assert client.post("/predict/", json=body).json() == expected


@pytest.mark.parametrize("path", ["/predict/mock", "/predict/mock/"])
def test_mock_records_the_input_and_answers_null(
    client: httpx.Client, database: Engine, body: JsonObject, path: str
) -> None:
    body["driver"]["training"] = 1
    response = client.post(path, json=body | {"reference": path})
    assert (response.status_code, response.text) == (200, "null")
    assert response.headers["Content-Type"] == "application/json"
    deadline = time.monotonic() + 10  # it is recorded a moment later
    row = None
    while row is None:
        assert time.monotonic() < deadline
        with database.connect() as connection:
            row = connection.execute(select(quote).where(quote.c.reference == path)).one_or_none()
    assert (row.channel, row.training, row.age, row.miles, row.power) == ("mock", True, 35.0, 45.9, 90.0)
    assert (row.version, row.predictor, row.gross) == (None, None, None)


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("path", ["/predict", "/predict/", "/predict/mock", "/predict/mock/"])
def test_wrong_inputs_are_refused_as_by_the_newer_api(
    client: httpx.Client, database: Engine, body: JsonObject, path: str
) -> None:
    body["driver"]["age"] = "old"
    response = client.post(path, json=body | {"reference": "refused"})
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["errors"] == [{"field": "driver.age", "problem": "must be a number"}]
    with database.connect() as connection:
        assert connection.scalar(select(quote.c.quote_id).where(quote.c.reference == "refused")) is None


@pytest.mark.parametrize("path", ["/predict", "/predict/", "/predict/mock", "/predict/mock/"])
def test_the_older_api_is_asked_by_post_only(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


def test_the_workshops_client_asks_row_after_row_on_one_connection(
    service: Any, database: Engine, body: JsonObject
) -> None:
    """As the workshop's program does: no headers but the content's, flags as a table has them, whole numbers."""
    address = service.url.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=30)
    connection.connect()
    opened = connection.sock
    before = _rows(database)
    for number in range(50):
        row = {
            "driver": {"training": number % 2, "age": 20 + number, "miles": 30},
            "vehicle": {"emergency_braking": 1 - number % 2, "braking_distance": 40, "power": 80 + number},
        }
        for path in ("/predict/mock", "/predict/"):
            connection.request("POST", path, json.dumps(row), {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = json.loads(response.read())
            assert response.status == 200
            assert (content is None) == (path == "/predict/mock")
    assert connection.sock is opened
    connection.close()
    assert _rows(database) == before + 100


def _rows(database: Engine) -> int:
    with database.connect() as connection:
        return connection.scalar(select(func.count()).select_from(quote)) or 0
