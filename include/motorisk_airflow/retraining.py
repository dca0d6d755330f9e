"""Asking for a training because of alarms, once each: the last tasks of the nights that raise them.

Three steps, so that a crash between any two of them neither loses a request nor repeats it: the night has stored its
alarms, `ask` sends the event, `remember` notes that it was sent.
"""

from typing import Any

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from motorisk_airflow.assets import RETRAINING


@task(outlets=[RETRAINING])
def ask(nights: list[dict[str, Any]]) -> list[list[Any]]:
    """Ask for a training where a night's alarms want one that was not asked for; return these alarms.

    A night is `as_of` and `alarms`, a list of version and cause. Skipped where there is nothing to ask for.
    """
    from datetime import date

    from motorisk.pipelines.alarms import training_request
    from motorisk_airflow.opening import warehouse
    from motorisk_airflow.runs import LOG

    # A slice, because walking through the results of mapped tasks ends in an error message in the log.
    newest = max(nights[:], key=lambda night: str(night["as_of"]))
    keys = [(version, cause) for version, cause in newest["alarms"]]
    with warehouse().connect() as connection:
        request = training_request(connection, date.fromisoformat(newest["as_of"]), keys)
    if request is None:
        raise AirflowSkipException("no alarm that a training has not answered or been asked for, or a night long past")
    LOG.warning("Asks for a training: %s", request.reason)
    asked_for = get_current_context()["outlet_events"][RETRAINING]
    asked_for.extra = {"reason": request.reason, "as_of": request.as_of.isoformat()}
    return [[version, cause] for version, cause in request.alarms]


@task
def remember(asked: list[list[Any]]) -> None:
    """Note that a training was asked for, so that no later night asks again."""
    from motorisk.pipelines.alarms import mark_asked
    from motorisk_airflow.opening import warehouse

    with warehouse().begin() as connection:
        mark_asked(connection, [(version, cause) for version, cause in asked])


def ask_for_training(nights: Any) -> None:
    """Add both tasks behind the one that returns the nights."""
    asked: Any = ask(nights)
    remember(asked)
