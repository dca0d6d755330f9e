"""Quotes while Postgres is away, after a start without it, and on a full disk: answered and kept, or not answered."""

import os
import resource
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, select, text

from motorisk.quoting import refresher
from motorisk.warehouse.tables import quote

JsonObject = dict[str, Any]


def ledger(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [str(quote_id) for quote_id in connection.scalars(select(quote.c.quote_id))]


def wait_until_ready(service: Any) -> None:
    """Wait until the ledger takes quotes and nothing is left in the journal."""
    deadline = time.monotonic() + 20
    while (ready := service.get("/readyz").json()).get("status") != "ready":
        assert time.monotonic() < deadline, f"{ready}\n{service.log.read_text()}"
        time.sleep(0.1)


@pytest.mark.fault("Postgres stopped")
def test_while_the_database_is_away_quotes_are_answered_and_are_in_the_ledger_afterwards(
    warehouse: Engine,
    approve: Any,
    start_service: Any,
    body: JsonObject,
    unreachable: Any,
) -> None:
    version = approve(warehouse)
    service = start_service()
    service.wait_until_served(version)
    with service.client() as client:
        made = client.post("/v1/quotes", json=body)
        assert made.json()["recorded"] == "ledger"
        with unreachable(warehouse):
            # A connection each, so that both workers answer some.
            answers = [service.post("/v1/quotes", body | {"reference": f"away {number}"}) for number in range(30)]
            assert {answer.status_code for answer in answers} == {201}
            journalled = [answer.json() for answer in answers]
            assert {document["recorded"] for document in journalled} == {"journal"}
            assert {document["model_version"] for document in journalled} == {version}
            assert client.post("/predict/", json=body).status_code == 200
            assert client.post("/predict/mock", json=body).status_code == 200
            # Whichever worker has made it, and whichever is asked.
            for document in journalled[:10]:
                assert service.get(f"/v1/quotes/{document['quote_id']}").json() == document
            assert service.get(f"/v1/quotes/{uuid.uuid4()}").status_code == 503  # it may be in the ledger
            refused = client.get(made.headers["Location"])
            assert (refused.status_code, refused.json()["title"]) == (503, "Database unavailable")
            assert int(refused.headers["Retry-After"]) > 0
            assert warehouse.url.database not in refused.text
            ready = client.get("/readyz")
            assert (ready.status_code, ready.json()["status"], ready.json()["journal_pending"]) == (200, "degraded", 32)
            assert "motorisk_quote_journal_pending 32.0" in client.get("/metrics").text
            assert client.get("/healthz").status_code == 200
            assert client.get("/v1/model").json()["version"] == version
        wait_until_ready(service)
        assert "motorisk_quote_journal_pending 0.0" in client.get("/metrics").text
        for document in journalled:
            assert client.get(f"/v1/quotes/{document['quote_id']}").json() == document | {"recorded": "ledger"}
        assert client.get(made.headers["Location"]).json() == made.json()
        assert client.post("/v1/quotes", json=body).json()["recorded"] == "ledger"
    found = ledger(warehouse)
    assert len(found) == len(set(found)) == 34


@pytest.mark.fault("Postgres stopped")
def test_no_quote_waits_for_a_database_that_is_away(
    warehouse: Engine,
    approve: Any,
    start_app: Any,
    body: JsonObject,
    unreachable: Any,
) -> None:
    approve(warehouse)
    client = start_app()
    with unreachable(warehouse):
        client.post("/v1/quotes", json=body)
        quoting = client.application.extensions["motorisk"].quoting
        tries = []
        quoting._database.connection = lambda: tries.append(1)  # a request must not even try
        assert {client.post("/v1/quotes", json=body).json["recorded"] for _ in range(20)} == {"journal"}
        assert tries == []


@pytest.mark.fault("killed while quoting")
def test_what_a_killed_service_journalled_is_carried_over_by_the_next(
    warehouse: Engine,
    approve: Any,
    start_service: Any,
    body: JsonObject,
    unreachable: Any,
) -> None:
    version = approve(warehouse)
    service = start_service()
    service.wait_until_served(version)
    with unreachable(warehouse):
        answered = [service.post("/v1/quotes", body).json()["quote_id"] for _ in range(10)]
        children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
        for pid in (service.process.pid, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        service.process.wait(10)
    assert ledger(warehouse) == []
    wait_until_ready(start_service())
    assert sorted(ledger(warehouse)) == sorted(answered)


@pytest.mark.fault("killed while quoting")
def test_inputs_that_nobody_waited_for_are_recorded_before_a_service_ends(
    warehouse: Engine, start_service: Any, body: JsonObject
) -> None:
    service = start_service()
    with service.client() as client:
        for _ in range(300):
            client.post("/predict/mock", json=body).raise_for_status()
    service.process.terminate()
    assert service.process.wait(30) == 0
    with warehouse.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM motorisk.quote WHERE channel = 'mock'")) == 300


@pytest.mark.fault("Postgres stopped")
def test_a_journal_that_cannot_be_read_holds_up_neither_quotes_nor_other_journals(
    warehouse: Engine, approve: Any, start_app: Any, body: JsonObject, settings: Any, unreachable: Any
) -> None:
    approve(warehouse)
    (settings.home / "journal" / "0.journal").mkdir(parents=True)  # to root, too, no file that can be read
    client = start_app()
    with unreachable(warehouse):
        made = client.post("/v1/quotes", json=body, headers={"Idempotency-Key": "once"})
        assert (made.status_code, made.json["recorded"]) == (201, "journal")
    deadline = time.monotonic() + 15
    while made.json["quote_id"] not in ledger(warehouse):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ready = client.get("/readyz")  # not before somebody has seen to it
    assert (ready.status_code, ready.json["status"], ready.json["journal_pending"]) == (200, "degraded", 1)
    assert "motorisk_quote_journal_pending 1.0" in client.get("/metrics").text


@pytest.mark.fault("Postgres stopped")
def test_a_service_that_starts_without_its_database_quotes_from_its_cache(
    warehouse: Engine,
    approve: Any,
    start_app: Any,
    body: JsonObject,
    unreachable: Any,
) -> None:
    version = approve(warehouse)
    usual = start_app().post("/v1/quotes", json=body | {"effective_date": "2026-05-01"}).json
    with unreachable(warehouse):
        client = start_app()
        asked = body | {"effective_date": "2026-05-01"}
        response = client.post("/v1/quotes", json=asked)
        assert response.status_code == 201
        assert response.json["recorded"] == "journal"
        for name in ("model_version", "expected_risk", "premium", "reasons", "probabilities", "tariff"):
            assert response.json[name] == usual[name]
        assert client.get("/readyz").json["status"] == "degraded"
        assert client.get("/v1/model").json["version"] == version
        quote_id = response.json["quote_id"]
    deadline = time.monotonic() + 15
    while quote_id not in ledger(warehouse):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.fault("corrupted rating plan")
@pytest.mark.parametrize("damage", ["plan", "plan gone", "serving", "no json"])
def test_a_cache_that_is_not_as_it_was_written_is_not_served(
    warehouse: Engine,
    approve: Any,
    start_app: Any,
    body: JsonObject,
    settings: Any,
    caplog: Any,
    damage: str,
    unreachable: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    approve(warehouse)
    start_app()
    serving = settings.home / "quoting" / "serving.json"
    (plan,) = (settings.home / "quoting" / "plans").iterdir()
    if damage == "plan":
        plan.write_text(plan.read_text().replace('"intercept":1.0', '"intercept":0.5'))
    elif damage == "plan gone":
        plan.unlink()
    elif damage == "serving":
        serving.write_text(serving.read_text().replace('"factors":{"low":"0.700"', '"factors":{"low":"0.100"'))
    else:
        serving.write_text("nonsense")
    monkeypatch.setattr(refresher, "FIRST_LOOK_SECONDS", 0.1)
    with unreachable(warehouse):
        response = start_app().post("/v1/quotes", json=body)
        assert (response.status_code, response.json["title"]) == (503, "Database unavailable")
    assert "nothing is served from the cache" in caplog.text


def test_a_withdrawn_champion_is_not_served_from_the_cache(
    warehouse: Engine,
    approve: Any,
    start_app: Any,
    body: JsonObject,
    settings: Any,
    unreachable: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    approve(warehouse)
    start_app()
    assert (settings.home / "quoting" / "serving.json").exists()
    with warehouse.begin() as connection:
        connection.execute(text("UPDATE motorisk.model_version SET state = 'retired'"))
    start_app()
    monkeypatch.setattr(refresher, "FIRST_LOOK_SECONDS", 0.1)
    with unreachable(warehouse):
        assert start_app().post("/v1/quotes", json=body).status_code == 503


@pytest.mark.fault("disk full")
def test_a_full_disk_turns_quotes_into_503_and_what_was_answered_is_kept(
    warehouse: Engine,
    approve: Any,
    start_service: Any,
    body: JsonObject,
    unreachable: Any,
) -> None:
    version = approve(warehouse)
    service = start_service()
    service.wait_until_served(version)
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    answered: list[str] = []
    refused: list[httpx.Response] = []
    with unreachable(warehouse):
        answered.append(service.post("/v1/quotes", body).json()["quote_id"])
        for pid in map(int, children):
            # Files of this size cannot grow any more: to a program that is a full disk.
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
        deadline = time.monotonic() + 30
        with service.client() as client:
            while len(refused) < 5:
                assert time.monotonic() < deadline
                response = client.post("/v1/quotes", json=body)
                if response.status_code == 201:
                    answered.append(response.json()["quote_id"])
                else:
                    refused.append(response)
            folder = next(Path(service.log.parent).glob("**/journal"))
            limited = [path for path in folder.glob("*.journal") if path.stat().st_size > 5_000]
            assert limited
    assert {response.status_code for response in refused} == {503}
    assert {response.json()["title"] for response in refused} == {"Quote not recorded"}
    assert len(answered) > 10
    wait_until_ready(service)
    assert set(answered) <= set(ledger(warehouse))
    assert len(ledger(warehouse)) == len(set(ledger(warehouse)))
