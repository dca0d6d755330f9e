"""Policies of files against a running service: `motorisk replay-quotes` and `scripts/curl-drift.sh`."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, select, text

from motorisk.domain.policy import FEATURES
from motorisk.pipelines.traffic.endpoints import Endpoint
from motorisk.pipelines.traffic.run import FAILURES_IN_A_ROW, replay_files
from motorisk.pipelines.traffic.target import ServiceUnreachable
from motorisk.simulation.files import write_months
from motorisk.simulation.portfolio import Simulation, simulate
from motorisk.warehouse.tables import quote

SCRIPT = Path(__file__).parents[2] / "scripts" / "curl-drift.sh"
HEADER = "policy_id,effective_date,training,age,emergency_braking,braking_distance,power,miles\n"
StartService = Callable[[], Any]


def simulation(policies: int = 60, months: int = 3) -> Simulation:
    return Simulation(start=date(2024, 1, 1), months=months, policies_a_month=policies, seed=7)


def motorisk(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "motorisk", *map(str, arguments)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def recorded(warehouse: Engine, channel: str, rows: int = 0) -> list[tuple[float, ...]]:
    """The features of the ledger's rows, in the order in which they came; inputs are there a moment later."""
    columns = [quote.c[name] for name in FEATURES]
    wanted = select(*columns).where(quote.c.channel == channel).order_by(quote.c.quoted_at)
    deadline = time.monotonic() + 10
    while True:
        with warehouse.connect() as connection:
            found = [tuple(float(value) for value in row) for row in connection.execute(wanted)]
        if len(found) >= rows or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def simulated(wanted: Simulation) -> list[set[tuple[float, ...]]]:
    """Each month's policies."""
    return [
        set(zip(*(month[name].to_pylist() for name in FEATURES), strict=True))  # type: ignore[arg-type]
        for month in simulate(wanted)
    ]


def test_months_arrive_one_after_the_other_to_the_last_digit(
    start_service: StartService, warehouse: Engine, tmp_path: Path
) -> None:
    service = start_service()
    files = write_months(simulation(), tmp_path / "months")
    done = motorisk("replay-quotes", *reversed(files), "--url", service.url, "--connections", 4, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["answered"], told["refused"], told["failed"]) == (180, 0, 0)
    assert [(sent["month"], sent["rows"]) for sent in told["months"]] == [
        ("2024-01", 60),
        ("2024-02", 60),
        ("2024-03", 60),
    ]
    rows = recorded(warehouse, "mock", 180)
    assert len(rows) == 180
    assert [set(rows[first : first + 60]) for first in (0, 60, 120)] == simulated(simulation())


@pytest.mark.fault("killed while quoting")
def test_a_killed_worker_costs_no_quote_and_doubles_none(
    start_service: StartService, warehouse: Engine, approve: Callable[[Engine], int], tmp_path: Path
) -> None:
    version = approve(warehouse)
    service = start_service()
    service.wait_until_served(version)
    files = write_months(simulation(policies=400, months=2), tmp_path / "months")
    killed: list[int] = []

    def kill_a_worker(month: date, done: int, total: int) -> None:
        if done > 50 and not killed:
            worker = psutil.Process(service.process.pid).children()[0]
            killed.append(worker.pid)
            worker.kill()

    run = replay_files(files, service.url, Endpoint.QUOTES, connections=8, progress=kill_a_worker)
    assert killed
    assert (run.answered, run.failed, run.stopped) == (800, 0, None)
    assert len(recorded(warehouse, "quote")) == 800


@pytest.mark.bad_input("import file")
def test_rows_that_are_no_policies_are_named_and_the_others_go_out(service: Any, tmp_path: Path) -> None:
    file = tmp_path / "policies.csv"
    file.write_text(
        f"{HEADER}a,2024-01-01,0,35,1,40,90,45\nb,2024-01-02,0,7,1,40,90,45\nc,2024-01-03,0,35,1,40,90,45\n"
    )
    done = motorisk("replay-quotes", file, "--url", service.url)
    assert done.returncode == 0
    assert "2 answered, 1 refused, 0 failed" in done.stdout
    assert "policies.csv, line 3: age: must be at least 15, got 7" in done.stderr


def test_a_limit_takes_the_first_months(service: Any, tmp_path: Path) -> None:
    files = write_months(simulation(), tmp_path)
    run = replay_files(reversed(files), service.url, Endpoint.PREDICT, limit=70)
    assert [(sent.month, sent.rows) for sent in run.months] == [(date(2024, 1, 1), 60), (date(2024, 2, 1), 10)]
    assert run.answered == 70


def test_no_service_is_one_line(tmp_path: Path) -> None:
    files = write_months(simulation(policies=5, months=1), tmp_path)
    done = motorisk("replay-quotes", *files, "--url", "http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Quote service unreachable: nothing answers at http://127.0.0.1:1: Connection refused\n"


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999"])
def test_an_impossible_address_is_one_line(tmp_path: Path, url: str) -> None:
    with pytest.raises(ServiceUnreachable, match="--url"):
        replay_files([tmp_path / "policies.csv"], url)


@dataclass
class Elsewhere:
    """A server that answers with the given statuses, one after the other, the last for ever."""

    statuses: list[int]
    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Elsewhere]]:
    servers: list[ThreadingHTTPServer] = []

    def start(*statuses: int) -> Elsewhere:
        found = Elsewhere(list(statuses))
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    found.headers.append(dict(self.headers))
                    status = found.statuses.pop(0) if len(found.statuses) > 1 else found.statuses[0]
                content = b'{"detail": "as told"}'
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        return found

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_months(simulation(policies=20, months=2), tmp_path / "months")


