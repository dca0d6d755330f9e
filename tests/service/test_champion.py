"""How the service follows the champion and lives with a registry that is empty, wrong or away."""

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, select, text, update

from motorisk.domain.rating_plan import RatingPlan, plan_digest
from motorisk.errors import DatabaseUnavailable, PlanRefused
from motorisk.quoting import database
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.smoke import smoke_test
from motorisk.registry import transitions
from motorisk.settings import Settings
from motorisk.warehouse.database import open_warehouse
from motorisk.warehouse.migrate import downgrade
from motorisk.warehouse.tables import model_version

JsonObject = dict[str, Any]


@contextmanager
def load(service: Any, body: JsonObject) -> Iterator[list[httpx.Response | Exception]]:
    """Ask for quotes from four threads until the block ends."""
    answers: list[httpx.Response | Exception] = []
    stopped = threading.Event()

    def ask() -> None:
        with service.client() as client:
            while not stopped.is_set():
                try:
                    answers.append(client.post("/v1/quotes", json=body))
                except httpx.HTTPError as error:
                    answers.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


@pytest.mark.fault("no champion")
def test_without_a_champion_quotes_wait_and_the_first_approval_is_enough(
    warehouse: Engine, approve: Any, start_service: Any, body: JsonObject
) -> None:
    service = start_service()
    with service.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/metrics").status_code == 200
        for response in (
            client.get("/readyz"),
            client.get("/v1/model"),
            client.post("/v1/quotes", json=body),
            client.post("/predict", json=body),
        ):
            assert response.status_code == 503
            assert response.headers["Content-Type"] == "application/problem+json"
            assert int(response.headers["Retry-After"]) > 0
            assert response.json()["title"] == "No champion"
        assert client.post("/v1/quotes", json={}).status_code == 422
        assert client.post("/predict/mock", json=body).status_code == 200  # needs no model
        version = approve(warehouse)
        service.wait_until_served(version)
        assert client.post("/v1/quotes", json=body).json()["model_version"] == version
        assert client.get("/readyz").status_code == 200


def test_a_new_champion_is_served_by_all_workers_without_a_failed_request(
    warehouse: Engine, approve: Any, start_service: Any, body: JsonObject
) -> None:
    first = approve(warehouse, 1.0)
    service = start_service()
    service.wait_until_served(first)
    body["effective_date"] = "2026-01-01"
    with load(service, body) as answers:
        time.sleep(0.5)
        second = approve(warehouse, -2.0)
        service.wait_until_served(second)
        time.sleep(0.3)
        with warehouse.begin() as connection:
            transitions.rollback(connection, by="uma")
        service.wait_until_served(first)
        time.sleep(0.3)
    assert [answer for answer in answers if not isinstance(answer, httpx.Response)] == []
    assert {answer.status_code for answer in answers if isinstance(answer, httpx.Response)} == {201}
    # One model a request: never one version's number with the other's price.
    documents = [answer.json() for answer in answers if isinstance(answer, httpx.Response)]
    assert len({(each["model_version"], each["expected_risk"], each["premium"]["net"]) for each in documents}) == 2
    assert {each["model_version"] for each in documents} == {first, second}


def test_a_quote_is_read_back_with_the_reasons_of_the_version_that_priced_it(
    warehouse: Engine, approve: Any, start_app: Any, body: JsonObject
) -> None:
    approve(warehouse, 1.0)
    made = start_app().post("/v1/quotes", json=body)
    approve(warehouse, 2.0)
    later = start_app()
    assert later.get(made.headers["Location"]).json == made.json
    assert later.post("/v1/quotes", json=body).json["model_version"] != made.json["model_version"]


@pytest.mark.fault("corrupted rating plan")
def test_a_quote_whose_version_was_tampered_with_is_not_explained_wrongly(
    warehouse: Engine, approve: Any, start_app: Any, settings: Settings, body: JsonObject
) -> None:
    approve(warehouse, 1.0)
    made = start_app().post("/v1/quotes", json=body)
    with warehouse.begin() as connection:
        connection.execute(update(model_version).values(plan="{}"))
    # The plan that priced it is still in the cache, and its digest is the quote's.
    assert start_app().get(made.headers["Location"]).json == made.json
    shutil.rmtree(settings.home / "quoting")
    response = start_app().get(made.headers["Location"])
    assert (response.status_code, response.json["title"]) == (500, "Rating plan refused")


@pytest.mark.fault("corrupted rating plan")
def test_a_plan_that_was_tampered_with_is_refused_and_the_old_one_goes_on(
    warehouse: Engine, approve: Any, approve_in: Any, start_app: Any, body: JsonObject, caplog: Any
) -> None:
    good = approve(warehouse, 1.0)
    client = start_app()
    with warehouse.begin() as connection:
        bad = approve_in(connection, 2.0)
        cheaper = func.replace(model_version.c.plan, '"intercept":2.0', '"intercept":1.5')
        connection.execute(update(model_version).where(model_version.c.version == bad).values(plan=cheaper))
    failures = re.compile(r'motorisk_champion_refresh_failures_total{reason="plan"} ([23])')
    deadline = time.monotonic() + 5
    while not failures.search(client.get("/metrics").text):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.post("/v1/quotes", json=body).json["model_version"] == good
    assert client.get("/readyz").json["model_version"] == good
    said = [record.message for record in caplog.records if "cannot follow the champion" in record.message]
    assert len(said) == 1  # not every second
    assert "it was changed after training" in said[0]
    assert f"version {good} goes on" in said[0]
    repaired = approve(warehouse, 3.0)
    while client.get("/v1/model").json["version"] != repaired:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.fault("plan of a newer schema")
