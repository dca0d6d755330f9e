"""`motorisk quote drain`: what has to be over before a service's disk is taken away."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, text


def _drain(environment: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "motorisk", "quote", "drain", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_pod_that_ends_waits_for_its_journal_and_says_if_it_waited_in_vain(
    warehouse: Engine,
    approve: Any,
    start_service: Any,
    server_environment: dict[str, str],
    body: dict[str, Any],
    unreachable: Any,
) -> None:
    service = start_service()
    service.wait_until_served(approve(warehouse))
    with unreachable(warehouse):
        for _ in range(7):
            assert service.post("/v1/quotes", body).json()["recorded"] == "journal"
        waited = _drain(server_environment, "--timeout", "1")
        assert (waited.returncode, waited.stdout.split(" ", 1)[0]) == (1, "7"), waited.stdout + waited.stderr
    drained = _drain(server_environment, "--after", "0.1", "--timeout", "30", "--json")
    assert (drained.returncode, json.loads(drained.stdout)) == (0, {"pending": 0}), drained.stderr
    with warehouse.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM motorisk.quote")) == 7
