"""The service's log: one JSON object a line, with a name for each request, and nothing that a client sent."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from motorisk.domain.api_key import new_key
from motorisk_web import server_log
from motorisk_web.log_lines import exception_line

JsonObject = dict[str, Any]
MARKER = "4711.123"
WORD = "ZaphodBeeblebrox"


def lines_of(log: Path) -> list[JsonObject]:
    """Every line; fails where one is no JSON object."""
    found = [json.loads(line) for line in log.read_text().splitlines()]
    assert all(isinstance(line, dict) for line in found)
    return found


def access_lines(log: Path, request_id: str) -> list[JsonObject]:
    """A request's access lines, which are written a moment after its answer."""
    deadline = time.monotonic() + 5
    while True:
        found = [line for line in lines_of(log) if line.get("request_id") == request_id and "route" in line]
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def talk(service: Any, content: bytes) -> bytes:
    """Send bytes that no client would; answer what comes back first."""
    address = urlsplit(service.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=10) as connection:
        connection.sendall(content)
        return connection.recv(65536)


def test_a_request_can_be_followed_by_its_id(
    warehouse: Engine, approve: Any, give_key: Any, start_service: Any, body: JsonObject
) -> None:
    version = approve(warehouse)
    key = give_key(warehouse, "broker")
    service = start_service(quote_access="keys")
    service.wait_until_served(version)
    headers = {"Authorization": f"Bearer {key}", "X-Request-ID": "caller-17.a_b"}
    with service.client() as client:
        answer = client.post("/v1/quotes", json=body, headers=headers)
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (201, "caller-17.a_b")
        refused = client.post("/v1/quotes", json=body, headers={"X-Request-ID": f"{WORD} x"})
        made = refused.headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{32}", made)
        assert refused.json()["request_id"] == made
        not_repeated = client.get("/healthz", headers={"X-Request-ID": key})
        assert not_repeated.headers["X-Request-ID"] != key
    (line,) = access_lines(service.log, "caller-17.a_b")
    assert set(line) == {
        *("time", "level", "logger", "message", "pid", "request_id", "method", "route"),
        *("status", "milliseconds", "client", "remote"),
    }
    assert (line["method"], line["route"], line["status"], line["client"]) == ("POST", "/v1/quotes", 201, "broker")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert 0 < line["milliseconds"] < 30_000
    assert line["pid"] != service.process.pid  # a worker's
    (line,) = access_lines(service.log, made)
    assert (line["status"], line["client"]) == (401, None)


def test_no_input_no_key_and_no_trace_is_in_the_log(
    warehouse: Engine, approve: Any, give_key: Any, start_service: Any, body: JsonObject, unreachable: Any
) -> None:
    version = approve(warehouse)
    key, wrong = give_key(warehouse), new_key().text
    service = start_service(quote_access="keys")
    service.wait_until_served(version)
    good = {"Authorization": f"Bearer {key}"}
    marked = body | {"driver": body["driver"] | {"age": float(MARKER)}, WORD: WORD, "reference": WORD * 20}
    answered = body | {"vehicle": body["vehicle"] | {"power": float(MARKER)}, "reference": WORD}
    statuses = set()
    with service.client() as client:
        for content in (marked, answered, {"quotes": [marked, answered]}):
            for path in ("/v1/quotes", "/v1/quotes/what-if", "/v1/quotes/batch", "/predict", "/predict/mock"):
                for headers in (good, {"Authorization": f"Bearer {wrong}"}, {"X-API-Key": wrong}):
                    named = headers | {"Idempotency-Key": WORD}
                    statuses.add(client.post(path, json=content, headers=named).status_code)
        json_type = good | {"Content-Type": "application/json"}
        statuses.add(client.post("/v1/quotes", content=f'{{"{WORD}": {MARKER}', headers=json_type).status_code)
        statuses.add(client.get(f"/{WORD}/{MARKER}?key={key}", headers=good).status_code)
        statuses.add(client.get(f"/v1/model?{WORD}={key}", headers=good).status_code)
        with unreachable(warehouse):
            statuses.add(client.post("/v1/quotes", json=answered, headers=good).status_code)
            unread = client.get("/v1/quotes/00000000-0000-4000-8000-000000000000", headers=good)
            assert unread.status_code == 503
        # What the server itself refuses, and an error that nobody foresaw.
        assert talk(service, f"GET /{WORD} HTTP/1.1\r\nAuthorization{WORD}: Bearer {key}\r\n {MARKER}\r\n\r\n".encode())
        assert talk(service, f"GE(T /{WORD}{key} HTTP/1.1\r\nHost: {WORD}\r\n\r\n".encode()).startswith(b"HTTP/1.1 400")
        assert talk(service, f"GET /{key} {WORD} HTTP/9.9\r\n\r\n".encode()).startswith(b"HTTP/1.1 400")
        chunked = (
            f"POST /v1/quotes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nTransfer-Encoding: chunked\r\n"
        )
        torn = f"{chunked}Content-Type: application/json\r\n\r\n{WORD}{MARKER}\r\n"
        assert talk(service, torn.encode()).startswith(b"HTTP/1.1 400")
        deadline = time.monotonic() + 10
        while client.get("/readyz").json()["status"] != "ready":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with warehouse.begin() as connection:
            connection.execute(text("ALTER TABLE motorisk.quote RENAME COLUMN reference TO reference_away"))
        unreadable = client.get("/v1/quotes/00000000-0000-4000-8000-000000000000", headers=good)
        assert unreadable.status_code == 500
        broken = client.post("/v1/quotes", json=answered, headers=good | {"X-Request-ID": "broken"})
        assert (broken.status_code, broken.json()["recorded"]) == (201, "journal")
        access_lines(service.log, "broken")
    assert statuses >= {200, 201, 400, 401, 404, 422}
    log = service.log.read_text()
    for secret in (MARKER, WORD, key, wrong, key.rpartition("_")[2], "Traceback", "  File "):
        assert secret not in log, [line for line in log.splitlines() if secret in line]
    errors = [line for line in lines_of(service.log) if "error" in line]
    (unforeseen,) = [line for line in errors if line["message"].startswith("unexpected error")]
    assert unforeseen["request_id"] == unreadable.headers["X-Request-ID"]
    assert unreadable.json()["instance"] in unforeseen["message"]
    assert "motorisk.quoting.ledger.find:" in unforeseen["error"]


