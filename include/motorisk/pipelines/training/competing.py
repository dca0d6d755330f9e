"""Who competes for the next version: the configuration's candidates, and the way in which the champion was trained."""

from dataclasses import dataclass
from typing import get_args

from pydantic import ValidationError
from sqlalchemy import Engine

from motorisk.domain.rating_plan import RatingPlan
from motorisk.modelling.configuration import CHAMPION, CandidateName, TrainingConfiguration
from motorisk.registry.versions import ModelVersion, find_champion, load_plan


@dataclass(frozen=True, slots=True)
class PresentChampion:
    """The champion, its plan, and how it was trained: None where this code cannot train that way any more."""

    model: ModelVersion
    plan: RatingPlan
    recipe: TrainingConfiguration | None


def present_champion(engine: Engine) -> PresentChampion | None:
    """The version that prices policies now, if there is one."""
    with engine.connect() as connection:
        model = find_champion(connection)
        if model is None:
            return None
        plan = load_plan(connection, model.version)
    try:
        recipe = TrainingConfiguration.model_validate({**model.parameters, "search_trials": 0})
    except ValidationError:
        recipe = None
    return PresentChampion(model, plan, recipe if model.candidate in get_args(CandidateName) else None)


def competitors(engine: Engine, configuration: TrainingConfiguration) -> list[str]:
    """Who competes: the configuration's candidates, and the champion's way of training where there is one."""
    present = present_champion(engine)
    return [*configuration.candidates, *([CHAMPION] if present is not None and present.recipe is not None else [])]
