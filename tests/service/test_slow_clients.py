"""Clients that send too slowly, too much, or nothing: they cost themselves, and nobody else."""

import json
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine, text

JsonObject = dict[str, Any]
BOUND_SECONDS = 20
"""Ten for the request and five for a single wait in it, and some to notice."""
HEAD = b"POST /v1/quotes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def connect(service: Any) -> socket.socket:
    address = urlsplit(service.url)
    return socket.create_connection((str(address.hostname), address.port or 0), timeout=60)


def drip(connection: socket.socket, content: bytes) -> float:
    """Send a byte a second until the service has enough of it; answers how long that took."""
    start = time.monotonic()
    connection.settimeout(1)
    try:
        for index in range(len(content)):
            connection.sendall(content[index : index + 1])
            try:
                if connection.recv(4096) == b"":
                    break
            except TimeoutError:
                continue
    except OSError:
        pass
    return time.monotonic() - start


@pytest.mark.bad_input("HTTP request")
def test_clients_that_drip_do_not_keep_a_service_from_the_others(
    warehouse: Engine, approve: Any, start_service: Any, body: JsonObject
) -> None:
    version = approve(warehouse)
    service = start_service(quote_threads="2")
    service.wait_until_served(version)
    with connect(service) as head, connect(service) as body_only, connect(service) as silent:
        body_only.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        took: dict[str, float] = {}
        threads = [
            threading.Thread(target=lambda: took.update(head=drip(head, HEAD))),
            threading.Thread(target=lambda: took.update(body=drip(body_only, b" " * 1000))),
        ]
        for thread in threads:
            thread.start()
        # As many that say nothing as there are threads, and more: they hold none of them.
        idle = [connect(service) for _ in range(12)]
        service.post("/v1/quotes", body).raise_for_status()
        for thread in threads:
            thread.join(60)
        for connection in idle:
            connection.close()
        assert silent.fileno() > 0
    assert took["head"] < BOUND_SECONDS
    assert took["body"] < BOUND_SECONDS
    service.post("/v1/quotes", body).raise_for_status()
    assert "Traceback" not in service.log.read_text()


@pytest.mark.bad_input("HTTP request")
def test_a_body_that_does_not_come_is_a_problem_of_its_own(service: Any) -> None:
    with connect(service) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answer
        while (rest := connection.recv(65536)) != b"":
            answer += rest
        assert b"the request did not arrive in time" in answer


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize(("path", "limit"), [("/v1/quotes", 64 * 1024), ("/v1/quotes/batch", 1024 * 1024)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_is_refused_before_it_is_read(
    service: Any, path: str, limit: int, chunked: bool
) -> None:
    """The client has ten times the limit to send, and hears the answer long before."""
    piece = b" " * 16 * 1024
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
    head += b"Transfer-Encoding: chunked\r\n\r\n" if chunked else f"Content-Length: {10 * limit}\r\n\r\n".encode()
    sent = 0
    with connect(service) as connection:
        connection.sendall(head)
        connection.settimeout(0.3 if not chunked else 0.01)
        answer = b""
        while sent < 10 * limit and not answer:
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                connection.settimeout(5)
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                connection.settimeout(0.01)
                sent += len(piece)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent <= 3 * limit


@pytest.mark.bad_input("HTTP request")
def test_a_client_that_does_not_read_its_answers_does_not_keep_a_service_from_the_others(
    warehouse: Engine, approve: Any, start_service: Any, body: JsonObject
) -> None:
    version = approve(warehouse)
    service = start_service(quote_workers="1", quote_threads="2")
    service.wait_until_served(version)
    content = json.dumps(body).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(content) + content
    is_given_up = False

    def ask_without_end() -> None:
        """Ask until neither the answers nor, therefore, the questions go through any more."""
        nonlocal is_given_up
        address = urlsplit(service.url)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((str(address.hostname), address.port or 0))
            try:
                deaf.sendall(request * 20_000)
            except OSError:
                is_given_up = True

    asking = threading.Thread(target=ask_without_end)
    asking.start()
    took = []
    while asking.is_alive():
        start = time.monotonic()
        service.post("/v1/quotes", body).raise_for_status()
        took.append(time.monotonic() - start)
        time.sleep(0.05)
    assert is_given_up
    assert max(took) < 5  # less than the service has patience with a client
    assert "Traceback" not in service.log.read_text()


@pytest.mark.fault("Postgres stopped")
def test_a_read_that_the_database_holds_up_ends(
    warehouse: Engine, approve: Any, start_service: Any, body: JsonObject
) -> None:
    version = approve(warehouse)
    service = start_service()
    service.wait_until_served(version)
    location = service.post("/v1/quotes", body).headers["Location"]
    with warehouse.begin() as connection:
        connection.execute(text("LOCK TABLE motorisk.quote IN ACCESS EXCLUSIVE MODE"))
        start = time.monotonic()
        held = service.get(location)
        waited = time.monotonic() - start
    assert (held.status_code, held.json()["title"]) == (503, "Database unavailable")
    assert waited < 15
    assert service.get(location).status_code == 200
