"""The card of a registered version."""

from sqlalchemy import Connection

from motorisk.modelling.card.content import model_card
from motorisk.modelling.card.structure import Card
from motorisk.registry.events import history
from motorisk.registry.versions import ModelVersion, find_champion, get, load_plan

UNDECIDED = ("candidate", "validated")


def card_of(connection: Connection, version: int) -> Card:
    """For people who decide; `UnknownVersion` where there is no such version."""
    model = get(connection, version)
    other = _beside(connection, model)
    return model_card(
        model,
        load_plan(connection, version),
        history=history(connection, version),
        champion=None if other is None else (other, load_plan(connection, other)),
    )


def _beside(connection: Connection, model: ModelVersion) -> int | None:
    """Whom a version is compared with: who would be replaced; once decided, who was champion when it was trained."""
    before: int | None = model.evaluation.get("champion")
    if model.state not in UNDECIDED and before is not None and before != model.version:
        return before
    present = find_champion(connection)
    return None if present is None or present.version == model.version else present.version
