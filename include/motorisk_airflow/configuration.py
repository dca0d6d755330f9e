"""The training configuration that comes with the DAGs: a push that changes it starts a training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException


def changed_configuration(context: Mapping[str, Any], dags_folder: Path) -> dict[str, Any]:
    """Note the configuration in force; the change that a training is to be asked for, else skip."""
    from motorisk.pipelines.configuration import notice
    from motorisk_airflow.opening import warehouse
    from motorisk_airflow.runs import LOG, bundle_version
    from motorisk_airflow.training import training_configuration

    configuration = training_configuration(dags_folder)
    with warehouse().begin() as connection:
        change = notice(connection, configuration, bundle_version(context))
    if change is None:
        raise AirflowSkipException("the configuration is known, and its training was asked for")
    LOG.warning("Asks for a training: %s", change.reason)
    return {"number": change.number, "configuration": change.digest, "reason": change.reason}


def note_training(context: Mapping[str, Any], asset: Asset, dags_folder: Path) -> None:
    """Note which configuration a run trains with; skip a run that events of an asset started for another one alone."""
    from motorisk.pipelines.configuration import begin_training
    from motorisk_airflow.opening import warehouse
    from motorisk_airflow.training import training_configuration

    events = [event.extra or {} for event in context["triggering_asset_events"].get(asset, [])]
    wanted = {extra["configuration"] for extra in events if "configuration" in extra}
    configuration = training_configuration(dags_folder)
    with warehouse().begin() as connection:
        fits = begin_training(connection, configuration, context["run_id"], wanted)
    if not fits and all("configuration" in extra for extra in events):
        raise AirflowSkipException(
            "the run was started before Airflow had read the push that it is for; watch_configuration asks again"
        )
