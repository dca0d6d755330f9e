"""What scores say to people."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from motorisk.errors import NotEnoughData
from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.scoring.summary import as_markdown, summarise_scores
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.registry import transitions
from motorisk.simulation.portfolio import Simulation

BEFORE, NOW = date(2024, 3, 14), date(2024, 3, 15)


@pytest.fixture
def scored_twice(warehouse: Engine, offer: Callable[..., int]) -> Engine:
    """Two dates with the same version, between which one driver became much riskier and a few policies began."""
    simulate_portfolio(warehouse, Simulation(start=date(2024, 1, 1), months=3, policies_a_month=400))
    version = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, version, by="uma")
        connection.execute(
            text("UPDATE insurance.policy SET training = true, age = 40 WHERE policy_id = 'S1-000-000007'")
        )
    score_portfolio(warehouse, BEFORE)
    with warehouse.begin() as connection:
        changed = "training = false, emergency_braking = false, braking_distance = 99, power = 99, miles = 99, age = 90"
        connection.execute(text(f"UPDATE insurance.policy SET {changed} WHERE policy_id = 'S1-000-000007'"))
    score_portfolio(warehouse, NOW)
    return warehouse


def test_a_summary_compares_with_the_run_before_and_names_who_moved(scored_twice: Engine) -> None:
    with scored_twice.connect() as connection:
        found = summarise_scores(connection, NOW)
        sums = "SELECT as_of, count(*), sum(net) FROM motorisk.score GROUP BY as_of"
        (rows, net), (rows_before, net_before) = (
            {row[0]: row[1:] for row in connection.execute(text(sums))}[day] for day in (NOW, BEFORE)
        )
    assert found.earlier is not None
    assert (found.net_total, found.earlier.net_total) == (net, net_before)
    assert (found.earlier.as_of, found.earlier.in_both) == (BEFORE, rows_before)
    (mover,) = found.earlier.movers
    assert mover.policy_id == "S1-000-000007"
    assert mover.now > mover.before > Decimal(400)
    assert (mover.class_before, mover.class_now, found.earlier.class_changed) == ("low", "medium", 1)
    page = as_markdown(found)
    assert f"| policies | {rows:,} |" in page
    assert (
        f"| S1-000-000007 | {mover.before:,.2f} | {mover.now:,.2f} | +{mover.now - mover.before:,.2f} | low → medium |"
        in page
    )
    assert f"{net - net_before:+,.2f} EUR" in page


def test_the_first_run_has_nothing_to_compare_with(scored_twice: Engine) -> None:
    with scored_twice.connect() as connection:
        assert summarise_scores(connection, BEFORE).earlier is None
        assert "since" not in as_markdown(summarise_scores(connection, BEFORE))
        with pytest.raises(NotEnoughData, match="no scores of 2024-03-16 were published"):
            summarise_scores(connection, date(2024, 3, 16))
