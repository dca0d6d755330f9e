"""The timelapse replays what the platform would have known, month by month."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date

import pytest
from sqlalchemy import Engine, func, select, update

from motorisk.errors import NotEnoughData
from motorisk.modelling.configuration import GateThresholds, TrainingConfiguration
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.timelapse import Frame, replay
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import model_version, outcome, policy

START = date(2023, 1, 1)
CONFIGURATION = TrainingConfiguration(candidates=("gam", "trend_gam"))


def _simulate(warehouse: Engine, _: Settings) -> None:
    simulate_portfolio(warehouse, Simulation(start=START, months=14, policies_a_month=500, label_delay_months=0))


@pytest.fixture
def world(built_once: Callable[..., Engine]) -> Engine:
    """Fourteen months of a drifting world whose outcomes the warehouse has at once."""
    return built_once(_simulate)


def frames(engine: Engine, first: date, last: date, label_delay: int = 2, train_every: int = 1) -> list[Frame]:
    return list(replay(engine, first, last, CONFIGURATION, label_delay=label_delay, train_every=train_every))


def test_each_month_is_told_with_its_champion_and_its_yardsticks(world: Engine) -> None:
    found = frames(world, date(2023, 1, 1), date(2024, 2, 1))
    assert [frame.month for frame in found] == [f"2023-{m:02d}" for m in range(1, 13)] + ["2024-01", "2024-02"]
    assert found[0] == Frame("2023-01", None, None, [], None, None, None, None, None)
    assert [frame.champion for frame in found[1:]] == list(range(1, 14))
    assert found[1].accuracy == found[1].accuracy_once == found[1].accuracy_monthly
    assert found[1].candidate == "gam"
    assert {"trend_gam"} == {frame.candidate for frame in found[8:]}
    late = found[-4:]
    for better, worse in (("accuracy", "accuracy_once"), ("accuracy_oracle", "accuracy_once")):
        assert sum(getattr(frame, better) for frame in late) > sum(getattr(frame, worse) for frame in late)
    assert "miles" in found[-1].drifted
    keys = ["month", "champion", "candidate", "drifted", "accuracy", "log_loss"]
    assert list(json.loads(json.dumps(asdict(found[-1])))) == [
        *keys,
        "accuracy_once",
        "accuracy_monthly",
        "accuracy_oracle",
    ]


def test_nothing_later_than_the_day_before_a_month_enters_its_figures(world: Engine) -> None:
    before = frames(world, date(2023, 2, 1), date(2023, 6, 1))
    with world.begin() as connection:
        late = select(policy.c.policy_id).where(policy.c.effective_date >= date(2023, 7, 1))
        connection.execute(update(outcome).where(outcome.c.policy_id.in_(late)).values(risk=50.0))
        connection.execute(update(policy).where(policy.c.effective_date >= date(2023, 7, 1)).values(age=99.0))
    assert frames(world, date(2023, 2, 1), date(2023, 6, 1)) == before


def test_outcomes_are_known_only_after_the_label_delay(world: Engine) -> None:
    slow = frames(world, date(2023, 2, 1), date(2023, 8, 1), label_delay=12)
    assert [frame.accuracy for frame in slow] == [frame.accuracy_once for frame in slow]
    assert [frame.accuracy for frame in slow] == [frame.accuracy_monthly for frame in slow]


def test_training_more_rarely_keeps_a_champion_longer(world: Engine) -> None:
    found = frames(world, date(2023, 2, 1), date(2023, 8, 1), train_every=3)
    assert [frame.champion for frame in found] == [1, 1, 1, 2, 2, 2, 3]


def test_a_model_that_misses_its_gates_never_becomes_champion(world: Engine) -> None:
    strict = TrainingConfiguration(candidates=("gam",), gates=GateThresholds(min_accuracy=0.99))
    found = list(replay(world, date(2023, 2, 1), date(2023, 4, 1), strict, label_delay=2))
    assert {(frame.champion, frame.accuracy) for frame in found} == {(None, None)}
    assert all(frame.accuracy_oracle for frame in found)


def test_a_replay_registers_nothing(world: Engine) -> None:
    frames(world, date(2023, 2, 1), date(2023, 3, 1))
    with world.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(model_version)) == 0


def test_a_month_without_policies_has_no_figures(world: Engine) -> None:
    last = frames(world, date(2024, 2, 1), date(2024, 3, 1), label_delay=12)[-1]
    assert (last.month, last.accuracy, last.drifted) == ("2024-03", None, [])
    assert last.champion == 2


@pytest.mark.fault("empty portfolio")
def test_an_empty_warehouse_is_an_error(warehouse: Engine) -> None:
    with pytest.raises(NotEnoughData, match="nothing to replay"):
        frames(warehouse, date(2023, 2, 1), date(2023, 3, 1))
