"""`motorisk first-night`: what `motorisk demo` does with Airflow, in an Airflow that runs elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from motorisk.commands.opening import warehouse
from motorisk.commands.output import JsonOption, notices, print_json
from motorisk.settings import settings

if TYPE_CHECKING:
    from motorisk.demo.airflow import AirflowApi

READ_SECONDS = 300


def first_night(
    airflow: Annotated[str, typer.Option(metavar="URL", help="Airflow's address.")] = "http://127.0.0.1:8080",
    user: Annotated[str, typer.Option(help="Login that may trigger DAGs.")] = "admin",
    password: Annotated[str, typer.Option(envvar="AIRFLOW_PASSWORD", help="Its password.", show_default=False)] = "",
    json: JsonOption = False,
) -> None:
    """Unpause the DAGs, one after another, and wait for a champion, scores and a drift report.

    Where all three are there nothing is touched: what somebody has paused stays paused.
    """
    from motorisk.demo.airflow import AirflowApi
    from motorisk.demo.facts import facts_of_night
    from motorisk.demo.night import DAGS, FirstNight
    from motorisk.demo.waiting import wait_until

    engine = warehouse()
    if not FirstNight.is_over(engine):
        api = AirflowApi(airflow, user, password)
        wait_until(lambda: _logged_in(api), f"Airflow at {airflow} did not let {user} in", READ_SECONDS)
        wait_until(lambda: api.dag_ids() >= set(DAGS), "Airflow did not read the DAGs", READ_SECONDS)
        by_people = settings().approval == "human"
        FirstNight(api, engine, by_people=by_people, wait=wait_until, step=_step, logs="in Airflow").run()
    facts = facts_of_night(engine)
    if json:
        print_json(facts)
    else:
        notices.print(
            f"Champion: version {facts.version}; scored {facts.rows:,} policies as of {facts.scored_as_of}",
            highlight=False,
        )


def _logged_in(api: "AirflowApi") -> bool:
    api.log_in()
    return True


@contextmanager
def _step(what: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    notices.print(f"{what} ({time.monotonic() - start:.1f} s)", highlight=False)
