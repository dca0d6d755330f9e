"""Live windows: every quote in exactly one, whoever is killed; measured like the nights."""

import os
import random
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, func, insert, select, text, update

from motorisk.cli import main
from motorisk.domain.policy import FEATURES
from motorisk.errors import NoChampion
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.pipelines.monitor import Monitor
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.settings import Settings
from motorisk.settings import settings as settings_of_process
from motorisk.simulation.portfolio import Simulation, draw_features
from motorisk.warehouse.tables import drift_inbox, drift_threshold, drift_window, drift_window_metric, quote

END_OF_MONTH_0 = date(2023, 1, 31)
CONFIGURATION = TrainingConfiguration(candidates=("rules", "gam"), search_trials=0)
NOW = datetime.now(UTC)
KILLS = 4


def _train(warehouse: Engine, settings: Settings) -> None:
    simulate_portfolio(warehouse, Simulation(start=date(2023, 1, 1), months=1, policies_a_month=1500))
    assert train(warehouse, settings, END_OF_MONTH_0, CONFIGURATION).approved


@pytest.fixture
def championed(built_once: Callable[..., Engine]) -> Engine:
    """A champion trained on 1,500 policies."""
    return built_once(_train)


def _record(engine: Engine, rows: int, *, month: int = 0, seed: int = 1, at: datetime = NOW) -> list[uuid.UUID]:
    """Inputs as `/predict/mock` records them."""
    drawn = draw_features(np.random.default_rng([51, seed]), month, rows)
    ids = [uuid.uuid4() for _ in range(rows)]
    values = [
        {
            "quoted_at": at + timedelta(microseconds=number),
            "quote_id": quote_id,
            "channel": "mock",
            "effective_date": at.date(),
            **{
                name: bool(drawn[name][number]) if FEATURES[name].is_flag else float(drawn[name][number])
                for name in FEATURES
            },
        }
        for number, quote_id in enumerate(ids)
    ]
    with engine.begin() as connection:
        connection.execute(insert(quote), values)
    return ids


def _members(engine: Engine) -> list[list[uuid.UUID]]:
    with engine.connect() as connection:
        return list(connection.scalars(select(drift_window.c.quote_ids).order_by(drift_window.c.window_id)))


def _waiting(engine: Engine) -> set[uuid.UUID]:
    with engine.connect() as connection:
        return set(connection.scalars(select(drift_inbox.c.quote_id)))


def _each_is_in_one(engine: Engine, recorded: Sequence[uuid.UUID]) -> None:
    both = (
        "SELECT quote_id FROM motorisk.drift_inbox "
        "UNION ALL SELECT unnest(quote_ids) FROM motorisk.drift_window"  # in one look: a monitor may be at work
    )
    with engine.connect() as connection:
        assert Counter(connection.scalars(text(both))) == Counter(recorded)


def test_full_windows_are_measured_in_order_of_arrival(championed: Engine, settings: Settings) -> None:
    recorded = _record(championed, 700)
    monitor = Monitor(championed, settings, size=300)
    windows = [monitor.close_window() for _ in range(3)]
    assert [window and window.rows for window in windows] == [300, 300, None]
    assert _members(championed) == [recorded[:300], recorded[300:600]]
    assert monitor.pending() == 100
    assert _waiting(championed) == set(recorded[600:])


def test_a_quote_that_comes_late_through_the_journal_is_in_a_later_window(
    championed: Engine, settings: Settings
) -> None:
    monitor = Monitor(championed, settings, size=300)
    recorded = _record(championed, 300)
    assert monitor.close_window() is not None
    late = _record(championed, 10, seed=2, at=NOW - timedelta(days=70))
    recorded += late + _record(championed, 290, seed=3)
    assert monitor.close_window() is not None
    assert set(late) <= set(_members(championed)[1])
    _each_is_in_one(championed, recorded)


def test_a_slow_days_window_is_closed_by_its_timeout(championed: Engine, settings: Settings) -> None:
    _record(championed, 40)
    assert Monitor(championed, settings, 300, timedelta(hours=1)).close_window() is None
    with championed.begin() as connection:
        connection.execute(update(drift_inbox).values(arrived_at=NOW - timedelta(hours=2)))
    found = Monitor(championed, settings, 300, timedelta(hours=1)).close_window()
    assert found is not None
    assert found.rows == 40
    _record(championed, 29, seed=2)
    with championed.begin() as connection:
        connection.execute(update(drift_inbox).values(arrived_at=NOW - timedelta(hours=2)))
    assert Monitor(championed, settings, 300, timedelta(hours=1)).close_window() is None, "29 rows say nothing"


