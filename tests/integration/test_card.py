"""The card of a registered version: whom it stands beside, and who decided."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from motorisk.errors import UnknownVersion
from motorisk.modelling.card.html import card_page
from motorisk.modelling.card.markdown import to_markdown
from motorisk.modelling.card.structure import Card
from motorisk.pipelines.card import card_of
from motorisk.registry import transitions

Offer = Callable[..., int]
FACTS = json.loads((Path(__file__).parents[1] / "data" / "evaluation.json").read_text())


def card(warehouse: Engine, version: int) -> Card:
    with warehouse.connect() as connection:
        return card_of(connection, version)


def beside(warehouse: Engine, version: int) -> str:
    return dict(card(warehouse, version).head.rows)["beside"].partition(",")[0]


def approve(warehouse: Engine, version: int, comment: str | None = None) -> None:
    with warehouse.begin() as connection:
        transitions.approve(connection, version, by="uma", comment=comment)


def test_the_first_version_stands_alone(warehouse: Engine, offer: Offer) -> None:
    assert beside(warehouse, offer(warehouse, 1.0)) == "no champion"


def test_who_decides_sees_whom_the_version_would_replace(warehouse: Engine, offer: Offer) -> None:
    first = offer(warehouse, 1.0)
    approve(warehouse, first)
    second = offer(warehouse, 2.0, {"champion": first})
    waiting = offer(warehouse, 3.0, {"champion": first})
    assert beside(warehouse, waiting) == f"version {first}"
    approve(warehouse, second)
    assert beside(warehouse, waiting) == f"version {second}"


def test_a_decided_version_stands_beside_the_champion_of_its_day(warehouse: Engine, offer: Offer) -> None:
    first = offer(warehouse, 1.0, {"champion": None})
    approve(warehouse, first)
    second = offer(warehouse, 2.0, {"champion": first})
    approve(warehouse, second)
    assert beside(warehouse, second) == f"version {first}"
    assert beside(warehouse, first) == f"version {second}"
    unrecorded = offer(warehouse, 3.0)
    approve(warehouse, unrecorded)
    assert beside(warehouse, unrecorded) == "no champion"


def test_a_card_tells_who_approved_and_why(warehouse: Engine, offer: Offer) -> None:
    version = offer(warehouse, 1.0, FACTS["evaluation"] | {"champion": None})
    approve(warehouse, version, "fair for the <young> | & cheap")
    decided = card(warehouse, version)
    for written in (to_markdown(decided), card_page(decided)):
        assert "by uma at 20" in written
    assert "fair for the \\<young\\> \\| \\& cheap" in to_markdown(decided)
    assert "<td>fair for the &lt;young&gt; | &amp; cheap</td>" in card_page(decided)


def test_an_evaluation_comes_back_from_the_database_as_it_went_in(warehouse: Engine, offer: Offer) -> None:
    version = offer(warehouse, 1.0, FACTS["evaluation"] | {"champion": None})
    markdown = to_markdown(card(warehouse, version))
    assert "| no | below 25 | over 130 | 879 | 4.19 | 4.16 | 967 | 738.4 | **1.31** |" in markdown
    assert "| P10427 | yes | 19.3 | yes | 38.4 | 203.5 | 63.4 | 587.32 | 951.46 | +62.0 % |" in markdown


def test_an_unknown_version_has_no_card(warehouse: Engine) -> None:
    with pytest.raises(UnknownVersion):
        card(warehouse, 99)
