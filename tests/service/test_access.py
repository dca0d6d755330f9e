"""Who may ask: API keys, whose quotes they are, how fast, and from where."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, select, text

from motorisk.domain.api_key import key_digest, key_id_of, new_key
from motorisk.ports import free_port
from motorisk.registry.clients import all_keys, revoke
from motorisk.warehouse.tables import quote

JsonObject = dict[str, Any]
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}
SWAP_SECONDS = 5


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def counted(scrape: str, name: str) -> dict[str, float]:
    """A counter's values by their only label."""
    return {
        next(iter(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(scrape)
        for sample in family.samples
        if sample.name == name
    }


@pytest.fixture
def keyed(warehouse: Engine, approve: Any, start_app: Callable[..., FlaskClient]) -> FlaskClient:
    """An app that asks for keys; it knows those that were given before it started."""
    approve(warehouse)
    return start_app(quote_access="keys")


def wait_for(client: FlaskClient, key: str, status: int) -> Any:
    """Ask for the model until the status is answered; fail after the time in which it has to be."""
    deadline = time.monotonic() + SWAP_SECONDS
    while (response := client.get("/v1/model", headers=bearer(key))).status_code != status:
        assert time.monotonic() < deadline, response.text
        time.sleep(0.05)
    return response


def test_every_address_but_the_public_ones_needs_a_key(keyed: FlaskClient) -> None:
    asked = 0
    for rule in keyed.application.url_map.iter_rules():
        path = rule.rule.replace("<uuid:quote_id>", "00000000-0000-4000-8000-000000000000").replace("<path:name>", "x")
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            response = keyed.open(path, method=method, environ_overrides=ELSEWHERE)
            is_public = rule.endpoint.partition(".")[0] in {"docs", "health", "page"}
            assert (response.status_code != 401) == is_public, f"{method} {path}: {response.status}"
            asked += not is_public
    assert keyed.get("/").location == "/docs/"  # the page is off where keys are required
    assert asked >= 11  # quotes, what-if, batch, reading, model, predict and mock twice, metrics twice


def test_a_missing_key_is_asked_for(keyed: FlaskClient, body: JsonObject) -> None:
    response = keyed.post("/v1/quotes", json=body)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="motorisk"'
    assert response.headers["Content-Type"] == "application/problem+json"
    document = response.get_json()
    assert (document["type"], document["status"]) == ("urn:motorisk:problem:key-refused", 401)
    assert "Authorization: Bearer" in document["detail"]


def test_a_key_opens_everything_in_either_header(
    warehouse: Engine, give_key: Any, keyed: FlaskClient, body: JsonObject
) -> None:
    key = give_key(warehouse)
    wait_for(keyed, key, 200)
    for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer  {key} "}, {"X-API-Key": key}):
        assert keyed.post("/v1/quotes", json=body, headers=headers).status_code == 201
        assert keyed.post("/predict/mock", json=body, headers=headers).status_code == 200
        assert keyed.get("/metrics", headers=headers, environ_overrides=ELSEWHERE).status_code == 200


@pytest.mark.fault("expired key")
def test_a_key_that_is_not_good_is_refused_in_few_words(warehouse: Engine, give_key: Any, keyed: FlaskClient) -> None:
    good, taken_back, over = give_key(warehouse), give_key(warehouse), give_key(warehouse)
    assert key_id_of(good)
    with warehouse.begin() as connection:
        revoke(connection, str(key_id_of(taken_back)), by="uma")
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        connection.execute(
            text("UPDATE motorisk.api_key SET expires_on = :day WHERE key_id = :id"),
            {"day": yesterday, "id": key_id_of(over)},
        )
    wait_for(keyed, good, 200)
    before = counted(keyed.get("/metrics").text, "motorisk_http_requests_unauthorized_total")
    with_another_secret = good[:-1] + ("A" if good[-1] != "A" else "B")
    unknown = "this API key is not known"
    for key, detail in [
        (taken_back, "this API key was revoked"),
        (over, "this API key has expired"),
        (with_another_secret, unknown),
        (taken_back[:-2] + "zz", unknown),  # whoever has not the secret learns nothing of the key
        (new_key().text, unknown),
        (good.upper(), unknown),
        (good + "x", unknown),
        ("é" * 20, unknown),
        ("Basic", unknown),
    ]:
        response = keyed.get("/v1/model", headers={"Authorization": f"Bearer {key}".encode().decode("latin-1")})
        assert (response.status_code, response.get_json()["detail"]) == (401, detail), key
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="motorisk", error="invalid_token"'
        assert key not in response.text
    assert keyed.get("/v1/model", headers={"Authorization": f"Basic {good}"}).status_code == 401
    refused = counted(keyed.get("/metrics").text, "motorisk_http_requests_unauthorized_total")
    assert {reason: refused[reason] - before[reason] for reason in refused} == {
        "missing": 1,
        "unknown": 7,
        "expired": 1,
        "revoked": 1,
    }


def test_a_key_is_good_on_its_last_day(warehouse: Engine, give_key: Any, keyed: FlaskClient) -> None:
    wait_for(keyed, give_key(warehouse, expires_on=datetime.now(UTC).date()), 200)


def test_only_hashes_are_kept_and_the_day_of_last_use(
    warehouse: Engine, give_key: Any, keyed: FlaskClient, settings: Any
) -> None:
    key = give_key(warehouse, "broker")
    unused = give_key(warehouse, "idle")
    wait_for(keyed, key, 200)
    deadline = time.monotonic() + SWAP_SECONDS
    while True:
        with warehouse.connect() as connection:
            kept = {known.client: known for known in all_keys(connection)}
        if kept["broker"].last_used_on is not None:
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert kept["broker"].last_used_on == datetime.now(UTC).date()
    assert kept["idle"].last_used_on is None
    assert kept["broker"].digest == key_digest(key)
    secrets = [known.rpartition("_")[2] for known in (key, unused)]
    with warehouse.connect() as connection:
        rows = str(connection.execute(text("SELECT * FROM motorisk.api_key")).all())
    cache = settings.home / "quoting" / "clients.json"
    assert cache.stat().st_mode & 0o777 == 0o600
    for secret in secrets:
        assert secret not in rows
        assert secret not in cache.read_text()


def test_clients_see_their_own_quotes_and_have_idempotency_keys_of_their_own(
    warehouse: Engine, give_key: Any, keyed: FlaskClient, body: JsonObject
) -> None:
    one, other, second_of_one = give_key(warehouse, "one"), give_key(warehouse, "other"), give_key(warehouse, "one")
    wait_for(keyed, second_of_one, 200)

    def ask(key: str, **change: Any) -> Any:
        return keyed.post("/v1/quotes", json=body | change, headers=bearer(key) | {"Idempotency-Key": "mine"})

    first, theirs = ask(one), ask(other, reference="another question under the same key")
    assert (first.status_code, theirs.status_code) == (201, 201)
    assert ask(second_of_one).get_json() == first.get_json()
    assert ask(other).status_code == 422
    path = first.headers["Location"]
    assert keyed.get(path, headers=bearer(second_of_one)).get_json() == first.get_json()
    refused = keyed.get(path, headers=bearer(other))
    unknown = keyed.get("/v1/quotes/00000000-0000-4000-8000-000000000000", headers=bearer(other))
    assert (refused.status_code, refused.get_json()["title"]) == (404, unknown.get_json()["title"])
    batch = keyed.post("/v1/quotes/batch", json={"quotes": [body]}, headers=bearer(other)).get_json()
    keyed.post("/predict", json=body, headers=bearer(other))
    keyed.post("/predict/mock", json=body, headers=bearer(other))
    batched = batch["results"][0]["quote"]["quote_id"]
    assert keyed.get(f"/v1/quotes/{batched}", headers=bearer(one)).status_code == 404
    assert keyed.get(f"/v1/quotes/{batched}", headers=bearer(other)).status_code == 200
    keyed.application.extensions["motorisk"].recorder.flush()  # nobody waits for the input of the last one
    with warehouse.connect() as connection:
        rows = connection.execute(select(quote.c.client, quote.c.channel).order_by(quote.c.quoted_at)).all()
    assert [tuple(row) for row in rows] == [
        ("one", "quote"),
        ("other", "quote"),
        ("other", "quote"),
        ("other", "predict"),
        ("other", "mock"),
    ]


def test_access_that_is_open_takes_keys_too_and_keeps_nobodys_quotes_apart(
    warehouse: Engine, approve: Any, give_key: Any, start_app: Callable[..., FlaskClient], body: JsonObject
) -> None:
    approve(warehouse)
    key = give_key(warehouse)
    client = start_app()
    anonymous = client.post("/v1/quotes", json=body)
    assert anonymous.status_code == 201
    assert "RateLimit" not in anonymous.headers
    named = client.post("/v1/quotes", json=body, headers=bearer(key))
    assert '"client"' in named.headers["RateLimit"]
    assert client.get(named.headers["Location"]).status_code == 200
    assert client.get(anonymous.headers["Location"], headers=bearer(key)).status_code == 404
    assert client.post("/v1/quotes", json=body, headers=bearer(new_key().text)).status_code == 401
    # What is no key of ours may be for a proxy in front.
    assert client.post("/v1/quotes", json=body, headers={"Authorization": "Bearer eyJhbGciOi"}).status_code == 201


@pytest.mark.fault("expired key")
def test_a_revoked_key_is_refused_by_every_worker_within_five_seconds(
    warehouse: Engine, approve: Any, give_key: Any, start_service: Any, body: JsonObject
) -> None:
    approve(warehouse)
    service = start_service(quote_access="keys")
    kept, key = give_key(warehouse), give_key(warehouse)

    def ask(name: str) -> int:
        with service.client() as client:  # a connection of its own, which either worker may accept
            return client.post("/v1/quotes", json=body, headers=bearer(name)).status_code

    def wait_until_all_answer(name: str, status: int) -> None:
        deadline = time.monotonic() + SWAP_SECONDS
        while {ask(name) for _ in range(12)} != {status}:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    wait_until_all_answer(key, 201)
    with warehouse.begin() as connection:
        revoke(connection, str(key_id_of(key)), by="uma")
    wait_until_all_answer(key, 401)
    wait_until_all_answer(kept, 201)


@pytest.mark.fault("Postgres stopped")
def test_known_keys_go_on_working_without_postgres_also_after_a_restart(
    warehouse: Engine,
    approve: Any,
    give_key: Any,
    start_app: Callable[..., FlaskClient],
    unreachable: Any,
    body: JsonObject,
    settings: Any,
) -> None:
    approve(warehouse)
    key, taken_back = give_key(warehouse), give_key(warehouse)
    with warehouse.begin() as connection:
        revoke(connection, str(key_id_of(taken_back)), by="uma")
    client = start_app(quote_access="keys")
    wait_for(client, key, 200)
    cache: Path = settings.home / "quoting" / "clients.json"
    with unreachable(warehouse):
        assert client.post("/v1/quotes", json=body, headers=bearer(key)).status_code == 201
        restarted = start_app(quote_access="keys")
        response = restarted.post("/v1/quotes", json=body, headers=bearer(key))
        assert (response.status_code, response.get_json()["recorded"]) == (201, "journal")
        assert restarted.get("/v1/model", headers=bearer(taken_back)).status_code == 401
        cache.write_text(cache.read_text().replace('"is_revoked":true', '"is_revoked":false'))
        changed = start_app(quote_access="keys")
        # Nobody can say now which keys there are: that is no reason to call one wrong, nor to let one in.
        for name in (key, taken_back):
            assert changed.get("/v1/model", headers=bearer(name)).status_code == 503
    wait_for(changed, key, 200)
    assert changed.get("/v1/model", headers=bearer(taken_back)).status_code == 401


@pytest.mark.fault("Postgres stopped")
def test_a_key_used_while_the_database_is_away_has_its_day_of_use_afterwards(
    warehouse: Engine, give_key: Any, start_app: Callable[..., FlaskClient], unreachable: Any, caplog: Any
) -> None:
    key = give_key(warehouse)
    client = start_app(quote_access="keys")
    deadline = time.monotonic() + 2 * SWAP_SECONDS
    with unreachable(warehouse):
        assert client.get("/metrics", headers=bearer(key), environ_overrides=ELSEWHERE).status_code == 200
        while "cannot follow the champion" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    while True:
        with warehouse.connect() as connection:
            (known,) = all_keys(connection)
        if known.last_used_on is not None:
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "go on working" not in caplog.text  # nothing was wrong with the keys


def test_a_client_that_asks_too_fast_is_told_when_it_may(
    warehouse: Engine, approve: Any, give_key: Any, start_app: Callable[..., FlaskClient]
) -> None:
    approve(warehouse)
    slow, usual, unbounded = (give_key(warehouse, name, rate=rate) for name, rate in (("a", 3), ("b", None), ("c", 0)))
    client = start_app(quote_access="keys", quote_rate=40.0, quote_workers=1)
    answers = [client.get("/v1/model", headers=bearer(slow)) for _ in range(30)]
    allowed = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(allowed) + len(refused) == 30
    assert 3 <= len(allowed) < 15
    assert allowed[0].headers["RateLimit-Policy"] == '"client";q=3;w=1'
    assert allowed[0].headers["RateLimit"] == '"client";r=2;t=1'
    assert refused[0].headers["RateLimit"] == '"client";r=0;t=1'
    assert refused[0].headers["Retry-After"] == "1"
    assert refused[0].get_json()["type"] == "urn:motorisk:problem:too-many-requests"
    assert {client.get("/v1/model", headers=bearer(usual)).status_code for _ in range(30)} == {200}
    assert {client.get("/v1/model", headers=bearer(unbounded)).status_code for _ in range(100)} == {200}
    assert "RateLimit" not in client.get("/v1/model", headers=bearer(unbounded)).headers
    metrics = client.get("/metrics").text
    assert counted(metrics, "motorisk_http_requests_rate_limited_total") == {"a": len(refused)}
    time.sleep(1)
    assert client.get("/v1/model", headers=bearer(slow)).status_code == 200


def test_a_rate_that_is_set_holds_for_callers_without_a_key_too(
    warehouse: Engine, approve: Any, start_app: Callable[..., FlaskClient]
) -> None:
    approve(warehouse)
    client = start_app(quote_rate=2.0, quote_workers=1)
    assert 429 in {client.get("/v1/model").status_code for _ in range(20)}
    assert {client.get("/healthz").status_code for _ in range(20)} == {200}


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, 200),
        ({"REMOTE_ADDR": "::1"}, 200),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, 200),
        (ELSEWHERE, 401),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 401),  # through a proxy on this machine
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=192.0.2.7"}, 401),
    ],
)
def test_metrics_are_for_this_machine_or_for_a_key(
    start_app: Callable[..., FlaskClient], environ: dict[str, str], status: int
) -> None:
    client = start_app(quote_access="keys")
    assert client.get("/metrics/", environ_overrides=environ).status_code == status
    assert client.get("/healthz", environ_overrides=environ).status_code == 200