def test_drift_is_seen_by_a_monitor_that_is_started_again_for_every_window(
    championed: Engine, settings: Settings
) -> None:
    """What earlier processes have measured adds up."""
    drifted = []
    for month in range(1, 13):
        _record(championed, 1500, month=month, seed=100 + month)
        window = Monitor(championed, settings).close_window()
        assert window is not None
        drifted.append(set(window.drifted))
    assert "miles" in drifted[5]
    assert "emergency_braking" in drifted[9]
    assert not set().union(*drifted) & {"training", "power", "braking_distance"}
    with championed.connect() as connection:
        newest = select(func.max(drift_window.c.window_id)).scalar_subquery()
        rows = connection.execute(select(drift_window_metric).where(drift_window_metric.c.window_id == newest)).all()
        assert {row.feature for row in rows if row.drifted} == drifted[-1]
        assert connection.scalar(select(func.count()).select_from(drift_threshold)) == len(FEATURES)


@pytest.mark.fault("no champion")
def test_without_a_champion_quotes_wait(warehouse: Engine, settings: Settings) -> None:
    recorded = _record(warehouse, 40)
    with pytest.raises(NoChampion):
        Monitor(warehouse, settings, size=30).close_window()
    assert _waiting(warehouse) == set(recorded)


def test_an_aborted_quote_is_in_no_window(championed: Engine, settings: Settings) -> None:
    with championed.connect() as connection:
        connection.execute(
            text(
                "INSERT INTO motorisk.quote (quote_id, channel, effective_date, training, age, emergency_braking, "
                "braking_distance, power, miles) "
                "SELECT gen_random_uuid(), 'mock', now(), false, 35, false, 40, 90, 20 FROM generate_series(1, 50)"
            )
        )
        connection.rollback()
    assert Monitor(championed, settings, size=30).close_window() is None


def test_the_command_tells_what_it_closed(championed: Engine, as_json: Callable[..., Any]) -> None:
    _record(championed, 100)
    told = as_json("monitor", "--once", "--window", "40")
    assert ([window["rows"] for window in told["windows"]], told["pending"]) == ([40, 40], 20)
    assert told["windows"][0]["features"]["miles"].keys() >= {"score", "method", "threshold", "drifted", "says"}


def _command(environment: dict[str, str], arguments: list[str]) -> None:
    """Run a command in a fork of the tests' process: importing everything again takes seconds."""
    os.environ.update(environment)
    settings_of_process.cache_clear()
    sys.argv = ["motorisk", *arguments]
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        main()


@pytest.mark.fault("killed while monitoring")
@pytest.mark.timeout(400)  # monitors work only when nobody else does: on a busy machine that takes its time
def test_two_monitors_that_are_killed_at_random_leave_each_quote_in_exactly_one_window(
    championed: Engine, server_environment: dict[str, str], tmp_path: Path
) -> None:
    """SIGKILL at any moment, two processes at once; quotes come in all the time, some of them late."""
    heartbeat = tmp_path / "heartbeat"
    arguments = ["monitor", "--window", "50", "--json", "--heartbeat", str(heartbeat)]
    luck = random.Random(5)  # noqa: S311  no secret
    recorded: list[uuid.UUID] = []

    def start() -> ForkProcess:
        process = get_context("fork").Process(target=_command, args=(server_environment, arguments))
        process.start()
        return process

    monitors = [start(), start()]
    kills = 0
    try:
        deadline = time.monotonic() + 240
        while kills < KILLS and time.monotonic() < deadline:
            at = NOW - timedelta(days=luck.choice([0, 0, 0, 45]))
            recorded += _record(championed, luck.randint(100, 400), seed=len(recorded), at=at)
            closed = len(_members(championed))
            while len(_members(championed)) <= closed and time.monotonic() < deadline:
                time.sleep(luck.random() * 0.02)
            time.sleep(luck.random() * 0.3)
            victim = luck.randrange(2)
            monitors[victim].kill()
            monitors[victim].join()
            kills += 1
            _each_is_in_one(championed, recorded)
            if kills < KILLS:
                monitors[victim] = start()
        assert kills == KILLS
        recorded += _record(championed, 100, seed=len(recorded))  # the one that is left takes them
        heartbeat.unlink()
        while len(_waiting(championed)) >= 50 or not heartbeat.exists():
            assert time.monotonic() < deadline + 60
            time.sleep(0.1)
    finally:
        for process in monitors:
            process.terminate()
            process.join(30)
    ends = {process.exitcode for process in monitors}
    assert ends == {-signal.SIGKILL, 0}, "SIGTERM ends a monitor in good order"
    assert {len(window) for window in _members(championed)} == {50}
    _each_is_in_one(championed, recorded)
