"""A challenger is shadowed beside the real quote service, under load."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select, text

from motorisk.domain.rating_plan import RatingPlan
from motorisk.pipelines.shadow.challenger import start_shadow
from motorisk.quoting.ledger import priced_quote_of
from motorisk.quoting.pricing import Pricer
from motorisk.registry import transitions, versions
from motorisk.warehouse.tables import quote, shadow_quote

JsonObject = dict[str, Any]
KILLS = 3


@pytest.fixture
def challenger(warehouse: Engine, approve: Any, make_plan: Callable[..., RatingPlan]) -> tuple[int, int]:
    """The champion, and a challenger that is shadowed."""
    champion = approve(warehouse)
    with warehouse.begin() as connection:
        registered = versions.register(
            connection,
            make_plan(1.4),
            rows=1500,
            metrics={"accuracy": 0.9, "log_loss": 0.25, "rmse": 0.42},
            gates=[],
            parameters={},
            provenance={},
            trained_by="tess",
        )
        transitions.validate(connection, registered.version, by="tess")
        start_shadow(connection, registered.version, by="tess")
    return champion, registered.version


def follower(environment: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "motorisk", "shadow", "run", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def asking(service: Any, body: JsonObject) -> Iterator[list[tuple[int, str]]]:
    """Ask on two connections until the block is left; yields statuses and quote ids, complete afterwards."""
    answers: list[tuple[int, str]] = []
    done = threading.Event()

    def ask(number: int) -> None:
        with service.client() as client:
            while not done.is_set():
                age = 16 + (len(answers) * 7 + number) % 90  # some beyond the model's experience
                response = client.post("/v1/quotes", json=body | {"driver": body["driver"] | {"age": age}})
                answers.append((response.status_code, response.json().get("quote_id", response.text)))
                done.wait(0.01)  # steady traffic, which leaves processor time to the one that is watched

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        done.set()
        for thread in threads:
            thread.join()


def shadowed(warehouse: Engine, version: int) -> int:
    with warehouse.connect() as connection:
        counted = select(func.count()).select_from(shadow_quote).where(shadow_quote.c.version == version)
        return connection.scalar(counted) or 0


def wait_for_more(warehouse: Engine, version: int, than: int) -> int:
    deadline = time.monotonic() + 120
    while (count := shadowed(warehouse, version)) <= than:
        assert time.monotonic() < deadline, "the follower prices nothing"
        time.sleep(0.05)
    return count


@pytest.mark.fault("killed while shadowing")
def test_quotes_made_while_the_follower_is_killed_and_started_again_are_each_priced_exactly_once(
    warehouse: Engine,
    challenger: tuple[int, int],
    start_service: Any,
    body: JsonObject,
    server_environment: dict[str, str],
    make_plan: Callable[..., RatingPlan],
    unreachable: Any,
) -> None:
    champion, version = challenger
    service = start_service()
    service.wait_until_served(champion)
    count = 0
    with asking(service, body) as answers:
        for _ in range(KILLS):
            running = follower(server_environment, "--every", "0.05")
            count = wait_for_more(warehouse, version, count)
            running.kill()
            running.communicate()
        with unreachable(warehouse):  # these come through the journal, late
            journalled = len(answers) + 20
            deadline = time.monotonic() + 60
            while len(answers) < journalled:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        running = follower(server_environment, "--every", "0.05")
        wait_for_more(warehouse, version, count)
    running.send_signal(signal.SIGTERM)  # in peace
    _, complaints = running.communicate(timeout=60)
    assert (running.returncode, complaints) == (0, "")
    service.wait_for_status("/readyz", 200)
    deadline = time.monotonic() + 30
    while service.get("/readyz").json()["status"] != "ready":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    last = follower(server_environment, "--once")
    _, complaints = last.communicate(timeout=120)
    assert (last.returncode, complaints) == (0, "")
    assert {status for status, _ in answers} == {201}
    with warehouse.connect() as connection:
        made = [priced_quote_of(row) for row in connection.execute(select(quote))]
        rows = connection.execute(select(shadow_quote).where(shadow_quote.c.version == version)).all()
    assert len(answers) == len(made) == len(rows)
    found = {row.quote_id: row for row in rows}
    assert found.keys() == {one.quote_id for one in made} == {UUID(name) for _, name in answers}
    pricer = Pricer(make_plan(1.4))
    for one in made:
        expected = pricer.assess(one.features, one.effective_date)
        row = found[one.quote_id]
        assert (row.predictor, row.risk_class) == (expected.predictor, expected.risk_class)
        assert (row.p_low, row.p_medium, row.p_high) == expected.price_probabilities


@pytest.mark.fault("corrupted rating plan")
def test_a_challenger_with_a_broken_plan_is_refused_with_one_error_and_quotes_go_on(
    warehouse: Engine,
    challenger: tuple[int, int],
    start_service: Any,
    body: JsonObject,
    server_environment: dict[str, str],
) -> None:
    champion, version = challenger
    service = start_service()
    service.wait_until_served(champion)
    with asking(service, body) as answers:
        running = follower(server_environment, "--every", "0.05")
        count = wait_for_more(warehouse, version, 0)
        with warehouse.begin() as connection:
            connection.execute(
                text("UPDATE motorisk.model_version SET plan = '{}' WHERE version = :version"), {"version": version}
            )
        assert running.stderr is not None
        told = running.stderr.readline()
        assert f"version {version} cannot be shadowed" in told
        after = len(answers) + 50
        deadline = time.monotonic() + 60
        while len(answers) < after:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    os.kill(running.pid, signal.SIGTERM)
    _, more = running.communicate(timeout=60)
    assert more == ""  # said once, though it looked often
    assert {status for status, _ in answers} == {201}
    assert count <= shadowed(warehouse, version) < len(answers)
    assert service.served_versions() == {champion}
