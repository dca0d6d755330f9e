"""Judge a candidate by its gates, and make it champion where no person is asked."""

from sqlalchemy import Engine

from motorisk.registry.transitions import AutomaticDecision, approve_automatically, require_validated
from motorisk.registry.transitions import validate as validate_version
from motorisk.registry.versions import ModelVersion, get
from motorisk.settings import Settings


def validate(engine: Engine, settings: Settings, version: int, *, by: str | None = None) -> ModelVersion:
    """Record the gates' verdict, then raise `GateFailed` where it is a rejection."""
    with engine.begin() as connection:
        found = validate_version(connection, version, by=by or settings.user)
    require_validated(found)
    return found


def approve_where_automatic(engine: Engine, settings: Settings, version: int) -> AutomaticDecision:
    """Make a validated version champion if `MOTORISK_APPROVAL=auto`; else it waits for a person."""
    with engine.begin() as connection:
        found = get(connection, version)
        if found.state != "approved" and settings.approval == "human":
            return AutomaticDecision(found, False, "waits for a person: `motorisk approve`")
        return approve_automatically(connection, version)
