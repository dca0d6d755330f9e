"""
### Ask people whether a version may price policies

**When** as soon as `train_model` offers a validated version (`MOTORISK_APPROVAL=human`); or by hand with `version`.

**What** shows the model card with its plots under *Required Actions* and waits, without a worker; the card as a page
is under *Motorisk*. *Approve* makes the version the champion, *Reject* turns it down for good; either may say
why. No answer within a week is a *Reject*.

**If `record` is red** the answer could not be carried out: whoever trained a version cannot approve it, and a version
that was decided elsewhere meanwhile stays so. Start the DAG again with the version's number, and let somebody else
answer.

**If `decide` asks again after an answer** it was answered by a program in the second before its process had ended:
Airflow 3.3.2 then takes the end of that process for a lost task and tries again, after 20 seconds, with the same
question. Answer again.

**Rerunning** a version that is decided skips everything.
"""

from datetime import timedelta
from typing import Any

import motorisk_dags  # noqa: F401 - refuses a library that it was not written for
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from motorisk_airflow.assets import CHAMPION, VALIDATED
from motorisk_airflow.defaults import COMMON

APPROVE, REJECT = "Approve", "Reject"

with DAG(
    dag_id="approve_model",
    doc_md=__doc__,
    schedule=[VALIDATED],
    params={
        "version": Param(None, type=["null", "integer"], title="Version", description="Empty: the newest offered.")
    },
    tags=["motorisk", "model"],
    **COMMON,
):

    @task
    def card() -> dict[str, object]:
        """The version that is to be decided, and its card; skips where that is done already."""
        from motorisk.pipelines.card import card_of
        from motorisk.registry.versions import get
        from motorisk_airflow.opening import warehouse
        from motorisk_airflow.pages import form
        from motorisk_airflow.runs import offered_version

        version = offered_version(get_current_context(), VALIDATED)
        with warehouse().connect() as connection:
            state = get(connection, version).state
            if state != "validated":
                raise AirflowSkipException(f"version {version} is {state}")
            return {"version": version, "card": form(card_of(connection, version), version)}

    decide = HITLOperator(
        task_id="decide",
        subject="May version {{ ti.xcom_pull(task_ids='card')['version'] }} price policies?",
        body="{{ ti.xcom_pull(task_ids='card')['card'] }}",
        options=[APPROVE, REJECT],
        defaults=[REJECT],
        response_timeout=timedelta(days=7),
        params={"comment": Param(None, type=["null", "string"], title="Why", description="For the audit trail.")},
    )

    @task(outlets=[CHAMPION])
    def record(card: dict[str, Any], decision: dict[str, Any]) -> None:
        """Carry the answer out in the registry; tell scoring of a new champion."""
        from motorisk.registry.transitions import approve, reject
        from motorisk_airflow.opening import warehouse
        from motorisk_airflow.runs import comment, responder

        carry_out = approve if decision["chosen_options"] == [APPROVE] else reject
        with warehouse().begin() as connection:
            decided = carry_out(connection, card["version"], by=responder(decision), comment=comment(decision))
        if decided.state != "approved":
            raise AirflowSkipException(f"version {decided.version} was rejected")
        extra = {"version": decided.version, "as_of": decided.as_of.isoformat()}
        get_current_context()["outlet_events"][CHAMPION].extra = extra

    shown = card()
    shown >> decide
    record(shown, decide.output)