@pytest.mark.bad_input("import file")
def test_files_without_any_policy_send_nothing_and_say_why(elsewhere: Callable[..., Elsewhere], tmp_path: Path) -> None:
    file = tmp_path / "policies.csv"
    file.write_text(f"{HEADER}b,2024-01-02,0,7,1,40,90,45\n")
    server = elsewhere(200)
    run = replay_files([file], server.url)
    assert (run.policies, run.refused, run.months, run.is_complete) == (0, 1, [], True)
    assert run.reasons == ["policies.csv, line 2: age: must be at least 15, got 7"]
    assert server.headers == []


def test_a_busy_service_is_asked_again(elsewhere: Callable[..., Elsewhere], files: list[Path]) -> None:
    server = elsewhere(503, 429, 200)
    run = replay_files(files, server.url)
    assert (run.answered, run.failed, len(server.headers)) == (40, 0, 42)


def test_a_service_that_takes_no_such_client_is_asked_no_further(
    elsewhere: Callable[..., Elsewhere], files: list[Path]
) -> None:
    server = elsewhere(401)
    run = replay_files(files, server.url, connections=2)
    assert run.stopped == f"{server.url}/predict/mock answers 401 as told"
    assert len(server.headers) <= 2
    assert not run.is_complete


def test_a_service_that_fails_every_policy_is_left_alone(
    elsewhere: Callable[..., Elsewhere], files: list[Path]
) -> None:
    server = elsewhere(500)
    done = motorisk("replay-quotes", *files, "--url", server.url, "--connections", 1)
    assert done.returncode == 1
    assert f"0 answered, 0 refused, {FAILURES_IN_A_ROW} failed" in done.stdout
    assert f"Stopped: the service failed {FAILURES_IN_A_ROW} policies in a row, last: 500 as told" in done.stderr
    assert len(server.headers) == FAILURES_IN_A_ROW


def test_a_policy_that_the_service_refuses_is_counted_with_its_reason(
    elsewhere: Callable[..., Elsewhere], files: list[Path]
) -> None:
    run = replay_files(files, elsewhere(422, 200).url)
    assert (run.answered, run.refused, run.reasons, run.is_complete) == (39, 1, ["422 as told"], True)


def test_the_key_of_the_environment_goes_along(elsewhere: Callable[..., Elsewhere], files: list[Path]) -> None:
    server = elsewhere(201)
    arguments = ["replay-quotes", files[0], "--url", server.url, "--endpoint", "/v1/quotes"]
    missing = motorisk(*arguments, "--api-key-from-env")
    assert (missing.returncode, missing.stderr) == (1, "Wrong setting: MOTORISK_API_KEY is not set\n")
    assert motorisk(*arguments, "--api-key-from-env", MOTORISK_API_KEY="mtr_secret").returncode == 0
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer mtr_secret"}
    assert len({headers["Idempotency-Key"] for headers in server.headers}) == 20
    server.headers.clear()
    assert motorisk(*arguments, MOTORISK_API_KEY="mtr_secret").returncode == 0
    assert not any("Authorization" in headers for headers in server.headers)


def curl_drift(*arguments: object) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_curl_replays_the_months_in_their_order(start_service: StartService, warehouse: Engine) -> None:
    service = start_service()
    done = curl_drift(service.url.removeprefix("http://"), "--months", 3, "--policies", 40)
    assert done.returncode == 0, done.stderr
    *months, total = done.stdout.splitlines()
    assert len(months) == 3
    assert all(re.fullmatch(r"\d{4}-\d{2}  40 of 40 answered, \d+ a second", month) for month in months)
    assert months == sorted(months)
    assert re.fullmatch(r"120 policies in [0-9.]+ s, \d+ a second", total)
    first = date.fromisoformat(f"{months[0][:7]}-01")
    rows = recorded(warehouse, "mock", 120)
    expected = simulated(Simulation(start=first, months=3, policies_a_month=40))
    assert len(rows) == 120
    assert [set(rows[first : first + 40]) for first in (0, 40, 80)] == expected


def test_curl_says_what_is_missing(elsewhere: Callable[..., Elsewhere]) -> None:
    done = curl_drift("127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "curl-drift: no quote service answers at 127.0.0.1:1; start one: motorisk serve\n"
    assert curl_drift().returncode == 2
    assert curl_drift("127.0.0.1:1", "--months", "many").returncode == 2
    usage = curl_drift("--help")
    assert usage.returncode == 0
    assert usage.stdout.startswith("usage: scripts/curl-drift.sh HOST:PORT")


def test_curl_stops_where_policies_are_not_answered(elsewhere: Callable[..., Elsewhere]) -> None:
    done = curl_drift(elsewhere(200, 422).url, "--months", 2, "--policies", 5, "--connections", 1)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert "most often otherwise: 422 (4 times)" in done.stderr


@pytest.mark.fault("killed while quoting")
def test_a_service_that_goes_away_for_good_ends_the_replay(
    start_service: StartService, warehouse: Engine, tmp_path: Path
) -> None:
    service = start_service()
    files = write_months(simulation(policies=500, months=2), tmp_path / "months")

    def stop(month: date, done: int, total: int) -> None:
        if done > 50 and service.process.poll() is None:
            service.process.terminate()
            service.process.wait(30)

    run = replay_files(files, service.url, connections=4, progress=stop)
    assert run.stopped is not None
    assert "does not answer any more" in run.stopped
    assert 50 < run.answered < 1000
    with warehouse.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM motorisk.quote")) >= run.answered