def test_every_part_of_the_service_writes_json(service: Any) -> None:
    loggers = {line["logger"] for line in lines_of(service.log)}
    assert loggers >= {"gunicorn.error", "motorisk.quoting.champion", "motorisk.quoting.clients"}


def test_access_lines_can_be_switched_off(
    warehouse: Engine, approve: Any, start_service: Any, body: JsonObject
) -> None:
    version = approve(warehouse)
    service = start_service(quote_access_log="false")
    service.wait_until_served(version)
    service.post("/v1/quotes", body).raise_for_status()
    service.process.terminate()
    service.process.wait(30)
    assert "motorisk.access" not in {line["logger"] for line in lines_of(service.log)}


def test_a_stopped_service_has_written_every_access_line(
    warehouse: Engine, approve: Any, start_service: Any, body: JsonObject
) -> None:
    version = approve(warehouse)
    service = start_service()
    service.wait_until_served(version)
    with service.client() as client:
        for number in range(300):
            client.post("/predict/mock", json=body, headers={"X-Request-ID": f"mock-{number}"}).raise_for_status()
    service.process.terminate()
    service.process.wait(30)
    named = [line["request_id"] for line in lines_of(service.log) if line.get("route") == "/predict/mock"]
    assert sorted(named) == sorted(f"mock-{number}" for number in range(300))


def test_somebody_who_does_not_read_the_log_holds_no_request_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_log, "MAX_LINES", 1000)
    reader, writer = os.pipe()
    buffer = server_log.LineBuffer(writer)
    for _ in range(5000):
        buffer.add(b"x" * 200 + b"\n")
    assert len(buffer._lines) <= 1000
    assert buffer._dropped > 0
    os.close(reader)  # its thread waits no longer
    buffer.close()
    os.close(writer)


def test_on_a_terminal_lines_are_text(server_environment: dict[str, str], tmp_path: Path) -> None:
    """`auto`: whoever sits before it reads along."""
    program = "from motorisk.settings import settings; from motorisk_web.log_lines import is_json; "
    program += "print('json' if is_json(settings()) else 'text')"
    for own, expected in (({}, "text"), ({"MOTORISK_LOG_FORMAT": "json"}, "json")):
        primary, secondary = pty.openpty()
        command = [sys.executable, "-c", program]
        environment = server_environment | own
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=secondary, text=True, timeout=60, check=True
        )
        os.close(primary)
        os.close(secondary)
        assert done.stdout.strip() == expected


def test_text_lines_tell_the_same(warehouse: Engine, approve: Any, start_service: Any, body: JsonObject) -> None:
    version = approve(warehouse)
    service = start_service(log_format="text")
    service.wait_until_served(version)
    with service.client() as client:
        client.post("/v1/quotes", json=body, headers={"X-Request-ID": "as-text"}).raise_for_status()
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(30)
    log = service.log.read_text()
    assert re.search(r"POST /v1/quotes 201 [\d.]+ ms None 127.0.0.1 as-text", log)
    assert f"serving version {version}" in log
    assert "{" not in log


def test_an_error_is_told_without_its_message() -> None:
    def fail() -> None:
        try:
            float(WORD)
        except ValueError as error:
            raise RuntimeError(WORD) from error

    with pytest.raises(RuntimeError) as caught:
        fail()
    line = exception_line((RuntimeError, caught.value, caught.value.__traceback__))
    assert WORD not in line
    assert "\n" not in line
    assert re.search(r"^RuntimeError at .*fail:\d+ caused by ValueError at .*fail:\d+$", line)


def test_problems_name_the_request(start_app: Callable[..., FlaskClient]) -> None:
    response = start_app().get("/nowhere", headers={"X-Request-ID": "abc"})
    assert response.get_json()["request_id"] == "abc"
