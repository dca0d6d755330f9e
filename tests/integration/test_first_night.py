"""The first night, as far as it can be seen without Airflow."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine
from tests.answering import answering

from motorisk.demo.airflow import AirflowApi
from motorisk.demo.night import FirstNight

DAY = 24 * 3600


@pytest.mark.parametrize("by_people", [True, False])
def test_people_have_days_to_approve_and_are_told_where(warehouse: Engine, by_people: bool) -> None:
    steps: list[str] = []
    waits: list[tuple[str, float]] = []

    @contextmanager
    def step(what: str) -> Iterator[None]:
        steps.append(what)
        yield

    def wait(done: Callable[[], bool], otherwise: str, seconds: float) -> None:
        assert not done()
        waits.append((otherwise, seconds))

    with answering((200, b'{"dag_runs": [], "import_errors": []}')) as address:
        api = AirflowApi(address, "admin", "secret")
        FirstNight(api, warehouse, by_people=by_people, wait=wait, step=step, logs="there").run()
    assert waits[0][0] == "train_model and approve_model did not finish"
    assert (waits[0][1] >= 7 * DAY) == by_people
    assert all(seconds < DAY for _, seconds in waits[1:])
    assert (f"{address}/required_actions" in steps[0]) == by_people
