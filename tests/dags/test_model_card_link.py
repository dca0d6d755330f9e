"""From the tasks of a run to the card of the version that the run is about."""

import importlib.util
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.simulation.portfolio import Simulation

PLUGIN = Path(__file__).parents[2] / "plugins" / "motorisk_models.py"


@pytest.fixture
def link(airflow: Path) -> Any:
    spec = importlib.util.spec_from_file_location("motorisk_models", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    plugin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plugin)
    (found,) = plugin.MotoriskModels.global_operator_extra_links
    return found


def test_every_task_of_a_training_leads_to_its_version(
    run_dag: Callable[..., Any], warehouse: Engine, link: Any
) -> None:
    simulate_portfolio(warehouse, Simulation(date(2024, 1, 1), months=1, policies_a_month=600, label_delay_months=0))
    trained = run_dag("train_model", as_of="2024-01-31")
    assert trained.state == "success"
    found = {link.get_link(None, ti_key=instance.key) for instance in trained.get_task_instances()}
    assert found == {"/motorisk/models/1"}
    scored = run_dag("score_portfolio", as_of="2024-01-31")
    assert {link.get_link(None, ti_key=instance.key) for instance in scored.get_task_instances()} == {""}


def test_a_training_without_a_version_leads_nowhere(run_dag: Callable[..., Any], link: Any) -> None:
    failed = run_dag("train_model", as_of="2024-01-31")
    assert failed.state == "failed"
    assert {link.get_link(None, ti_key=instance.key) for instance in failed.get_task_instances()} == {""}


def test_addresses_begin_where_airflow_is_served(airflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from motorisk_airflow.pages import card_page, models_page, plot_page

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://insurer.example/airflow/")
    assert models_page() == "/airflow/motorisk/"
    assert card_page(3) == "/airflow/motorisk/models/3"
    assert plot_page(3, "term-age") == "/airflow/motorisk/models/3/plots/term-age.svg"
