"""
### Score every policy in force

**When** every night, as of the day that has just ended; as soon as a new champion is approved, as of the day before;
or by hand with `as_of`.

**What** prices all policies in force on the as-of date with the champion and the tariff in force, checks the counts
against the portfolio, and replaces the date's scores in one transaction.

**If it is red** the date's earlier scores are still published. *No champion*: approve a version, then clear the task.
*Scoring incomplete*: policies changed under the run; clear the task. A lost connection is retried by itself.

**Rerunning** a date, also by backfill, replaces that date's scores and no others.
"""

from airflow.sdk import DAG, AssetOrTimeSchedule, CronDataIntervalTimetable, get_current_context, task

from motorisk_airflow.assets import CHAMPION, SCORES
from motorisk_airflow.dates import as_of
from motorisk_airflow.defaults import DEFAULT_ARGS, START, as_of_param

with DAG(
    dag_id="score_portfolio",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"), assets=[CHAMPION]),
    start_date=START,
    catchup=False,
    default_args=DEFAULT_ARGS,
    params={"as_of": as_of_param()},
    tags=["motorisk", "score"],
):

    @task(outlets=[SCORES])
    def score() -> dict[str, object]:
        """Price the portfolio and publish its scores; tell the drift report."""
        from motorisk.pipelines.score import score_portfolio
        from motorisk_airflow.opening import warehouse
        from motorisk_airflow.runs import log_progress

        context = get_current_context()
        run = score_portfolio(warehouse(), as_of(context), log_progress("policies scored"))
        summary = {"as_of": run.as_of.isoformat(), "version": run.version, "rows": run.rows}
        context["outlet_events"][SCORES].extra = summary
        return {**summary, "by_predictor": run.by_predictor, "by_class": run.by_class, "seconds": run.seconds}

    score()