def test_a_champion_of_a_newer_code_is_refused_and_the_old_one_goes_on(
    warehouse: Engine, approve: Any, approve_in: Any, start_app: Any, body: JsonObject, caplog: Any
) -> None:
    good = approve(warehouse, 1.0)
    client = start_app()
    with warehouse.begin() as connection:  # as newer code would have registered it
        newer = approve_in(connection, 2.0)
        plan = connection.scalar(select(model_version.c.plan).where(model_version.c.version == newer))
        plan = str(plan).replace('"schema_version":1', '"schema_version":2')
        values = {"plan": plan, "digest": plan_digest(plan)}
        connection.execute(update(model_version).where(model_version.c.version == newer).values(**values))
    deadline = time.monotonic() + 10
    while "schema_version is 2, this code reads 1" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.post("/v1/quotes", json=body).json["model_version"] == good
    assert client.get("/readyz").status_code == 200


@pytest.mark.fault("corrupted rating plan")
def test_a_plan_that_fails_a_smoke_prediction_is_refused_counted_and_the_old_one_goes_on(
    warehouse: Engine, approve: Any, start_service: Any, body: JsonObject
) -> None:
    good = approve(warehouse, 1.0)
    service = start_service()
    service.wait_until_served(good)
    approve(warehouse, 5_000.0)  # reads well, and prices everything as hopeless
    counted = re.compile(r'motorisk_champion_refresh_failures_total{reason="plan"} [1-9]')
    deadline = time.monotonic() + 10
    while not counted.search(service.get("/metrics").text):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1.5)  # the other worker looks too
    assert {service.post("/v1/quotes", body).json()["model_version"] for _ in range(10)} == {good}
    assert "smoke prediction" in service.log.read_text()
    mended = approve(warehouse, 2.0)
    service.wait_until_served(mended)


@pytest.mark.bad_input("rating plan")
def test_trends_that_never_end_are_tried_until_the_last_of_days(make_plan: Callable[..., RatingPlan]) -> None:
    endless = make_plan().model_copy(update={"trend_months": (0.0, 1e9)})
    with pytest.raises(PlanRefused, match="from 9999-12-31: the risk index is"):
        smoke_test(Pricer(endless), [])


@pytest.mark.fault("corrupted rating plan")
def test_a_first_champion_whose_plan_is_refused_is_not_served(
    warehouse: Engine, approve: Any, start_app: Any, body: JsonObject
) -> None:
    approve(warehouse)
    with warehouse.begin() as connection:
        connection.execute(update(model_version).values(plan="{}"))
    response = start_app().post("/v1/quotes", json=body)
    assert (response.status_code, response.json["title"]) == (503, "No champion")
    assert "plan was refused" in response.json["detail"]


@pytest.mark.fault("Postgres stopped")
def test_a_service_that_starts_before_its_database_serves_once_it_is_there(
    warehouse: Engine, approve: Any, start_app: Any, body: JsonObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(warehouse)
    refusals = iter(["connection to server at secret-host refused"])

    def open_late(settings: Settings) -> Engine:
        for reason in refusals:
            raise DatabaseUnavailable(reason)  # as after the real one's five seconds of trying
        return open_warehouse(settings)

    monkeypatch.setattr(database, "open_warehouse", open_late)
    client = start_app()
    assert client.get("/healthz").status_code == 200
    response = client.post("/v1/quotes", json=body)
    assert (response.status_code, response.json["title"]) == (503, "Database unavailable")
    assert "secret-host" not in response.text
    deadline = time.monotonic() + 5
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.post("/v1/quotes", json=body).status_code == 201


@pytest.mark.fault("migrations behind")
def test_a_database_without_tables_is_told(warehouse: Engine, start_app: Any, body: JsonObject) -> None:
    downgrade(warehouse, "base")
    response = start_app().post("/v1/quotes", json=body)
    assert (response.status_code, response.json["title"]) == (503, "Database schema out of step")
    assert "motorisk db upgrade" in response.json["detail"]


def test_the_ledgers_partitions_are_made_when_the_service_starts(warehouse: Engine, start_app: Any) -> None:
    partitions = text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'motorisk.quote'::regclass")
    with warehouse.begin() as connection:
        names = connection.scalars(text("SELECT tablename FROM pg_tables WHERE tablename LIKE 'quote\\_2%'")).all()
        for name in names:
            connection.execute(text(f"DROP TABLE motorisk.{name}"))
        assert connection.scalar(partitions) == 1  # the default partition
    start_app()
    with warehouse.connect() as connection:
        assert connection.scalar(partitions) == 3  # this month's and the next month's too
