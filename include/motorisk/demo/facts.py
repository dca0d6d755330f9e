"""What a night leaves: champion, scores, drifted features."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine, select

from motorisk.registry.versions import champion
from motorisk.warehouse.tables import drift_metric, drift_run, score_run


@dataclass(frozen=True, slots=True)
class Facts:
    """The champion with its accuracy on unseen policies, the newest scores, and the newest drift of policies."""

    version: int
    accuracy: float
    trained_as_of: date
    scored_as_of: date
    rows: int
    drifted: list[str]
    report: str


def facts_of_night(engine: Engine) -> Facts:
    """Read it after a night that has trained, scored and reported drift."""
    with engine.connect() as connection:
        model = champion(connection)
        scores = connection.execute(select(score_run).order_by(score_run.c.as_of.desc()).limit(1)).one()
        drift = connection.execute(
            select(drift_run).where(drift_run.c.kind == "policies").order_by(drift_run.c.as_of.desc()).limit(1)
        ).one()
        drifted = connection.scalars(
            select(drift_metric.c.feature)
            .where(drift_metric.c.as_of == drift.as_of, drift_metric.c.kind == drift.kind, drift_metric.c.drifted)
            .order_by(drift_metric.c.score.desc())
        ).all()
    return Facts(
        version=model.version,
        accuracy=model.metrics["accuracy"],
        trained_as_of=model.as_of,
        scored_as_of=scores.as_of,
        rows=scores.rows,
        drifted=list(drifted),
        report=drift.report,
    )
