"""What every DAG has in common."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, Param, RetryAction, RetryRule

from motorisk_airflow.alerts import ON_FAILURE, ON_SUCCESS

START = datetime(2020, 1, 1, tzinfo=UTC)
"""From when on backfills make sense: before the first policy."""

# A lost connection may come back; wrong data, a missed gate or a missing champion will be so again.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=[
                "motorisk.errors.DatabaseUnavailable",
                "sqlalchemy.exc.OperationalError",
                "sqlalchemy.exc.InterfaceError",
                # Airflow's own API had no answer for the task, as while the database of its metadata is away.
                "airflow.sdk.exceptions.AirflowRuntimeError",
                "builtins.ConnectionError",
                "builtins.TimeoutError",
            ],
            action=RetryAction.RETRY,
            reason="the connection may come back",
        ),
        RetryRule(exception="builtins.Exception", action=RetryAction.FAIL, reason="trying again cannot help"),
    ]
)

COMMON: dict[str, Any] = {
    "start_date": START,
    "catchup": False,
    "default_args": {
        "owner": "motorisk",
        "retries": 3,
        "retry_delay": timedelta(seconds=20),
        "retry_policy": RETRY_POLICY,
        "execution_timeout": timedelta(hours=1),
    },
    "on_failure_callback": ON_FAILURE,
    "on_success_callback": ON_SUCCESS,
}
"""Arguments of every DAG. What a night missed is computed when somebody asks for it (`docs/how-to/backfill.md`)."""


def as_of_param() -> Param:
    """The parameter that overrides the date a run works as of."""
    return Param(
        None,
        type=["null", "string"],
        format="date",
        title="As of",
        description="Work with what was known on this day (YYYY-MM-DD); empty: the last day of the data interval.",
    )
