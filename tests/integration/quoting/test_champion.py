"""Following the registry: what is served, what is told, and what goes on while Postgres is away."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from motorisk.errors import DatabaseUnavailable, NoChampion
from motorisk.quoting.cache import ServingCache
from motorisk.quoting.champion import Champion
from motorisk.quoting.database import Database
from motorisk.registry import transitions


class Heard:
    """What a champion tells."""

    def __init__(self) -> None:
        self.swaps: list[int | None] = []
        self.failures: list[str] = []
        self.refused = 0

    def refuse(self) -> None:
        self.refused += 1

    def following(self, database: Database, cache: ServingCache) -> Champion:
        return Champion(
            database,
            cache,
            on_swap=lambda model: self.swaps.append(model and model.version.version),
            on_failure=self.failures.append,
            on_plan_refused=self.refuse,
        )


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def approve(warehouse: Engine, offer: Callable[..., int]) -> Callable[[float], int]:
    def make_champion(intercept: float) -> int:
        version = offer(warehouse, intercept)
        with warehouse.begin() as connection:
            return transitions.approve(connection, version, by="uma").version

    return make_champion


def test_each_champion_is_served_and_told_once(
    database: Database, cache: ServingCache, heard: Heard, approve: Callable[[float], int]
) -> None:
    champion = heard.following(database, cache)
    assert champion.refresh()
    with pytest.raises(NoChampion, match="no model is approved yet"):
        champion.require(champion.serving)
    first = approve(1.0)
    assert champion.refresh()
    assert champion.refresh()
    assert champion.require(champion.serving).version.version == first
    second = approve(2.0)
    assert champion.refresh()
    assert heard.swaps == [first, second]
    assert (heard.failures, champion.failure) == ([], None)
    kept = cache.load()
    assert kept is not None
    assert kept[0].version == second


def test_an_unreachable_registry_is_said_once_and_the_cache_serves(
    database: Database,
    cache: ServingCache,
    heard: Heard,
    approve: Callable[[float], int],
    unreachable: Any,
    warehouse: Engine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    version = approve(1.0)
    Champion(database, cache).refresh()
    started = heard.following(database, cache)
    with pytest.raises(DatabaseUnavailable, match="has not been reached yet"):
        started.require(started.serving)
    started.remember()
    assert started.require(started.serving).version.version == version
    caplog.clear()
    with unreachable(warehouse):
        assert not started.refresh()
        assert not started.refresh()
    assert isinstance(started.failure, DatabaseUnavailable)
    assert (heard.swaps, heard.failures) == ([version], ["database", "database"])
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == len(set(errors))
    assert all(f"version {version} goes on" in error for error in errors)
    assert started.refresh()
    assert started.failure is None
    assert "the registry can be read again" in caplog.text


def test_a_plan_that_is_refused_leaves_the_former_one_served(
    database: Database, cache: ServingCache, heard: Heard, approve: Callable[[float], int], warehouse: Engine
) -> None:
    champion = heard.following(database, cache)
    first = approve(1.0)
    champion.refresh()
    approve(1e6)  # no risk index is of that order
    assert champion.refresh()  # the database could be read
    assert champion.refresh()
    assert champion.require(champion.serving).version.version == first
    assert (heard.failures, heard.refused) == (["plan", "plan"], 1)
    nothing = Champion(database, cache)
    nothing.refresh()
    with pytest.raises(NoChampion, match="rating plan was refused"):
        nothing.require(nothing.serving)


def test_a_cache_that_was_changed_serves_nothing(
    database: Database, cache: ServingCache, folder: Path, heard: Heard
) -> None:
    folder.mkdir()
    (folder / "serving.json").write_bytes(b"changed")
    champion = heard.following(database, cache)
    champion.remember()
    assert champion.serving.model is None
    assert heard.failures == ["cache"]


def test_what_is_unforeseen_is_told_to_nobody_outside(
    champion: Champion, warehouse: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with warehouse.begin() as connection:
        connection.execute(text("ALTER TABLE motorisk.tariff RENAME TO away"))
    assert not champion.refresh()
    assert str(champion.failure) == "the registry cannot be read"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info
    assert "no model is served" in record.getMessage()
