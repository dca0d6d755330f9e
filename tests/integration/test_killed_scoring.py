"""`motorisk score`, killed again and again, ends with what an undisturbed run gives (bench/chaos.py kills more)."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, func, select, text

from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.scoring.planning import plan_scoring
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.registry import transitions
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import score, score_part, score_run

DAY = date(2024, 3, 31)


@pytest.fixture
def scored(built_once: Callable[..., Engine], offer: Callable[..., int]) -> Engine:
    """Policies enough for a run that can be caught in the middle, and scores of an undisturbed one."""

    def build(warehouse: Engine, _: Settings) -> None:
        simulate_portfolio(warehouse, Simulation(start=date(2024, 1, 1), months=3, policies_a_month=10_000))
        version = offer(warehouse, 1.0)
        with warehouse.begin() as connection:
            transitions.approve(connection, version, by="uma")
        score_portfolio(warehouse, DAY)

    return built_once(build)


def _rows(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(score).order_by(score.c.policy_id))]


def _done(engine: Engine, run_id: int) -> int:
    with engine.connect() as connection:
        finished = (score_part.c.run_id == run_id) & score_part.c.finished_at.is_not(None)
        return connection.scalar(select(func.count()).where(finished)) or 0


@pytest.mark.fault("killed while scoring")
@pytest.mark.parametrize(("workers", "kills"), [(1, 2), (2, 1)])
def test_a_run_that_is_killed_goes_on_and_ends_as_if_nothing_had_been(
    scored: Engine, server_environment: dict[str, str], workers: int, kills: int
) -> None:
    wanted = _rows(scored)
    plan = plan_scoring(scored, DAY, partitions=60)
    command = [sys.executable, "-m", "motorisk", "score", "--as-of", DAY.isoformat(), "--workers", str(workers)]
    done = 0
    for _ in range(kills):
        run = subprocess.Popen(command, env=server_environment, start_new_session=True, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while _done(scored, plan.run_id) < done + 3:
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.005)
        processes = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGKILL)  # the command alone: its workers have to notice
        run.wait()
        assert len(processes) >= (workers if workers > 1 else 0)
        assert psutil.wait_procs(processes, timeout=30)[1] == []
        _until_nobody_is_left(scored)
        assert _rows(scored) == wanted
        before, done = done, _done(scored, plan.run_id)
        assert before + 3 <= done < 60
    score_portfolio(scored, DAY)
    assert _rows(scored) == wanted
    with scored.connect() as connection:
        assert connection.scalar(select(score_run.c.run_id)) == plan.run_id


def _until_nobody_is_left(engine: Engine) -> None:
    """Wait until the server has noticed that its clients have gone, so that what they did is done or undone."""
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()"
    )
    deadline = time.monotonic() + 60
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while connection.scalar(text(others)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
