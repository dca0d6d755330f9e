"""
### Compute yesterday's quotes again

**When** every night, for the quotes of the day that has just ended; or by hand with `as_of`.

**What** takes a sample of the day's quotes from the ledger and prices them again with the version and the tariff
that priced them, one by one as the quote service does and in arrays as scoring does. No difference is expected, to
the cent and to 1e-9. A day without quotes is green and empty-handed.

**If it is red** the message names quotes and figures. *By quoting*: the code that prices has changed, or a version or
a tariff was changed after it had priced; `motorisk quote replay QUOTE_ID` shows one quote. *By scoring alone*: serving
and batch price differently (training-serving skew); do not publish scores until that is found. Customers keep the
prices that they were told.

**Rerunning** a date takes the same sample; nothing is written.
"""

import motorisk_dags  # noqa: F401 - refuses a library that it was not written for
from airflow.sdk import DAG, CronDataIntervalTimetable, get_current_context, task

from motorisk_airflow.alerts import ON_FAILURE, ON_SUCCESS
from motorisk_airflow.dates import as_of
from motorisk_airflow.defaults import DEFAULT_ARGS, START, as_of_param

with DAG(
    dag_id="replay_quotes",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 4 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    on_failure_callback=ON_FAILURE,
    on_success_callback=ON_SUCCESS,
    params={"as_of": as_of_param()},
    tags=["motorisk", "quote"],
):

    @task
    def replay() -> dict[str, object]:
        """Replay a sample of a day's quotes; fail where anything differs."""
        from motorisk.pipelines.replay import SAMPLE, replay_days, require_exact
        from motorisk_airflow.opening import warehouse
        from motorisk_airflow.runs import log_progress

        day = as_of(get_current_context())
        run = replay_days(warehouse(), day, day, sample=SAMPLE, progress=log_progress("quotes replayed"))
        require_exact(run)
        return {"day": day.isoformat(), "quotes": run.quotes}

    replay()
