"""
### Watch the training configuration

**When** every five minutes, or by hand.

**What** `notice` compares `dags/config/training.yaml`, as it is in the push that Airflow has read last, with the one
that was in force before, and keeps it in `motorisk.training_configuration`. Where a value has changed, `ask` asks
`train_model` for a training, as of yesterday or of `as_of`, and `remember` notes that: one training a change, whatever
was down when it was pushed. The version says what was changed in which commit (`provenance.reason`). Comments and
layout change nothing, and neither does the first configuration that the platform ever sees. Pause this DAG to push
without training; unpaused, it asks for what was pushed meanwhile.

A run is pinned to the commit that it was started with, and so is its configuration. Airflow reads the files of a push
one by one: a training that was started a moment too early for the push skips itself, and is asked for again.

**If `notice` is red** the pushed file is wrong, and the message names the key; nothing was trained. Push it again.

**Afterwards** a version that misses its gates turns `validate` of `train_model` red: champion and quotes stay as they
are. Push the former values back; their training passes and asks for approval.

**Rerunning** is safe at any time: a change is asked for once.
"""

from pathlib import Path
from typing import Any

import motorisk_dags  # noqa: F401 - refuses a library that it was not written for
from airflow.sdk import DAG, CronTriggerTimetable, get_current_context, task

from motorisk_airflow.assets import RETRAINING
from motorisk_airflow.dates import as_of
from motorisk_airflow.defaults import COMMON, as_of_param

DAGS = Path(__file__).parent

with DAG(
    dag_id="watch_configuration",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC"),
    max_active_runs=1,
    params={"as_of": as_of_param()},
    tags=["motorisk", "model"],
    **COMMON,
):

    @task
    def notice() -> dict[str, Any]:
        """Keep the configuration in force; skip where there is no change to ask for."""
        from motorisk_airflow.configuration import changed_configuration

        return changed_configuration(get_current_context(), DAGS)

    @task(outlets=[RETRAINING])
    def ask(change: dict[str, Any]) -> int:
        """Ask for a training; return the change's number."""
        context = get_current_context()
        extra = {name: change[name] for name in ("reason", "configuration")}
        context["outlet_events"][RETRAINING].extra = {**extra, "as_of": as_of(context).isoformat()}
        return int(change["number"])

    @task
    def remember(number: int) -> None:
        """Note that it was asked for, after it was."""
        from motorisk.pipelines.configuration import remember as run
        from motorisk_airflow.opening import warehouse

        with warehouse().begin() as connection:
            run(connection, number)

    remember(ask(notice()))  # type: ignore[arg-type]
