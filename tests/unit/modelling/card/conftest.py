"""A version whose evaluation says everything that a card can tell, and its card."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from motorisk.domain.gate import GateResult
from motorisk.domain.rating_plan import RatingPlan
from motorisk.modelling.card.content import model_card
from motorisk.modelling.card.structure import Card
from motorisk.registry.events import ModelEvent
from motorisk.registry.versions import ModelVersion

FACTS = Path(__file__).parents[3] / "data" / "evaluation.json"
NOON = datetime(2024, 1, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def model(plan: RatingPlan) -> ModelVersion:
    facts = json.loads(FACTS.read_text())
    return ModelVersion(
        version=2,
        state="validated",
        candidate="trend_gam",
        as_of=date(2024, 1, 1),
        digest="d" * 64,
        snapshot_digest="a" * 64,
        rows=36000,
        metrics={"accuracy": 0.914, "log_loss": 0.316},
        gates=(
            GateResult(name="hold-out accuracy", value=0.914, rule=">=", threshold=0.85, passed=True),
            GateResult(name="calibration error", value=0.061, rule="<=", threshold=0.05, passed=False),
        ),
        parameters={"knots": 10, "candidates": ["gam", "trend_gam"]},
        provenance={},
        trained_by="tess",
        trained_at=NOON,
        approved_by=None,
        approved_at=None,
        backtest=tuple(facts["backtest"]),
        evaluation=facts["evaluation"],
    )


@pytest.fixture
def champion(plan: RatingPlan) -> tuple[int, RatingPlan]:
    """The plan of a month before, a little dearer for the young and without trends."""
    age = plan.terms["age"].model_copy(update={"average": 1.25, "trend": None})
    return 1, plan.model_copy(update={"as_of": date(2023, 12, 1), "terms": plan.terms | {"age": age}})


@pytest.fixture
def make_card(model: ModelVersion, plan: RatingPlan, champion: tuple[int, RatingPlan]) -> Callable[..., Card]:
    """The version's card: `comment` is what somebody said, the rest changes the version."""

    def make(comment: str | None = None, *, alone: bool = False, of: RatingPlan = plan, **changes: Any) -> Card:
        history = [ModelEvent(2, "registered", "tess", comment, {}, NOON)]
        return model_card(replace(model, **changes), of, history=history, champion=None if alone else champion)

    return make


@pytest.fixture
def card(make_card: Callable[..., Card]) -> Card:
    return make_card()
