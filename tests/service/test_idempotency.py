"""Asked again with the same Idempotency-Key: the same quote, and only one."""

import threading
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, select

from motorisk.warehouse.tables import quote, quote_key

JsonObject = dict[str, Any]


def ask(client: httpx.Client, body: JsonObject, key: str, **headers: str) -> httpx.Response:
    return client.post("/v1/quotes", json=body, headers={"Idempotency-Key": key, **headers})


def count(engine: Engine, reference: str) -> int:
    with engine.connect() as connection:
        rows = select(func.count()).select_from(quote).where(quote.c.reference == reference)
        return connection.scalar(rows) or 0


def test_a_repeated_request_gets_the_same_quote_from_every_worker(
    service: Any, database: Engine, body: JsonObject
) -> None:
    body["reference"] = "again and again"
    answers = []
    for _ in range(12):  # a connection each, which either worker may accept
        with service.client() as client:
            answers.append(ask(client, body, "key-1"))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert "Idempotency-Replayed" not in answers[0].headers
    assert {answer.headers["Idempotency-Replayed"] for answer in answers[1:]} == {"true"}
    assert {answer.headers["Location"] for answer in answers} == {answers[0].headers["Location"]}
    assert count(database, "again and again") == 1


@pytest.mark.fault("two at once")
def test_requests_that_race_get_one_quote(service: Any, database: Engine, body: JsonObject) -> None:
    body["reference"] = "race"
    found: list[JsonObject] = []
    start = threading.Barrier(12)

    def race() -> None:
        with service.client() as client:
            client.get("/healthz")
            start.wait()
            found.append(ask(client, body, "race").json())

    threads = [threading.Thread(target=race) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 12
    assert len({document["quote_id"] for document in found}) == 1
    assert count(database, "race") == 1


@pytest.mark.bad_input("HTTP request")
def test_another_question_under_the_same_key_is_refused(client: httpx.Client, body: JsonObject) -> None:
    first = ask(client, body, "reused")
    body["driver"]["age"] = 36
    second = ask(client, body, "reused")
    assert second.status_code == 422
    assert second.headers["Content-Type"] == "application/problem+json"
    assert second.json()["title"] == "Idempotency-Key reused"
    assert "errors" not in second.json()
    body["driver"]["age"] = 35.0  # the same question, written differently
    assert ask(client, body, "reused").json() == first.json()


@pytest.mark.parametrize("change", [{"reference": "other"}, {"effective_date": "2027-01-01"}])
def test_reference_and_date_are_part_of_the_question(
    client: httpx.Client, body: JsonObject, change: JsonObject
) -> None:
    key = f"part-{next(iter(change))}"
    assert ask(client, body, key).status_code == 201
    assert ask(client, body | change, key).status_code == 422


def test_without_a_key_every_request_is_a_new_quote(client: httpx.Client, body: JsonObject) -> None:
    assert (
        client.post("/v1/quotes", json=body).json()["quote_id"]
        != client.post("/v1/quotes", json=body).json()["quote_id"]
    )


def test_a_refused_request_does_not_use_its_key_up(client: httpx.Client, body: JsonObject) -> None:
    body["driver"]["age"] = 14
    assert ask(client, body, "refused-first").status_code == 422
    body["driver"]["age"] = 35
    assert ask(client, body, "refused-first").status_code == 201


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é".encode(), "tab\there"])
def test_a_key_is_short_and_printable(client: httpx.Client, body: JsonObject, key: str | bytes) -> None:
    response = client.post("/v1/quotes", json=body, headers={"Idempotency-Key": key})
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["field"] == "Idempotency-Key"
    assert (error["problem"] == "must be at most 255 characters") == (len(key) > 255)


def test_a_repeated_quote_comes_in_the_language_that_is_asked_for_now(client: httpx.Client, body: JsonObject) -> None:
    english = ask(client, body, "languages").json()
    german = ask(client, body, "languages", **{"Accept-Language": "de"}).json()
    assert german["quote_id"] == english["quote_id"]
    assert german["reasons"] != english["reasons"]


def test_a_key_is_known_after_a_restart_and_under_another_champion(
    warehouse: Engine, approve: Any, start_app: Any, body: JsonObject
) -> None:
    approve(warehouse, 1.0)
    headers = {"Idempotency-Key": "kept"}
    first = start_app().post("/v1/quotes", json=body, headers=headers)
    approve(warehouse, 2.0)
    again = start_app().post("/v1/quotes", json=body, headers=headers)
    assert again.json == first.json
    with warehouse.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(quote)) == 1
        assert connection.scalar(select(func.count()).select_from(quote_key)) == 1


@pytest.mark.fault("Postgres stopped")
def test_a_key_is_known_while_the_database_is_away_and_afterwards(
    warehouse: Engine, approve: Any, start_app: Any, body: JsonObject
) -> None:
    approve(warehouse)
    headers = {"Idempotency-Key": "away"}
    client, other = start_app(), start_app()
    database = client.application.extensions["motorisk"].quoting._database
    # Only these two think that it is away: whichever process comes first has the key.
    for app in (client, other):
        app.application.extensions["motorisk"].refresher.stop()
        app.application.extensions["motorisk"].quoting._database.went_away()
    assert database.is_away
    first = client.post("/v1/quotes", json=body, headers=headers)
    assert first.json["recorded"] == "journal"
    again = other.post("/v1/quotes", json=body, headers=headers)
    assert (again.status_code, again.json) == (201, first.json)
    assert other.post("/v1/quotes", json=body | {"reference": "x"}, headers=headers).status_code == 422
    for app in (client, other):
        app.application.extensions["motorisk"].quoting._database.came_back()
        # The journal is not in the ledger yet, and its keys are known all the same.
        assert app.post("/v1/quotes", json=body, headers=headers).json["quote_id"] == first.json["quote_id"]
    later = start_app()  # carries the journal over where its writers are gone
    # By its own thread it may just be doing so, and a second look would find nothing to do.
    later.application.extensions["motorisk"].refresher.stop()
    client.application.extensions["motorisk"].backlog._writer.close()
    later.application.extensions["motorisk"].refresher._carry_backlog()
    repeated = later.post("/v1/quotes", json=body, headers=headers)
    assert repeated.json == first.json | {"recorded": "ledger"}
    with warehouse.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(quote)) == 1
