"""The card of a registered version."""

from sqlalchemy import Connection

from motorisk.modelling.card import model_card
from motorisk.registry.events import history
from motorisk.registry.versions import find_champion, get, load_plan


def card_of(connection: Connection, version: int) -> str:
    """Markdown for people who decide; `UnknownVersion` where there is no such version."""
    model = get(connection, version)
    present = find_champion(connection)
    champion = None
    if present is not None and present.version != version:
        champion = (present.version, load_plan(connection, present.version))
    facts = {
        "version": f"{model.version} ({model.state}), candidate {model.candidate}",
        "trained": f"by {model.trained_by} on {model.rows:,} policies known on {model.as_of}",
        "on unseen policies": f"accuracy {model.metrics['accuracy']:.3f}, log loss {model.metrics['log_loss']:.3f}",
        "approved": f"by {model.approved_by} at {model.approved_at:%Y-%m-%d %H:%M} UTC" if model.approved_at else "no",
        "digest": model.digest[:16],
    }
    for event in history(connection, version):
        if event.comment:
            facts[f"{event.event} by {event.actor}"] = event.comment
    return model_card(
        facts, load_plan(connection, version), gates=model.gates, backtest=model.backtest, champion=champion
    )
