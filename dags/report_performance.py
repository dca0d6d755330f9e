"""
### Report realised performance

**When** every night, as of the day that has just ended; or by hand with `as_of`.

**What** compares what the served versions foretold with the outcomes that have matured, month by month, and stores
the figures in `performance`: accuracy, log loss, RMSE, bias, calibration, actual and expected policies by class.
Outcomes take about a year: until then a month has only the version's own estimate of its accuracy. That estimate stays
high where the version is wrong (0.89 while the truth was 0.49): look at it, never act on it.

**Alarms** A version that does worse than it promised is told in a line of the log of `measure` and stored in `alarm`,
once, with its evidence: `1 : 4,200` means that whoever had bet against the version would have multiplied the stake by
4,200. An honest version reaches 1 : 1,000 with a chance of one in a thousand, ever. `ask` then asks `train_model` for a
training, unless the champion was trained since, or the night lies in the past; skipped means that there is nothing to
ask for. An alarm does not turn the run red: it is a finding, not a failure.

**If it is red** *No champion*: no version was ever approved, so that there is nothing to measure.

**Rerunning** replaces the figures of the months and versions that it measures, unless they are of a later date, and
asks for nothing again.
"""

import motorisk_dags  # noqa: F401 - refuses a library that it was not written for
from airflow.sdk import DAG, CronDataIntervalTimetable, get_current_context, task

from motorisk_airflow.dates import as_of
from motorisk_airflow.defaults import COMMON, as_of_param
from motorisk_airflow.retraining import ask_for_training

with DAG(
    dag_id="report_performance",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),
    max_active_runs=1,
    params={"as_of": as_of_param()},
    tags=["motorisk", "performance"],
    **COMMON,
):

    @task
    def measure() -> list[dict[str, object]]:
        """Performance by month and version; the night with its alarms."""
        from motorisk.pipelines.performance import report_performance
        from motorisk_airflow.opening import warehouse
        from motorisk_airflow.runs import log_alarms

        found = report_performance(warehouse(), as_of(get_current_context()))
        log_alarms(found.alarms)
        months = [
            {"month": f"{m.month:%Y-%m}", "version": m.version, "rows": m.rows, "accuracy": m.accuracy}
            for m in found.realised
        ]
        return [{"as_of": found.as_of.isoformat(), "months": months, "alarms": [a.key for a in found.alarms]}]

    ask_for_training(measure())
