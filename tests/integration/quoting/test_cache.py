"""What was served last: read back as it was, or refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from motorisk.domain.rating_plan import RatingPlan
from motorisk.errors import PlanRefused
from motorisk.quoting.cache import KEPT_PLANS, ServingCache
from motorisk.quoting.sealed import seal
from motorisk.registry import transitions
from motorisk.registry.tariffs import tariffs
from motorisk.registry.versions import ModelVersion, load_plan

Served = tuple[ModelVersion, RatingPlan]


@pytest.fixture
def served(warehouse: Engine, offer: Callable[..., int]) -> Served:
    version = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        return transitions.approve(connection, version, by="uma"), load_plan(connection, version)


def test_what_was_stored_is_loaded_until_it_is_forgotten(
    cache: ServingCache, served: Served, warehouse: Engine
) -> None:
    version, plan = served
    with warehouse.connect() as connection:
        known = tariffs(connection)
    assert cache.load() is None
    cache.store(version, plan, known)
    loaded = cache.load()
    assert loaded is not None
    assert loaded[1:] == (plan, known)
    for name in ("version", "state", "candidate", "as_of", "digest", "rows", "metrics", "approved_by", "approved_at"):
        assert getattr(loaded[0], name) == getattr(version, name)
    cache.forget()
    assert cache.load() is None
    assert cache.plan(version.digest) == plan


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"changed", "was changed after it was written"), (seal(b"{}"), "is of another version: 2 fields do not fit")],
)
def test_what_somebody_changed_is_refused(
    cache: ServingCache, folder: Path, served: Served, content: bytes, reason: str
) -> None:
    cache.store(*served, [])
    (folder / "serving.json").write_bytes(content)
    with pytest.raises(PlanRefused, match=reason):
        cache.load()


@pytest.mark.parametrize("content", [b"{}", b"\xff", None])
def test_a_plan_that_is_not_the_digests_is_refused(
    cache: ServingCache, folder: Path, served: Served, content: bytes | None
) -> None:
    cache.store(*served, [])
    file = folder / "plans" / f"{served[0].digest}.json"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(PlanRefused):
        cache.load()


def test_the_oldest_plans_go(cache: ServingCache, folder: Path, served: Served) -> None:
    plans = folder / "plans"
    plans.mkdir(parents=True)
    for number in range(KEPT_PLANS + 1):
        (plans / f"{number}.json").touch()
        os.utime(plans / f"{number}.json", (number, number))
    cache.store(*served, [])
    kept = {path.stem for path in plans.glob("*.json")}
    assert kept == {served[0].digest, *(str(number) for number in range(2, KEPT_PLANS + 1))}
