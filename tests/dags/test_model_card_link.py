"""From the tasks of a run to the card of the version that it is about, and to the summary of its scores."""

import importlib.util
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.simulation.portfolio import Simulation

PLUGIN = Path(__file__).parents[2] / "plugins" / "motorisk_pages.py"


@pytest.fixture
def links(airflow: Path) -> Any:
    spec = importlib.util.spec_from_file_location("motorisk_pages", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    plugin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plugin)
    return {found.name: found for found in plugin.MotoriskPages.global_operator_extra_links}


def _addresses(link: Any, run: Any) -> set[str]:
    return {link.get_link(None, ti_key=instance.key) for instance in run.get_task_instances()}


def test_every_task_of_a_training_leads_to_its_version(
    run_dag: Callable[..., Any], warehouse: Engine, links: Any
) -> None:
    simulate_portfolio(warehouse, Simulation(date(2024, 1, 1), months=1, policies_a_month=600, label_delay_months=0))
    trained = run_dag("train_model", as_of="2024-01-31")
    assert trained.state == "success"
    assert _addresses(links["Model card"], trained) == {"/motorisk/models/1"}
    assert _addresses(links["Score summary"], trained) == {""}
    scored = run_dag("score_portfolio", as_of="2024-01-31")
    assert _addresses(links["Model card"], scored) == {""}
    assert _addresses(links["Score summary"], scored) == {"/motorisk/scores/2024-01-31"}
    unscored = run_dag("score_portfolio", as_of="2023-01-31")
    assert unscored.state == "failed"
    assert _addresses(links["Score summary"], unscored) == {""}


def test_a_training_without_a_version_leads_nowhere(run_dag: Callable[..., Any], links: Any) -> None:
    failed = run_dag("train_model", as_of="2024-01-31")
    assert failed.state == "failed"
    assert _addresses(links["Model card"], failed) == {""}


def test_addresses_begin_where_airflow_is_served(airflow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from motorisk_airflow.pages import card_page, models_page, plot_page

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://insurer.example/airflow/")
    assert models_page() == "/airflow/motorisk/models"
    assert card_page(3) == "/airflow/motorisk/models/3"
    assert plot_page(3, "term-age") == "/airflow/motorisk/models/3/plots/term-age.svg"
