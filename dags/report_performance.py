"""
### Report realised performance

**When** every night, as of the day that has just ended; or by hand with `as_of`.

**What** compares what the served versions foretold with the outcomes that have matured, month by month, and stores
accuracy and log loss in `performance`. Outcomes take about a year: until then the run is green and empty-handed.

**If it is red** *No champion*: no version was ever approved, so that there is nothing to measure.

**Rerunning** replaces the figures of the months and versions that it measures.
"""

from airflow.sdk import DAG, CronDataIntervalTimetable, get_current_context, task

from motorisk_airflow.dates import as_of
from motorisk_airflow.defaults import DEFAULT_ARGS, START, as_of_param

with DAG(
    dag_id="report_performance",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params={"as_of": as_of_param()},
    tags=["motorisk", "performance"],
):

    @task
    def measure() -> list[dict[str, object]]:
        """Realised accuracy and log loss by month and version; nothing where no outcome has matured."""
        from motorisk.pipelines.performance import report_performance
        from motorisk_airflow.opening import warehouse

        found = report_performance(warehouse(), as_of(get_current_context()))
        return [
            {"month": f"{m.month:%Y-%m}", "version": m.version, "rows": m.rows, "accuracy": m.accuracy} for m in found
        ]

    measure()
