"""The quote service does all of its work under a login that may do nothing else."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from motorisk.warehouse.roles import Role, grant

PATIENCE_SECONDS = 20


@pytest.fixture
def login_url(warehouse: Engine) -> str:
    """Address of the test's database for a login that has the role of the quote service alone."""
    with warehouse.begin() as connection:
        grant(connection, "test_quotes", [Role.QUOTING])
    return warehouse.url.set(username="test_quotes").render_as_string(hide_password=False)


def _wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_quote_service_works_under_its_own_role(
    warehouse: Engine,
    login_url: str,
    approve: Callable[..., int],
    start_service: Callable[..., Any],
    give_key: Callable[..., str],
    unreachable: Callable[[Engine], Any],
    body: dict[str, Any],
) -> None:
    version, key = approve(warehouse), give_key(warehouse)
    this_month = text("SELECT 'motorisk.quote_' || to_char(now(), 'YYYY_MM')")
    with warehouse.begin() as connection:  # as on the first day of a month for which nobody has made a partition
        partition = connection.scalar(this_month)
        connection.execute(text(f"DROP TABLE {partition}"))

    def said(statement: str) -> Any:
        with warehouse.connect() as connection:
            return connection.scalar(text(statement))

    service = start_service(database_url=login_url, quote_access="keys")
    service.wait_until_served(version)
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "once"}
    with service.client() as client:
        first = client.post("/v1/quotes", json=body, headers=headers)
        assert first.status_code == httpx.codes.CREATED, first.text
        again = client.post("/v1/quotes", json=body, headers=headers)
        assert again.json()["quote_id"] == first.json()["quote_id"]
        found = client.get(f"/v1/quotes/{first.json()['quote_id']}", headers=headers)
        assert found.json()["premium"] == first.json()["premium"]
        del headers["Idempotency-Key"]
        for address in ("/predict", "/predict/mock"):
            assert client.post(address, json=body, headers=headers).status_code == httpx.codes.OK
        _wait_for(lambda: said("SELECT last_used_on FROM motorisk.api_key") is not None)
        with unreachable(warehouse):
            away = client.post("/v1/quotes", json=body, headers=headers)
            assert away.status_code == httpx.codes.CREATED, away.text
    _wait_for(lambda: said("SELECT count(*) FROM motorisk.quote") == 4)  # the journal is carried over
    with warehouse.connect() as connection:
        assert connection.scalar(text(f"SELECT count(*) FROM {partition}")) == 4
        assert connection.scalar(text("SELECT count(*) FROM motorisk.drift_inbox")) == 4
    assert service.served_versions() == {version}
    assert "motorisk_nights_read_timestamp_seconds" in service.get("/metrics/").text
    assert service.get("/readyz").status_code == httpx.codes.OK
    assert "permission denied" not in service.log.read_text()
    assert "not in order" not in service.log.read_text()
