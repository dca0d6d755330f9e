"""
### Report drift of policies, quotes and scores

**When** after every publication of scores, as of their date; or by hand with `as_of`.

**What** compares the months of policies since the champion's reference with the snapshot that it was trained on: the
newest by its scores, all of them together by the evidence that they add up to; and the day's quotes and scores (risk
index, premium, shares of the classes) by their scores alone, where there are enough. Stores figures, since when, and a
sentence for each feature in `drift_run` and `drift_metric`, and Evidently's report of each kind in the workspace that
`motorisk drift-ui` shows (`MOTORISK_DRIFT_WORKSPACE`); `motorisk drift --as-of … --html FILE` makes a page of one. A
feature drifts where its score reaches the threshold of so many policies, or where the evidence
convinces; it drifts on until its newest months say for two months that it does not.

**If it is red** *Not enough data*: no month has `MOTORISK_DRIFT_MIN_ROWS` policies. *Invalid data*: the reference
snapshot is gone and policies have changed since; train again.

A drifted feature does not turn the run red: it is a finding, not a failure.

**What it means** Of each drifting feature the log of `measure` says, and `drift_reading` keeps, what the drift probably
means and what to do (nothing, recalibrate, retrain, re-engineer, fall back): by the weight that the champion gives the
feature, by what its prices do, and by what came true of policies since; what that is in euros a year on the portfolio,
with an interval; and in which segments it concentrates.

**Alarms** The dataset drifts (at least half of the features), or a feature does that did not when the champion was
new: a line in the log of `measure`, a row in `alarm`. `ask` then asks `train_model` for a training, once by version and
cause. A drift that lasts when a new champion takes over does not ask again: outcomes take a year, so that the new one
has learned from policies as old. Skipped means that there is nothing to ask for, or that the night lies in the past.

Drift of quotes and scores asks for nothing: it is told here, on the dashboards, and by Prometheus' alerts.

**Rerunning** a date replaces its report and its figures, and asks for nothing again.
"""

import motorisk_dags  # noqa: F401 - refuses a library that it was not written for
from airflow.sdk import DAG, get_current_context, task

from motorisk_airflow.assets import SCORES
from motorisk_airflow.dates import dates_of_events
from motorisk_airflow.defaults import COMMON, as_of_param
from motorisk_airflow.retraining import ask_for_training

with DAG(
    dag_id="report_drift",
    doc_md=__doc__,
    schedule=[SCORES],
    max_active_runs=1,
    params={"as_of": as_of_param()},
    tags=["motorisk", "drift"],
    **COMMON,
):

    @task
    def dates() -> list[str]:
        """The dates whose scores were published since the last run."""
        return [day.isoformat() for day in dates_of_events(get_current_context(), SCORES)]

    @task(map_index_template="{{ day }}")
    def measure(day: str) -> dict[str, object]:
        """Measure one date's drift; keep the report and the figures."""
        from datetime import date

        from motorisk.pipelines.drift import report_drift
        from motorisk.settings import settings
        from motorisk_airflow.opening import warehouse
        from motorisk_airflow.runs import LOG, log_alarms, log_readings

        get_current_context()["day"] = day  # names the mapped task in the UI
        run = report_drift(warehouse(), settings(), date.fromisoformat(day))
        log_alarms(run.alarms)
        log_readings(run.readings.values())
        for kind, reason in run.skipped.items():
            LOG.info("No drift of %s: %s", kind.value, reason)
        found = {"version": run.version, "rows": run.rows, "dataset_drift": run.dataset_drift, "drifted": run.drifted}
        found["kinds"] = {kind.value: drift.drifted for kind, drift in run.kinds.items()}
        return {**found, "as_of": day, "report": run.report, "alarms": [alarm.key for alarm in run.alarms]}

    ask_for_training(measure.expand(day=dates()))
