"""
### Train, validate and approve a model

**When** on the first of each month, as of the last day of the month before; for cause, as soon as `report_drift` or
`report_performance` raises an alarm that asks for it, as of that night (alarms that come while a training runs make one
run together); when a push changes `dags/config/training.yaml` (`watch_configuration`); or by hand with `as_of`. The
version keeps why: `provenance.reason` says *monthly clock*, *by hand*, what the alarms said, or what was pushed.

The configuration is that of the commit which the run is pinned to (`provenance.bundle_version`), unless
`MOTORISK_TRAINING_CONFIG` names another file; the library is the image's (`provenance.image_tag`).

**What** `snapshot` freezes the matured policies known on the as-of date; `competitors` names who competes, each runs
its `backtest`; `fit` trains the best additive one and registers it as a candidate with its gates; `validate` turns the
run red where a gate is missed; `approve` makes the version champion where `MOTORISK_APPROVAL=auto`, and is skipped
where a person decides or the champion knows more; `offer` hands the version to `approve_model` where a person decides.

**If `snapshot` is red** no, or too few, outcomes were known on the date: check that `insurance.outcome` is filled.

**If `validate` is red** the message names each missed gate with its figure and bound. The champion and the quotes
stay as they are. Look at what changed in `dags/config/training.yaml` or in the data; clearing the task will not help.

**If everything is skipped** the run was started for a push that Airflow had not read yet; it is asked for again.

**Rerunning** a date is safe: the same snapshot gives the same version.
"""

from pathlib import Path

import motorisk_dags  # noqa: F401 - refuses a library that it was not written for
from airflow.sdk import DAG, AssetOrTimeSchedule, CronDataIntervalTimetable, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from motorisk_airflow.assets import CHAMPION, RETRAINING, VALIDATED
from motorisk_airflow.dates import newest_date
from motorisk_airflow.defaults import COMMON, as_of_param
from motorisk_airflow.training import training_configuration

DAGS = Path(__file__).parent

with DAG(
    dag_id="train_model",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronDataIntervalTimetable("0 1 1 * *", timezone="UTC"), assets=[RETRAINING]),
    max_active_runs=1,
    params={"as_of": as_of_param()},
    tags=["motorisk", "model"],
    **COMMON,
):

    @task
    def snapshot() -> str:
        """Freeze what is known on the as-of date; return the snapshot's digest."""
        from motorisk.pipelines.training.snapshot import take_snapshot
        from motorisk.settings import settings
        from motorisk_airflow.configuration import note_training
        from motorisk_airflow.opening import warehouse

        context = get_current_context()
        note_training(context, RETRAINING, DAGS)
        return take_snapshot(warehouse(), settings(), newest_date(context, RETRAINING), training_configuration(DAGS))

    @task
    def competitors() -> list[str]:
        """The configuration's candidates, and the champion's way of training."""
        from motorisk.pipelines.training.competing import competitors as run
        from motorisk_airflow.opening import warehouse

        return run(warehouse(), training_configuration(DAGS))

    @task(map_index_template="{{ competitor }}")
    def backtest(competitor: str, digest: str) -> str:
        """Let one competitor search its settings and foretell months whose outcomes are known."""
        from motorisk.pipelines.training.backtest import run_backtest
        from motorisk.settings import settings
        from motorisk_airflow.opening import warehouse
        from motorisk_airflow.runs import log_progress

        get_current_context()["competitor"] = competitor  # names the mapped task in the UI
        run_backtest(warehouse(), settings(), digest, competitor, training_configuration(DAGS), log_progress("fits"))
        return competitor

    @task
    def fit(digest: str, competing: list[str]) -> int:
        """Train the best additive competitor and register it as a candidate; return its version."""
        from motorisk.pipelines.training.register import fit_and_register
        from motorisk.settings import settings
        from motorisk_airflow.opening import warehouse
        from motorisk_airflow.runs import made_by

        made = made_by(get_current_context(), RETRAINING)
        names, configuration = list(competing), training_configuration(DAGS)
        return fit_and_register(warehouse(), settings(), digest, names, configuration, **made).version

    @task
    def validate(version: int) -> int:
        """Fail, naming figures and bounds, where the version missed a gate."""
        from motorisk.pipelines.training.decide import validate as run
        from motorisk.settings import settings
        from motorisk_airflow.opening import warehouse
        from motorisk_airflow.runs import person

        return run(warehouse(), settings(), version, by=person(get_current_context())).version

    @task(outlets=[CHAMPION])
    def approve(version: int) -> None:
        """Make the version champion where that is automatic; tell scoring."""
        from motorisk.pipelines.training.decide import approve_where_automatic
        from motorisk.settings import settings
        from motorisk_airflow.opening import warehouse

        decision = approve_where_automatic(warehouse(), settings(), version)
        if not decision.approved:
            raise AirflowSkipException(f"version {version} {decision.reason}")
        extra = {"version": version, "as_of": decision.version.as_of.isoformat()}
        get_current_context()["outlet_events"][CHAMPION].extra = extra

    @task(outlets=[VALIDATED])
    def offer(version: int) -> None:
        """Hand the version to `approve_model` where a person has to decide."""
        from motorisk.settings import settings

        if settings().approval != "human":
            raise AirflowSkipException("approval is automatic")
        get_current_context()["outlet_events"][VALIDATED].extra = {"version": version}

    digest = snapshot()
    validated = validate(fit(digest, backtest.partial(digest=digest).expand(competitor=competitors())))
    approve(validated)
    offer(validated)
