"""Token buckets: how fast a client may ask."""

import threading

import pytest

from motorisk_web import rates
from motorisk_web.rates import Rates


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, for the test to move."""
    now = [1000.0]
    monkeypatch.setattr(rates.time, "monotonic", lambda: now[0])
    return now


def allowed(limits: Rates, times: int, rate: float, client: str = "a") -> int:
    return sum(limits.take(client, rate).is_allowed for _ in range(times))


def test_a_client_may_send_a_seconds_worth_at_once_and_then_at_its_rate(clock: list[float]) -> None:
    limits = Rates(workers=1)
    assert allowed(limits, 100, 10.0) == 10
    clock[0] += 0.5
    assert allowed(limits, 100, 10.0) == 5
    clock[0] += 60
    assert allowed(limits, 100, 10.0) == 10  # no more gathers than a second's worth


def test_each_worker_allows_its_share(clock: list[float]) -> None:
    assert allowed(Rates(workers=4), 100, 20.0) == 5


def test_clients_do_not_share(clock: list[float]) -> None:
    limits = Rates(workers=1)
    assert allowed(limits, 100, 5.0, "a") == 5
    assert allowed(limits, 100, 5.0, "b") == 5


def test_less_than_one_a_second_is_possible_and_tells_when(clock: list[float]) -> None:
    limits = Rates(workers=2)
    first, second = limits.take("a", 0.5), limits.take("a", 0.5)
    assert (first.is_allowed, second.is_allowed) == (True, False)
    assert first.policy == '"client";q=1;w=4'
    assert (second.retry_after, second.state) == (4, '"client";r=0;t=4')
    clock[0] += second.retry_after
    assert limits.take("a", 0.5).is_allowed


def test_another_rate_holds_from_the_next_request_on(clock: list[float]) -> None:
    limits = Rates(workers=1)
    assert allowed(limits, 100, 5.0) == 5
    assert allowed(limits, 100, 50.0) == 50


def test_threads_together_get_no_more_than_one(clock: list[float]) -> None:
    limits = Rates(workers=1)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(allowed(limits, 500, 1000.0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found) == 1000
