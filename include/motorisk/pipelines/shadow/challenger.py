"""The plan of a version that is shadowed, checked as the quote service would check it; starting a shadow."""

from datetime import datetime

from sqlalchemy import Connection

from motorisk.domain.rating_plan import RatingPlan
from motorisk.errors import PlanRefused
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.smoke import smoke_test
from motorisk.registry import shadows
from motorisk.registry.shadows import Shadow
from motorisk.registry.tariffs import tariffs
from motorisk.registry.versions import load_plan


def load_challenger(connection: Connection, version: int) -> RatingPlan:
    """A version's rating plan; `PlanRefused` where its digest or schema is wrong, or a smoke prediction is no price."""
    try:
        plan = load_plan(connection, version)
        smoke_test(Pricer(plan), tariffs(connection))
    except PlanRefused as error:
        raise PlanRefused(f"version {version} cannot be shadowed: {error}") from error
    return plan


def start_shadow(
    connection: Connection, version: int, *, by: str, since: datetime | None = None, comment: str | None = None
) -> Shadow:
    """Shadow a validated version whose plan prices (see `shadows.start`)."""
    found = shadows.start(connection, version, by=by, since=since, comment=comment)
    load_challenger(connection, version)
    return found
