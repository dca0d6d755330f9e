"""The training configuration in force, followed: a change starts one training, whoever missed what.

A look notes a change and asks for a training until one has begun. A training that begins says with what: DAGs are read
file by file after a push, so that a training asked for by a new one may still be pinned to the old.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.warehouse.tables import training_configuration

UNSET = "default"
SHORT_COMMIT = 10


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the configuration for which a training is to be asked; `reason` is told with the version."""

    number: int
    digest: str
    reason: str


def digest_of(configuration: TrainingConfiguration) -> str:
    """SHA-256 of what the configuration states: comments, layout and values left to their defaults change nothing."""
    canonical = json.dumps(_stated(configuration), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def notice(connection: Connection, configuration: TrainingConfiguration, bundle_version: str | None) -> Change | None:
    """Note the configuration in force; a change that no training has begun with and none was asked for yet.

    The first configuration that is ever seen is no change.
    """
    digest = digest_of(configuration)
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtext("motorisk.training_configuration"))))
    rows = connection.execute(_NEWEST.limit(2)).all()
    if not rows or rows[0].digest != digest:
        values = {"digest": digest, "content": _stated(configuration), "bundle_version": bundle_version}
        asked = {} if rows else {"asked_at": func.clock_timestamp()}
        connection.execute(insert(training_configuration).values(values | asked))
        rows = connection.execute(_NEWEST.limit(2)).all()
    present, *former = rows
    if present.asked_at is not None or present.training_run is not None:
        return None
    where = "training.yaml" if present.bundle_version is None else f"push {present.bundle_version[:SHORT_COMMIT]}"
    return Change(present.number, digest, f"{where}: {differences(former[0].content, present.content)}")


def remember(connection: Connection, number: int) -> None:
    """Note that a training was asked for because of a change."""
    connection.execute(
        update(training_configuration)
        .where(training_configuration.c.number == number)
        .values(asked_at=func.clock_timestamp())
    )


def begin_training(
    connection: Connection, configuration: TrainingConfiguration, run: str, wanted: Collection[str] = ()
) -> bool:
    """Note that a run trains with a configuration; False where it was started for the sake of another one.

    `wanted` are the digests of the configurations that it was started for. A run is pinned to another one where it was
    started before Airflow had read the push: then the change is asked for again.
    """
    digest = digest_of(configuration)
    present = connection.execute(_NEWEST.limit(1)).one_or_none()
    is_present = present is not None and present.digest == digest
    fits = is_present or not wanted or digest in wanted
    if present is not None and present.training_run is None and (is_present or not fits):
        connection.execute(
            update(training_configuration)
            .where(training_configuration.c.number == present.number)
            .values({"training_run": run} if is_present else {"asked_at": None})
        )
    return fits


def differences(former: Mapping[str, Any], present: Mapping[str, Any]) -> str:
    """What changed, `name old → new` each."""
    names = [name for name in sorted({*former, *present}) if former.get(name) != present.get(name)]
    return ", ".join(f"{name} {_said(former, name)} → {_said(present, name)}" for name in names)


_NEWEST = select(training_configuration).order_by(training_configuration.c.number.desc())


def _stated(configuration: TrainingConfiguration) -> dict[str, Any]:
    """What the file states, `gates.min_accuracy` and so on."""
    stated = configuration.model_dump(mode="json", exclude_unset=True)
    gates = stated.pop("gates", {})
    return stated | {f"gates.{name}": value for name, value in gates.items()}


def _said(values: Mapping[str, Any], name: str) -> str:
    return json.dumps(values[name]) if name in values else UNSET
