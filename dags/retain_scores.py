"""
### Move old scores out of the database

**When** every Sunday morning, or by hand.

**What** `plan` lists the dates whose scores are older than `keep_months` (default: `MOTORISK_SCORE_KEEP_MONTHS`, 24);
`archive` takes one after the other: it writes a date's scores to a Parquet file under `MOTORISK_SCORE_ARCHIVE`
(default: `MOTORISK_HOME/archive/scores`), reads it back and compares every value with the table, then drops the table
and notes the file in `motorisk.score_run`. It never takes the two newest dates, dates that a run under way needs, nor
the 13 months that renewals compare with. With `dry_run` the log of `plan` says what would go and what stays, and why,
and nothing else happens. It is off by default, since nothing is lost: whoever only reported every week would never
have retained anything. The workers need a folder that lasts and that they share.

**If it is red** the scores are still in the database. *Archive refuted*: the file is not what the table holds (a disk
that is full or broken, or somebody changed the file), or the date was scored anew meanwhile; move the file away and
clear the task. *Database unavailable*: somebody has read the scores for ten minutes; clear it later.

**Rerunning** is safe at any moment: files that are there are compared again and not written twice, dates that have left
are left alone. To have a date's scores again, score the date again.
"""

import motorisk_dags  # noqa: F401 - refuses a library that it was not written for
from airflow.sdk import DAG, CronTriggerTimetable, Param, get_current_context, task

from motorisk_airflow.dates import as_of
from motorisk_airflow.defaults import COMMON, as_of_param

with DAG(
    dag_id="retain_scores",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 5 * * 0", timezone="UTC"),
    max_active_runs=1,
    params={
        "as_of": as_of_param(),
        "keep_months": Param(None, type=["null", "integer"], minimum=0, maximum=1200, title="Months to keep"),
        "dry_run": Param(False, type="boolean", title="Dry run", description="Only say what would be done."),
    },
    tags=["motorisk", "score"],
    **COMMON,
):

    @task
    def plan() -> list[str]:
        """Dates whose scores are to leave the database; none in a dry run."""
        from motorisk_airflow.retention import plan_retention

        context = get_current_context()
        going = plan_retention(as_of(context), context["params"]["keep_months"])
        return [] if context["params"]["dry_run"] else going[:1000]  # as many as can be mapped; the rest next week

    @task(map_index_template="{{ label }}", max_active_tis_per_dag=1)
    def archive(day: str) -> dict[str, object] | None:
        """Move one date's scores into a file."""
        from motorisk_airflow.retention import archive_date

        get_current_context()["label"] = day  # names the mapped task in the UI
        return archive_date(day)

    archive.expand(day=plan())
