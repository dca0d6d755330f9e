"""
### Score every policy in force

**When** every night, as of the day that has just ended; as soon as a new champion is approved, as of the day before;
or by hand with `as_of`.

**What** `plan` fixes version and tariff and cuts the portfolio into ranges of policies of about equal size (from a
sample, in a second or so); `score_partition` prices a range, on any worker; `publish` checks counts and sums against
the partitions and the portfolio, and replaces the date's scores in one transaction. Version: the one approved for the
date, so that a backfill (`airflow backfill create --dag-id score_portfolio --from-date … --to-date …`) prices past
dates as they were priced then; with `"with_champion": true` in the run's configuration (`--dag-run-conf`), today's
champion. Tariff: the one in force on the date. `summarise` shows the result to people: in its log and in
`MOTORISK_HOME/reports/scores/<as-of date>/summary.md`.

**If it is red** the date's earlier scores are still published. *No champion*: approve a version, then clear the run.
*Scoring refuted*: policies changed under the run, or somebody changed its scores; clear the run, it begins anew.
*Invalid data*: more than `MOTORISK_SCORE_MAX_QUARANTINED` of the portfolio cannot be priced; the table
`motorisk.score_quarantine` says which policies and why. *Scoring superseded*: another run has taken the date over; look
at that one. A lost connection, a killed worker or database is retried by itself: partitions that are done stay done.

**Rerunning** a date, also by backfill, replaces that date's scores and no others. Clearing a run that was not
published scores what is missing.
"""

from typing import Any

import motorisk_dags  # noqa: F401 - refuses a library that it was not written for
from airflow.sdk import DAG, AssetOrTimeSchedule, CronDataIntervalTimetable, Param, get_current_context, task

from motorisk_airflow.assets import CHAMPION, SCORES
from motorisk_airflow.dates import as_of
from motorisk_airflow.defaults import COMMON, as_of_param

with DAG(
    dag_id="score_portfolio",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"), assets=[CHAMPION]),
    params={
        "as_of": as_of_param(),
        "with_champion": Param(False, type="boolean", title="Today's champion", description="Also for a past date."),
        "partitions": Param(None, type=["null", "integer"], minimum=1, maximum=1000, title="Partitions"),
    },
    tags=["motorisk", "score"],
    **COMMON,
):

    @task
    def plan() -> list[dict[str, Any]]:
        """Fix version, tariff and ranges; return the partitions that are missing, and beside them the run."""
        from motorisk_airflow.scoring import plan_run

        context = get_current_context()
        params = context["params"]
        planned = plan_run(as_of(context), with_champion=params["with_champion"], partitions=params["partitions"])
        context["ti"].xcom_push("run", planned["run"])
        return planned["missing"]

    @task(map_index_template="{{ label }}", max_active_tis_per_dag=16)
    def score_partition(part: dict[str, Any]) -> int:
        """Price one range of policies; nothing happens where that was done before."""
        from motorisk_airflow.scoring import score_part

        get_current_context()["label"] = f"partition {part['part']}"  # names the mapped task in the UI
        return score_part(part)

    # Where all partitions were done before, none is mapped, and skipped is as good as done.
    @task(outlets=[SCORES], trigger_rule="none_failed")
    def publish(run: dict[str, Any]) -> dict[str, Any]:
        """Check and publish the date's scores; tell the drift report."""
        from motorisk_airflow.scoring import publish_run

        published = publish_run(run)
        get_current_context()["outlet_events"][SCORES].extra = {
            name: published[name] for name in ("as_of", "version", "rows")
        }
        return published

    @task
    def summarise(published: dict[str, Any]) -> str:
        """Counts, premiums against the run before, biggest movers: in the log and in a file, whose path is returned."""
        from motorisk_airflow.scoring import summarise_run

        return summarise_run(published)

    planned: Any = plan()
    published: Any = publish(planned["run"])
    score_partition.expand(part=planned) >> published
    summarise(published)
