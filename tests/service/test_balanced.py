"""Connections that are kept alive are spread over the workers, and a dead worker takes no part."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psutil
from sqlalchemy import Engine

CONNECTIONS = 24
LEAST = CONNECTIONS // 3


@contextmanager
def connected(service: Any) -> Iterator[None]:
    """Connections that have been answered once and stay open."""
    sockets = []
    address = urlsplit(service.url)
    try:
        for _ in range(CONNECTIONS):
            sockets.append(socket.create_connection((address.hostname, address.port), timeout=10))
            sockets[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
            assert sockets[-1].recv(4096).startswith(b"HTTP/1.1 200")
        yield
    finally:
        for one in sockets:
            one.close()


def held_by_each(service: Any) -> list[int]:
    """How many connections each worker has, the fewest first."""
    workers = psutil.Process(service.process.pid).children()
    port = urlsplit(service.url).port
    return sorted(
        sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in worker.net_connections())
        for worker in workers
    )


def wait_for_even_shares(service: Any, version: int) -> None:
    """A worker tells what it serves a moment before it takes connections."""
    service.wait_until_served(version)
    until = time.monotonic() + 10
    while True:
        with connected(service):
            shares = held_by_each(service)
        if shares[0] >= LEAST:
            assert sum(shares) == CONNECTIONS
            return
        assert time.monotonic() < until, shares


def test_each_worker_gets_its_share(warehouse: Engine, approve: Any, start_service: Any) -> None:
    champion = approve(warehouse)
    wait_for_even_shares(start_service(), champion)


def test_a_worker_that_took_the_place_of_a_dead_one_gets_its_share(
    warehouse: Engine, approve: Any, start_service: Any
) -> None:
    champion = approve(warehouse)
    service = start_service()
    service.wait_until_served(champion)
    master = psutil.Process(service.process.pid)
    dead = master.children()[0]
    os.kill(dead.pid, signal.SIGKILL)
    until = time.monotonic() + 30
    while dead in master.children() or len(master.children()) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    wait_for_even_shares(service, champion)
