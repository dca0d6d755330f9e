"""A rolling upgrade under load: the release before, with its own code and migration, gives way to this one."""

import json
import os
import re
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from motorisk.pipelines.replay import replay_ids
from motorisk.settings import PREFIX
from motorisk.warehouse.migrate import upgrade
from motorisk.warehouse.schema import LATEST_REVISION, current_revision

PROJECT = Path(__file__).parents[2]
SCHEMA = "include/motorisk/warehouse/schema.py"
PLAN = json.loads((PROJECT / "tests" / "data" / "rating_plans" / "schema_1.json").read_text())
CLIENTS = 2
SECONDS = 60


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=PROJECT, check=True, capture_output=True).stdout  # noqa: S607


def _revision(commit: str) -> str:
    found = re.search(r'LATEST_REVISION = "(\w+)"', _git("show", f"{commit}:{SCHEMA}").decode())
    assert found is not None
    return found[1]


def _release_before() -> tuple[str, str]:
    """The newest commit of the main line whose newest migration is another one, and that migration."""
    if not (PROJECT / ".git").exists():
        pytest.skip("the release before is in the project's history, and this is no checkout")
    former = "HEAD"
    for commit in _git("log", "--first-parent", "--format=%H", "--", SCHEMA).decode().split():
        if _revision(commit) != LATEST_REVISION:
            return former, _revision(former)
        former = f"{commit}^1"
    raise AssertionError("the history is cut off: fetch all of it (git fetch --unshallow)")


@pytest.fixture
def before(tmp_path: Path, postgres: str) -> Iterator[SimpleNamespace]:
    """The code of the release before, and a database at its migration with its champion."""
    commit, revision = _release_before()
    code = tmp_path / "before"
    with tarfile.open(fileobj=BytesIO(_git("archive", "--format=tar", commit, "include", "webservice"))) as archive:
        archive.extractall(code, filter="data")
    maintenance = create_engine(postgres.format(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with maintenance.connect() as connection:
        connection.execute(text("CREATE DATABASE upgraded"))
    address = postgres.format(database="upgraded")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    ours = {**inherited, "MOTORISK_HOME": str(tmp_path / "home"), "MOTORISK_DATABASE_URL": address}
    theirs = {**ours, "PYTHONPATH": os.pathsep.join(str(code / folder) for folder in ("include", "webservice"))}
    engine = create_engine(address, poolclass=NullPool)
    _run(theirs, "db", "upgrade")
    assert current_revision(engine) == revision
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO motorisk.model_version (state, candidate, as_of, digest, plan, snapshot_digest, rows, "
                "metrics, gates, parameters, provenance, trained_by) VALUES ('validated', 'trend_gam', '2025-01-31', "
                ":digest, :plan, repeat('a', 64), 3000, '{\"accuracy\": 0.9}', '[]', '{}', '{}', 'tess')"
            ),
            {"digest": PLAN["digest"], "plan": PLAN["plan"]},
        )
    _run(theirs, "approve", "1", "--by", "uma")
    yield SimpleNamespace(engine=engine, theirs=theirs, ours=ours, revision=revision)
    with maintenance.connect() as connection:
        connection.execute(text("DROP DATABASE upgraded WITH (FORCE)"))


def _run(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "motorisk", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


class Balancer:
    """Sends quotes to the instances that are in it, one after the other, and keeps what was answered.

    An instance that is taken out has answered everything when `remove` returns, as where a load balancer drains it.
    """

    def __init__(self, body: Any) -> None:
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.failures: list[str] = []
        self._body = body
        self._under_way: dict[Any, int] = {}
        self._draining = 0
        self._turn = threading.Condition()
        self._stopped = False
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def add(self, service: Any) -> None:
        with self._turn:
            self._under_way[service] = 0

    def remove(self, service: Any) -> None:
        with self._turn:
            self._draining = self._under_way.pop(service)
            assert self._turn.wait_for(lambda: self._draining == 0, SECONDS)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped = True
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, answers: int) -> None:
        """Let so many more be answered."""
        wanted = len(self.answers) + answers
        deadline = time.monotonic() + SECONDS
        while len(self.answers) < wanted:
            assert time.monotonic() < deadline, self.failures
            time.sleep(0.02)

    def _take(self) -> Any:
        with self._turn:
            service = min(self._under_way, key=lambda one: self._under_way[one])
            self._under_way[service] += 1
            return service

    def _give_back(self, service: Any) -> None:
        with self._turn:
            if service in self._under_way:
                self._under_way[service] -= 1
            else:
                self._draining -= 1
                self._turn.notify_all()

    def _ask(self) -> None:
        while not self._stopped:
            service = self._take()
            try:
                answer = service.post("/v1/quotes", self._body)
                self.answers.append((answer.status_code, answer.json()))
            except Exception as error:  # whatever it is, a client would have no quote
                self.failures.append(repr(error))
            finally:
                self._give_back(service)


@pytest.mark.timeout(600)
def test_no_quote_fails_from_the_release_before_to_this_one(
    before: SimpleNamespace, run_service: Callable[..., Any], body: dict[str, Any], tmp_path: Path
) -> None:
    balancer = Balancer(body)
    with ExitStack() as stack:

        def start(environment: dict[str, str]) -> tuple[Any, ExitStack]:
            own = stack.enter_context(ExitStack())
            service = own.enter_context(run_service({**environment, "MOTORISK_QUOTE_WORKERS": "1"}, tmp_path))
            deadline = time.monotonic() + SECONDS
            while service.served_versions() != {1}:
                assert time.monotonic() < deadline, service.log.read_text()
                time.sleep(0.1)
            return service, own

        old = [start(before.theirs) for _ in range(2)]
        for service, _ in old:
            balancer.add(service)
        balancer.start()
        try:
            balancer.wait_for_more(10)
            upgrade(before.engine)
            balancer.wait_for_more(10)
            for service, own in old:
                newer, _ = start(before.ours)
                balancer.add(newer)
                balancer.remove(service)
                own.close()  # SIGTERM
                balancer.wait_for_more(10)
        finally:
            balancer.stop()
        assert current_revision(before.engine) == LATEST_REVISION != before.revision
        assert balancer.failures == []
        assert Counter(status for status, _ in balancer.answers) == {201: len(balancer.answers)}
        quotes = [quote for _, quote in balancer.answers]
        assert {(quote["model_version"], json.dumps(quote["premium"])) for quote in quotes} == {
            (1, json.dumps(quotes[0]["premium"]))
        }
        ids = [UUID(quote["quote_id"]) for quote in quotes]
        deadline = time.monotonic() + SECONDS
        while (found := replay_ids(before.engine, ids)).missing and time.monotonic() < deadline:
            time.sleep(0.2)  # what went through the journal while tables were locked
        assert found.is_exact
        with before.engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM motorisk.quote")) == len(ids)


def test_an_instance_of_this_release_starts_on_tables_of_the_next(
    warehouse: Engine, approve: Callable[..., int], start_service: Callable[..., Any], body: dict[str, Any]
) -> None:
    version = approve(warehouse)
    with warehouse.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    service = start_service()
    service.wait_until_served(version)
    answer = service.post("/v1/quotes", body)
    assert (answer.status_code, answer.json()["recorded"]) == (201, "ledger")
