"""Rating plans as earlier releases wrote them: they go on loading, and give the same quotes to the cent.

A new schema version adds a file there; none is ever changed. Versions that were champion once are needed for years, for
replays and after a rollback.
"""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from motorisk.domain.policy import PolicyFeatures
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import RiskClass
from motorisk.domain.tariff import Tariff
from motorisk.quoting.pricing import Pricer

FOLDER = Path(__file__).parents[2] / "data" / "rating_plans"
WRITTEN = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
TARIFF = Tariff(
    name="standard",
    valid_from=date(2000, 1, 1),
    base_premium=Decimal("600.00"),
    factors={RiskClass.LOW: Decimal("0.700"), RiskClass.MEDIUM: Decimal("1.000"), RiskClass.HIGH: Decimal("1.600")},
    tax_rate=Decimal("0.1900"),
    currency="EUR",
)


def test_todays_schema_is_among_them() -> None:
    assert f"schema_{RatingPlan.model_fields['schema_version'].default}" in WRITTEN


@pytest.mark.parametrize("name", WRITTEN)
def test_a_plan_of_an_earlier_release_loads_and_prices_as_it_did(name: str) -> None:
    written: dict[str, Any] = WRITTEN[name]
    pricer = Pricer(RatingPlan.from_json(written["plan"], digest=written["digest"]))
    assert {quote["predictor"] for quote in written["quotes"]} == {"model", "rules"}
    for quote in written["quotes"]:
        day = date.fromisoformat(quote["effective_date"])
        assessed = pricer.assess(PolicyFeatures(*quote["features"]), day)
        premium = TARIFF.premium(assessed.price_probabilities)
        found = (assessed.predictor, assessed.risk_class.value, str(premium.net), str(premium.gross))
        assert found == (quote["predictor"], quote["risk_class"], quote["net"], quote["gross"])