def test_with_an_admin_port_metrics_and_health_are_there_alone(
    warehouse: Engine, approve: Any, start_service: Any, body: JsonObject
) -> None:
    version = approve(warehouse)
    service = start_service(quote_access="keys", quote_admin_port=str(free_port()))
    service.wait_until_served(version)
    for path in ("/metrics", "/metrics/", "/healthz", "/readyz"):
        assert service.get(path).status_code == 404
        assert httpx.get(service.operations_url + path).status_code == 200
    assert httpx.post(service.operations_url + "/v1/quotes", json=body).status_code == 404
    assert service.post("/v1/quotes", body).status_code == 401
    # The port that counts is the one that was connected to, not the one that a client names.
    named = {"Host": service.operations_url.removeprefix("http://")}
    assert httpx.get(service.url + "/metrics", headers=named).status_code == 404


@pytest.mark.parametrize(
    ("access", "host", "status", "warns"),
    [("auto", "127.0.0.1", 201, False), ("auto", "0.0.0.0", 401, False), ("open", "0.0.0.0", 201, True)],  # noqa: S104
)
def test_keys_are_asked_for_as_soon_as_others_can_reach_the_service(
    warehouse: Engine,
    approve: Any,
    start_service: Any,
    body: JsonObject,
    access: str,
    host: str,
    status: int,
    warns: bool,
) -> None:
    version = approve(warehouse)
    service = start_service(quote_access=access, quote_host=host)
    service.wait_until_served(version)
    assert service.post("/v1/quotes", body).status_code == status
    assert ("whoever reaches this address gets quotes, without a key" in service.log.read_text()) == warns


