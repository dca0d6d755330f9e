"""A real Airflow for the DAG tests: its own migrated database, this checkout's DAGs.

Airflow reads its configuration when it is first imported, hence the tests import it inside functions, after
the fixture `airflow` has set the environment.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from motorisk.settings import Settings
from motorisk.settings import settings as process_settings

PROJECT = Path(__file__).parents[2]
DAGS = PROJECT / "dags"
PASSWORD = "Schleiereule-1618"
"""Of the database; the server asks for none, but whoever shows the address shows it."""


@pytest.fixture(scope="session")
def airflow(airflow_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Configure Airflow for this process, with tables of its own; yields AIRFLOW_HOME."""
    home = tmp_path_factory.mktemp("airflow")
    options = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow_database("airflow_test"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret that only the tests know, sixty-four characters and more",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in options.items():
            patch.setenv(name, value)
        patch.setattr(sys, "path", [*sys.path, str(DAGS)])  # as Airflow does with a bundle's folder
        yield home
        if "airflow.settings" in sys.modules:
            # Before the server goes; at exit would be too late.
            sys.modules["airflow.settings"].dispose_orm()


@pytest.fixture(scope="session")
def dag_bag(airflow: Path) -> Any:
    """All DAGs of the checkout, parsed."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(DAGS)


@pytest.fixture
def platform(airflow: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The test's own warehouse as the one that tasks of this process work on."""
    assert settings.database_url is not None
    address = make_url(settings.database_url.get_secret_value()).set(password=PASSWORD)
    monkeypatch.setenv("MOTORISK_HOME", str(settings.home))
    monkeypatch.setenv("MOTORISK_DATABASE_URL", address.render_as_string(hide_password=False))
    monkeypatch.setenv("MOTORISK_DRIFT_MIN_ROWS", str(settings.drift_min_rows))
    monkeypatch.setenv("MOTORISK_APPROVAL", settings.approval)
    monkeypatch.setenv("MOTORISK_TRAINING_CONFIG", str(settings.training_config))
    process_settings.cache_clear()
    yield settings
    process_settings.cache_clear()


@pytest.fixture
def run_dag(platform: Settings, dag_bag: Any) -> Callable[..., Any]:
    """Run a DAG for real, in this process; returns the run with its final state."""

    def run(dag_id: str, **params: str) -> Any:
        return dag_bag.dags[dag_id].test(run_conf=params or None)

    return run
