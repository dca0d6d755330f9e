"""Training, approving and reporting, killed at every point at which something becomes durable, and run by two at once.

A process of its own is killed just before its first commit or renaming of a file, the next before its second, and so
on, until one comes through. What is durable after each is what some undisturbed run would have left.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, select

from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.monitoring.measures import Kind
from motorisk.monitoring.workspace import Workspace
from motorisk.pipelines.drift import report_drift
from motorisk.pipelines.folders import drift_workspace
from motorisk.pipelines.performance import report_performance
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.registry import transitions
from motorisk.registry.versions import all_versions, find_champion
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import alarm, drift_metric, drift_run, model_event, performance

Work = Callable[[Engine], Any]
CONFIGURATION = TrainingConfiguration(candidates=("rules", "gam"), search_trials=0)
MOST_POINTS = 40


def _child(url: Any, work: Work, kill_before: int | None, *, linger: float = 0.0) -> int:
    """Do the work in a process of its own, killed before so many durable steps; return its id.

    It lingers so many seconds before each, so that another one that does the same is surely in the midst of it too.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    points = 0

    def durable(*_: Any) -> None:
        nonlocal points
        if points == kill_before:
            os.kill(os.getpid(), signal.SIGKILL)
        points += 1
        time.sleep(linger)

    code = 1
    try:
        engine = create_engine(url)
        event.listen(engine, "commit", durable)
        sys.addaudithook(lambda name, paths: durable() if name == "os.rename" and not _measures(paths[1]) else None)
        work(engine)
        code = 0
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def _measures(path: Any) -> bool:
    """Whether a file is one of those that coverage keeps of the tests, in the project's folder."""
    return Path(os.fsdecode(path)).is_relative_to(Path(__file__).parents[2] / "test-results")


def _killed_everywhere(engine: Engine, work: Work, check: Callable[[], None]) -> int:
    """Kill the work before its first durable step, then before its second and so on; return how many kills it took."""
    for kills in range(MOST_POINTS):
        _, status = os.waitpid(_child(engine.url, work, kills), 0)
        check()
        if os.waitstatus_to_exitcode(status) == 0:
            return kills
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    raise AssertionError(f"it has more than {MOST_POINTS} durable steps")


def _at_once(engine: Engine, work: Work) -> None:
    pids = [_child(engine.url, work, None, linger=0.3) for _ in range(2)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0]


def _rows(engine: Engine, *tables: Any, but: tuple[str, ...] = ("measured_at", "raised_at")) -> list[Any]:
    """All rows of some tables, without the moments at which they were written."""
    with engine.connect() as connection:
        return [
            sorted(
                str({k: v for k, v in row._mapping.items() if k not in but}) for row in connection.execute(select(t))
            )
            for t in tables
        ]


def _simulate(warehouse: Engine, _: Settings) -> None:
    simulate_portfolio(
        warehouse, Simulation(start=date(2023, 1, 1), months=4, policies_a_month=300, label_delay_months=1)
    )


def _train(warehouse: Engine, settings: Settings) -> None:
    _simulate(warehouse, settings)
    assert train(warehouse, settings, date(2023, 2, 28), CONFIGURATION).approved


@pytest.fixture
def world(built_once: Callable[..., Engine]) -> Engine:
    return built_once(_simulate)


@pytest.fixture
def championed(built_once: Callable[..., Engine]) -> Engine:
    import evidently  # noqa: F401  once, rather than in each process that is killed

    return built_once(_train)


@pytest.mark.fault("killed while training")
def test_a_training_that_is_killed_anywhere_makes_one_version(world: Engine, settings: Settings) -> None:
    def work(engine: Engine) -> None:
        train(engine, settings, date(2023, 2, 28), CONFIGURATION)

    def check() -> None:
        with world.connect() as connection:
            assert [version.state for version in all_versions(connection)] in (
                [],
                ["candidate"],
                ["validated"],
                ["approved"],
            )

    assert _killed_everywhere(world, work, check) >= 5  # snapshot, two backtests, registered, validated, approved
    again = train(world, settings, date(2023, 2, 28), CONFIGURATION)
    with world.connect() as connection:
        (version,) = all_versions(connection)
        assert again.version.digest == version.digest
        events = connection.scalars(select(model_event.c.event).order_by(model_event.c.model_event_id)).all()
    assert len(events) == len(set(events)), events


@pytest.mark.fault("two at once")
def test_two_trainings_at_once_make_one_version(world: Engine, settings: Settings) -> None:
    _at_once(world, lambda engine: train(engine, settings, date(2023, 2, 28), CONFIGURATION))
    with world.connect() as connection:
        assert [version.state for version in all_versions(connection)] == ["approved"]


@pytest.mark.fault("killed while approving")
def test_an_approval_that_is_killed_anywhere_leaves_one_champion(warehouse: Engine, offer: Callable[..., int]) -> None:
    first, second = offer(warehouse, 1.0), offer(warehouse, 2.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, first, by="uma")

    def work(engine: Engine) -> None:
        with engine.begin() as connection:
            transitions.approve(connection, second, by="uma")

    def check() -> None:
        with warehouse.connect() as connection:
            champion = find_champion(connection)
        assert champion is not None
        assert champion.version in (first, second)

    assert _killed_everywhere(warehouse, work, check) == 1
    with warehouse.connect() as connection:
        assert {v.version: v.state for v in all_versions(connection)} == {first: "retired", second: "approved"}


@pytest.mark.fault("killed while reporting")
def test_a_drift_report_that_is_killed_anywhere_is_there_once(championed: Engine, settings: Settings) -> None:
    day = date(2023, 4, 30)
    tables = (drift_run, drift_metric, alarm)
    seen: list[Any] = []

    def check() -> None:
        seen.append(_rows(championed, *tables))

    kills = _killed_everywhere(championed, lambda engine: report_drift(engine, settings, day), check)
    assert kills >= 3
    report_drift(championed, settings, day)
    whole = _rows(championed, *tables)
    assert len(whole[0]) >= 1
    for state in seen:  # nothing, or all of it
        assert state in ([[], [], []], whole)
    assert Workspace(drift_workspace(settings)).has(Kind.POLICIES, day)


@pytest.mark.fault("killed while reporting")
def test_a_performance_report_that_is_killed_anywhere_is_there_once(championed: Engine, settings: Settings) -> None:
    day = date(2023, 4, 30)
    seen: list[Any] = []
    _killed_everywhere(
        championed,
        lambda engine: report_performance(engine, day),
        lambda: seen.append(_rows(championed, performance, alarm)),
    )
    report_performance(championed, day)
    whole = _rows(championed, performance, alarm)
    assert whole[0]
    assert all(state in ([[], []], whole) for state in seen)


@pytest.mark.fault("two at once")
def test_two_reports_of_a_date_at_once_are_one(championed: Engine, settings: Settings) -> None:
    day = date(2023, 4, 30)
    report_drift(championed, settings, day)
    report_performance(championed, day)
    tables = (drift_run, drift_metric, alarm, performance)
    whole = _rows(championed, *tables)

    def work(engine: Engine) -> None:
        report_drift(engine, settings, day)
        report_performance(engine, day)

    _at_once(championed, work)
    assert _rows(championed, *tables) == whole
