"""What a policy cost a year before: who has it, what the cap does with it, and what people are told."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select, text

from motorisk.errors import ScoringSuperseded
from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.scoring.partition import score_partition
from motorisk.pipelines.scoring.planning import plan_scoring
from motorisk.pipelines.scoring.summary import as_markdown, summarise_scores, write_class_changes
from motorisk.registry import transitions
from motorisk.warehouse.tables import policy, score

LAST_YEAR, DAY = date(2024, 3, 15), date(2025, 3, 15)
CAP = Decimal("0.10")


def _policy(policy_id: str, customer: str | None, begins: str, ends: str, **features: Any) -> dict[str, Any]:
    common = {
        "training": False,
        "age": 40.0,
        "emergency_braking": True,
        "braking_distance": 40.0,
        "power": 90.0,
        "miles": 20.0,
    }
    days = {"effective_date": date.fromisoformat(begins), "expiry_date": date.fromisoformat(ends)}
    return {"policy_id": policy_id, "customer_id": customer, **days, **common, **features}


POLICIES = [
    # renewed by the same customer for the same car, and much riskier now
    _policy("ann-1", "ann", "2024-01-01", "2025-01-01", training=True),
    _policy("ann-2", "ann", "2025-01-01", "2026-01-01", miles=99.0, age=95.0, braking_distance=99.0),
    # renewed, and nothing changed
    _policy("bob-1", "bob", "2024-02-01", "2025-02-01"),
    _policy("bob-2", "bob", "2025-02-01", "2026-02-01"),
    # another car
    _policy("cid-1", "cid", "2024-02-01", "2025-02-01"),
    _policy("cid-2", "cid", "2025-02-01", "2026-02-01", power=91.0),
    # a gap of a day
    _policy("dan-1", "dan", "2024-02-01", "2025-02-01"),
    _policy("dan-2", "dan", "2025-02-02", "2026-02-02"),
    # two alike end: nobody can tell which it was
    _policy("eve-1", "eve", "2024-02-01", "2025-02-01"),
    _policy("eve-2", "eve", "2024-02-01", "2025-02-01", miles=30.0),
    _policy("eve-3", "eve", "2025-02-01", "2026-02-01"),
    # runs for two years, and became safer
    _policy("fay-1", "fay", "2024-01-01", "2026-01-01", miles=99.0, age=95.0, braking_distance=99.0),
    # without a customer; and somebody new
    _policy("gus-1", None, "2024-02-01", "2025-02-01"),
    _policy("gus-2", None, "2025-02-01", "2026-02-01"),
    _policy("hal-1", "hal", "2025-03-01", "2026-03-01"),
]
RENEWED = {"ann-2": "ann-1", "bob-2": "bob-1", "fay-1": "fay-1"}


@pytest.fixture
def portfolio(warehouse: Engine, offer: Callable[..., int]) -> Engine:
    """Two years of a few policies, scored last year."""
    version = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, version, by="uma")
        connection.execute(insert(policy), POLICIES)
    score_portfolio(warehouse, LAST_YEAR)
    with warehouse.begin() as connection:
        safer = "training = true, miles = 5, age = 35, braking_distance = 30"
        connection.execute(text(f"UPDATE insurance.policy SET {safer} WHERE policy_id = 'fay-1'"))
    return warehouse


def _scores(engine: Engine, as_of: date) -> dict[str, Any]:
    with engine.connect() as connection:
        return {row.policy_id: row for row in connection.execute(select(score).where(score.c.as_of == as_of))}


@pytest.mark.parametrize("partitions", [1, 5])
def test_renewals_carry_last_years_premium_and_class(portfolio: Engine, partitions: int) -> None:
    before = _scores(portfolio, LAST_YEAR)
    run = score_portfolio(portfolio, DAY, partitions=partitions)
    now = _scores(portfolio, DAY)
    assert set(now) == {"ann-2", "bob-2", "cid-2", "dan-2", "eve-3", "fay-1", "gus-2", "hal-1"}
    for policy_id, row in now.items():
        last = before[RENEWED[policy_id]] if policy_id in RENEWED else None
        assert (row.net_before, row.class_before) == ((last.net, last.risk_class) if last else (None, None)), policy_id
    changed = {name for name in RENEWED if now[name].class_before != now[name].risk_class}
    assert changed == {"ann-2", "fay-1"}
    assert (run.renewals, run.class_changed, run.capped, run.before) == (3, 2, 0, LAST_YEAR)


def test_a_cap_limits_the_change_both_ways_and_marks_it(portfolio: Engine) -> None:
    score_portfolio(portfolio, DAY)
    free = _scores(portfolio, DAY)
    run = score_portfolio(portfolio, DAY, renewal_cap=CAP)
    now = _scores(portfolio, DAY)
    assert {name for name, row in now.items() if row.capped} == {"ann-2", "fay-1"}
    assert (run.capped, run.renewal_cap) == (2, CAP)
    up, down = now["ann-2"], now["fay-1"]
    assert up.net_before * (1 + CAP) - Decimal("0.01") < up.net <= up.net_before * (1 + CAP) < free["ann-2"].net
    assert down.net_before * (1 - CAP) + Decimal("0.01") > down.net >= down.net_before * (1 - CAP) > free["fay-1"].net
    for name in ("ann-2", "fay-1"):
        assert now[name].insurance_tax == (now[name].net * Decimal("0.19")).quantize(Decimal("0.01"), "ROUND_HALF_UP")
        assert now[name][5:10] == free[name][5:10]  # class, expected risk and probabilities are what they are
    others = set(now) - {"ann-2", "fay-1"}
    assert {name: now[name] for name in others} == {name: free[name] for name in others}
    with portfolio.connect() as connection:
        total = connection.scalar(select(func.sum(score.c.net)).where(score.c.as_of == DAY))
    assert run.net_total == total


def test_nothing_is_compared_with_scores_that_are_too_old_or_too_young(portfolio: Engine) -> None:
    assert score_portfolio(portfolio, date(2025, 4, 15)).before == LAST_YEAR
    assert score_portfolio(portfolio, date(2025, 4, 16)).before is None
    assert score_portfolio(portfolio, date(2025, 3, 14)).before is None


def test_a_run_never_mixes_two_caps_or_two_years_before(portfolio: Engine) -> None:
    first = plan_scoring(portfolio, DAY, partitions=2)
    score_partition(portfolio, first.missing[0])
    with_cap = plan_scoring(portfolio, DAY, partitions=2, renewal_cap=CAP)
    assert with_cap.run_id != first.run_id
    assert plan_scoring(portfolio, DAY, renewal_cap=CAP).run_id == with_cap.run_id
    score_partition(portfolio, with_cap.missing[0])
    score_portfolio(portfolio, LAST_YEAR)
    with pytest.raises(ScoringSuperseded, match="the scores of 2024-03-15 were replaced since run"):
        score_partition(portfolio, with_cap.missing[1])
    assert score_portfolio(portfolio, DAY, renewal_cap=CAP).run_id != with_cap.run_id


def test_scores_of_a_year_before_are_not_replaced_while_they_are_read(portfolio: Engine) -> None:
    """Renewals read one table and keep nobody from publishing other dates."""
    from motorisk.pipelines.scoring.renewals import hold, year_before

    with portfolio.connect() as connection:
        before = year_before(connection, DAY)
        assert before is not None
        hold(connection, before, 1)
        score_portfolio(portfolio, date(2025, 3, 16))
        locked = text("SELECT count(*) FROM pg_locks WHERE relation = 'motorisk.score_20240315'::regclass AND granted")
        assert connection.scalar(locked)
        assert not connection.scalar(text(str(locked).replace("score_20240315", "score")))


def test_people_are_told_who_is_in_another_class(portfolio: Engine, tmp_path: Path) -> None:
    score_portfolio(portfolio, DAY, renewal_cap=CAP)
    now = _scores(portfolio, DAY)
    file = tmp_path / "changes.csv"
    with portfolio.connect() as connection:
        summary = summarise_scores(connection, DAY)
        write_class_changes(connection, DAY, file)
    assert summary.renewals is not None
    assert {mover.policy_id for mover in summary.renewals.class_changes} == {"ann-2", "fay-1"}
    page = as_markdown(summary)
    assert "| renewals with a premium of 2024-03-15 | 3, 2 kept within 10.00% |" in page
    assert "| renewals in another class | 2 |" in page
    assert f"In another class than on {LAST_YEAR}:" in page
    lines = file.read_text().splitlines()
    row = now["ann-2"]
    assert lines[0] == "policy_id,class_before,risk_class,net_before,net,capped"
    assert lines[1] == f"ann-2,{row.class_before},{row.risk_class},{row.net_before},{row.net},t"
    assert len(lines) == 3
