"""What a new model would change for the portfolio, and against whom it has to compete."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.modelling.configuration import GateThresholds, TrainingConfiguration
from motorisk.pipelines import impact
from motorisk.pipelines.impact import PriceImpact, price_impact
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.pipelines.training.competing import competitors
from motorisk.quoting.pricing import Pricer
from motorisk.registry.tariffs import in_force, tariffs
from motorisk.registry.versions import champion, load_plan
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import policy

FIRST, LATER = date(2023, 1, 31), date(2024, 5, 31)
CONFIGURATION = TrainingConfiguration(candidates=("rules", "gam", "trend_gam"), search_trials=0)


def _train(warehouse: Engine, settings: Settings) -> None:
    simulate_portfolio(warehouse, Simulation(start=date(2023, 1, 1), months=17, policies_a_month=300))
    assert train(warehouse, settings, FIRST, CONFIGURATION).approved


@pytest.fixture
def championed(built_once: Callable[..., Engine]) -> Engine:
    """Seventeen months of 300 policies, and a champion trained on the first of them."""
    return built_once(_train)


def measured(engine: Engine, version: int) -> PriceImpact:
    with engine.connect() as connection:
        plan, former = load_plan(connection, version), load_plan(connection, 1)
        found = price_impact(connection, LATER, plan, 1, former)
    assert found is not None
    return found


def test_the_portfolio_is_priced_with_both_models_to_the_cent(championed: Engine, settings: Settings) -> None:
    version = train(championed, settings, LATER, CONFIGURATION).version.version
    found = measured(championed, version)
    renewal = LATER + timedelta(days=1)
    with championed.connect() as connection:
        tariff = in_force(tariffs(connection), renewal)
        new, old = (Pricer(load_plan(connection, number)) for number in (version, 1))
        in_force_then = connection.scalar(
            select(func.count()).where(policy.c.effective_date <= LATER, policy.c.expiry_date > LATER)
        )
    assert len(found.changes) == in_force_then
    assert 0 < len(found.losers) <= 20
    for loser in found.losers:
        features = PolicyFeatures(*(float(loser[name]) for name in FEATURES))
        nets = [tariff.premium(pricer.assess(features, renewal).price_probabilities).net for pricer in (new, old)]
        assert [Decimal(loser["net"]), Decimal(loser["champion_net"])] == nets
        assert loser["change"] == pytest.approx(float(nets[0] / nets[1]) - 1, abs=1e-12)
    changes = [loser["change"] for loser in found.losers]
    assert changes == sorted(changes, reverse=True)
    assert changes[0] == found.changes.max()


def test_a_version_keeps_what_it_would_change_and_its_gate(championed: Engine, settings: Settings) -> None:
    version = train(championed, settings, LATER, CONFIGURATION).version
    told = version.evaluation["price_impact"]
    found = measured(championed, version.version)
    assert (told["champion"], told["policies"]) == (1, len(found.changes))
    assert told["share_beyond_20_percent"] == float(np.mean(np.abs(found.changes) > 0.2))
    quantiles = sorted((float(share), change) for share, change in told["quantiles"].items())
    assert [share for share, _ in quantiles] == [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    assert [change for _, change in quantiles] == np.quantile(found.changes, [share for share, _ in quantiles]).tolist()
    (gate,) = [gate for gate in version.gates if gate["name"] == "share of premiums moved by over 20 %"]
    assert gate["value"] == told["share_beyond_20_percent"]


def test_prices_that_move_too_far_are_a_missed_gate(championed: Engine, settings: Settings) -> None:
    strict = CONFIGURATION.model_copy(update={"gates": GateThresholds(max_price_shock=0.0)})
    decision = train(championed, settings, LATER, strict)
    assert decision.version.state == "rejected"
    assert {gate["name"] for gate in decision.version.failed_gates} == {"share of premiums moved by over 20 %"}
    with championed.connect() as connection:
        assert champion(connection).version == 1


def test_a_large_portfolio_is_judged_by_the_same_sample_each_time(
    championed: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = train(championed, settings, LATER, CONFIGURATION).version.version
    whole = measured(championed, version)
    monkeypatch.setattr(impact, "MAX_POLICIES", 1000)
    one, other = measured(championed, version), measured(championed, version)
    assert 500 < len(one.changes) < 1500 < len(whole.changes)
    assert one.to_json() == other.to_json()


def test_the_first_model_has_nobody_to_be_compared_with(championed: Engine) -> None:
    with championed.connect() as connection:
        first = champion(connection)
    assert first.evaluation["champion"] is None
    assert "price_impact" not in first.evaluation
    assert not [gate for gate in first.gates if "premiums" in gate["name"] or "champion" in gate["name"]]
    assert "milliseconds a quote" in {gate["name"] for gate in first.gates}


def test_the_champions_way_of_training_competes_with_the_candidates(championed: Engine, settings: Settings) -> None:
    assert competitors(championed, CONFIGURATION) == ["rules", "gam", "trend_gam", "champion"]
    version = train(championed, settings, LATER, CONFIGURATION).version
    rows = {row["candidate"]: row for row in version.backtest}
    assert rows.keys() == {"rules", "gam", "trend_gam", "champion"}
    # The first champion was a gam of the same settings: trained again, it foretells the same.
    assert rows["champion"]["log_loss"] == rows["gam"]["log_loss"]
    assert not rows["champion"]["chosen"]
    assert version.evaluation["champion"] == 1
    assert "log loss against the champion" in {gate["name"] for gate in version.gates}


def test_training_again_gives_the_same_version_though_the_champion_has_changed(
    championed: Engine, settings: Settings
) -> None:
    first = train(championed, settings, LATER, CONFIGURATION)
    again = train(championed, settings, LATER, CONFIGURATION)
    assert first.approved
    assert again.version.version == first.version.version
    assert again.version.evaluation == first.version.evaluation