def test_the_description_says_where_a_key_is_needed(start_app: Callable[..., FlaskClient]) -> None:
    for access, expected in (("keys", [{"api_key": []}]), ("auto", [{}, {"api_key": []}])):
        document = start_app(quote_access=access).get("/openapi.json").get_json()
        assert document["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"
        for path, item in document["paths"].items():
            for operation in item.values():
                is_public = path in {"/healthz", "/readyz"}
                assert operation.get("security") == (None if is_public else expected), path
                assert ("401" in operation["responses"]) == (not is_public)
                assert ("429" in operation["responses"]) == (not is_public)


def test_the_service_does_as_described_where_keys_are_required(
    warehouse: Engine, approve: Any, give_key: Any, start_service: Any, tmp_path: Path
) -> None:
    version = approve(warehouse)
    key = give_key(warehouse, rate=0)
    service = start_service(quote_access="keys")
    service.wait_until_served(version)
    done = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis", "run", f"{service.url}/openapi.json", "--checks=all",
            "--exclude-checks=positive_data_acceptance", "--phases=examples,coverage,fuzzing", "--max-examples=15",
            "--workers=1", "--seed=1", "--continue-on-failure", "--suppress-health-check=all", "--no-color",
            "--header", f"Authorization: Bearer {key}",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"(\d[\d,]*) generated", done.stdout)
    assert key not in service.log.read_text()
