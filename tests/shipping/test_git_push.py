"""From git push to production: Airflow's own dag-processor and scheduler on a bare repository."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, select

from motorisk.demo.airflow import LocalAirflow
from motorisk.demo.processes import Component
from motorisk.domain.calendar import add_months, first_of_month
from motorisk.modelling.configuration import load_configuration
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.ports import free_port
from motorisk.registry import transitions
from motorisk.registry.versions import ModelVersion, all_versions, get
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import training_configuration
from motorisk_web.app import create_app

PROJECT = Path(__file__).parents[2]
WAIT_SECONDS = 600
"""Ten times what a busy machine needs."""
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
START = add_months(first_of_month(YESTERDAY), -3)
CONFIGURATION = "candidates: [gam]\nsearch_trials: 0\nknots: {knots}\n"
IMPATIENT = {
    "watch_configuration": ('"*/5 * * * *"', '"* * * * * */30"'),
    # Else the clock would train at once as of last month, and the push would have to wait.
    "train_model": (
        'AssetOrTimeSchedule(timetable=CronDataIntervalTimetable("0 1 1 * *", timezone="UTC"), assets=[RETRAINING])',
        "[RETRAINING]",
    ),
}
"""What the test changes in the DAGs that it pushes: their schedules."""
DAGS = ("watch_configuration", "train_model", "approve_model")
NEEDED = (*DAGS, "motorisk_dags")
"""Files of the DAGs; the others would only be read again and again."""
BODY = {
    "driver": {"training": False, "age": 35, "miles": 45.9},
    "vehicle": {"emergency_braking": False, "braking_distance": 45.0, "power": 90.0},
}
QUICK = {
    "AIRFLOW__CORE__PARALLELISM": "4",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
}


def _git(*arguments: str, folder: Path) -> str:
    command = ["git", "-c", "user.name=tess", "-c", "user.email=tess@insurer.example", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


class Checkout:
    """Somebody's clone of the repository that Airflow takes its DAGs from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.origin = folder / "origin.git"
        _git("init", "--quiet", "--bare", "--initial-branch=main", str(self.origin), folder=folder)
        _git("clone", "--quiet", str(self.origin), str(self.folder), folder=folder)
        others = [file.name for file in (PROJECT / "dags").glob("*.py") if file.stem not in NEEDED]
        ignored = shutil.ignore_patterns("__pycache__", *others)
        shutil.copytree(PROJECT / "dags", self.folder / "dags", ignore=ignored)
        for name, (schedule, quicker) in IMPATIENT.items():
            file = self.folder / "dags" / f"{name}.py"
            assert schedule in file.read_text()
            file.write_text(file.read_text().replace(schedule, quicker))

    def push(self, path: str, content: str) -> str:
        """Change a file and push; returns the commit."""
        (self.folder / path).write_text(content)
        _git("add", "--all", folder=self.folder)
        _git("commit", "--quiet", "--message", f"Change {path}", folder=self.folder)
        _git("push", "--quiet", "origin", "HEAD:main", folder=self.folder)
        return _git("rev-parse", "HEAD", folder=self.folder)

    def push_knots(self, knots: int) -> str:
        """Push another capacity."""
        return self.push("dags/config/training.yaml", CONFIGURATION.format(knots=knots))


class Airflow:
    """The running Airflow, as its REST API shows it."""

    def __init__(self, local: LocalAirflow, logs: Callable[[], str]) -> None:
        self._client = httpx.Client(base_url=local.url, timeout=30)
        self._login = {"username": "admin", "password": local.passwords()["admin"]}
        self._logs = logs

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        if "Authorization" not in self._client.headers:
            token = self._client.post("/auth/token", json=self._login).raise_for_status().json()["access_token"]
            self._client.headers["Authorization"] = f"Bearer {token}"
        return dict(self._client.get(f"/api/v2/{path}", params=parameters).raise_for_status().json())

    def unpause(self, *dag_ids: str) -> None:
        """Let DAGs run as soon as they are known."""
        for dag_id in dag_ids:
            self.wait(f"reading {dag_id}", lambda dag_id=dag_id: self.get(f"dags/{dag_id}"))
            self._client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()

    def wait(self, what: str, found: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
        """Wait until something is found; fail with the end of Airflow's logs."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if result := found():
                    return result
            except httpx.HTTPError:  # it is still starting
                pass
            time.sleep(0.5)
        raise AssertionError(f"{what} did not happen\n{self._logs()}")

    def trainings(self) -> list[dict[str, Any]]:
        """Ended runs of the training that a push has started, the oldest first."""
        runs = self.get("dags/train_model/dagRuns", order_by="run_after")["dag_runs"]
        ended = [run for run in runs if run["state"] in ("success", "failed")]
        return [run for run in ended if run["run_type"] == "asset_triggered"]

    def states(self, run: dict[str, Any]) -> dict[str, str]:
        """The state of each task of a training."""
        tasks = self.get(f"dags/train_model/dagRuns/{run['dag_run_id']}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    found = Checkout(tmp_path)
    found.push_knots(10)
    return found


@pytest.fixture
def airflow(
    settings: Settings, airflow_database: Callable[[str], str], checkout: Checkout, tmp_path: Path
) -> Iterator[Airflow]:
    """Airflow's api-server, scheduler and dag-processor, starting while the test prepares its world."""
    port = free_port()
    local = LocalAirflow(settings.model_copy(update={"airflow_port": port, "approval": "human"}))
    assert settings.database_url is not None
    where = {"repo_url": checkout.origin.as_uri(), "tracking_ref": "main", "subdir": "dags", "refresh_interval": 1}
    bundle = {"name": "motorisk", "classpath": "airflow.providers.git.bundles.git.GitDagBundle", "kwargs": where}
    environment = {
        **local.environment(),
        **QUICK,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": airflow_database("airflow_push"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(tmp_path / "bundles"),
        "MOTORISK_DATABASE_URL": settings.database_url.get_secret_value(),
        "MOTORISK_IMAGE_TAG": "2026-11",
    }
    components = [component for component in local.components(environment) if "triggerer" not in component.name]

    def logs() -> str:
        files = [*(component.log for component in components), *local.logs.rglob("attempt=*.log")]
        return "\n".join(f"{file}:\n{file.read_text()[-3000:]}" for file in files if file.exists())

    with ExitStack() as stack:
        for component in components:
            process = _start(component)
            stack.callback(_stop, process)
        yield Airflow(local, logs)


def _start(component: Component) -> "subprocess.Popen[bytes]":
    component.log.parent.mkdir(parents=True, exist_ok=True)
    with component.log.open("wb") as log:
        return subprocess.Popen(
            component.command, env=dict(component.environment), stdout=log, stderr=log, start_new_session=True
        )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait(10)


@pytest.fixture
def champion(settings: Settings, warehouse: Engine, checkout: Checkout) -> ModelVersion:
    """The champion of two months ago; outcomes have come since."""
    world = Simulation(start=START, months=4, policies_a_month=600, label_delay_months=2)
    simulate_portfolio(warehouse, world)
    configuration = load_configuration(checkout.folder / "dags" / "config" / "training.yaml")
    human = settings.model_copy(update={"approval": "human"})
    trained = train(warehouse, human, add_months(START, 2) - timedelta(days=1), configuration).version
    with warehouse.begin() as connection:
        return transitions.approve(connection, trained.version, by="uma")


@pytest.fixture
def quotes(settings: Settings, champion: ModelVersion) -> Iterator[FlaskClient]:
    """The quote service on the same database, in this process."""
    app = create_app(settings)
    refresher = app.extensions["motorisk"].refresher
    refresher.start()
    yield app.test_client()
    refresher.stop()


@pytest.mark.timeout(4 * WAIT_SECONDS)
def test_a_push_trains_a_bad_one_changes_nothing_and_pushing_it_back_asks_for_approval(
    airflow: Airflow, champion: ModelVersion, checkout: Checkout, quotes: FlaskClient, warehouse: Engine
) -> None:
    price = quotes.post("/v1/quotes", json=BODY).get_json()["premium"]

    def noticed(rows: int) -> bool:
        with warehouse.connect() as connection:
            return len(connection.scalars(select(training_configuration.c.number)).all()) == rows

    airflow.unpause(*DAGS)
    airflow.wait("the first look", lambda: noticed(1))
    bad = checkout.push_knots(2)
    (failed,) = airflow.wait("the training after the push", airflow.trainings)
    assert failed["state"] == "failed"
    states = airflow.states(failed)
    assert (states["fit"], states["validate"], states["approve"]) == ("success", "failed", "upstream_failed")
    with warehouse.connect() as connection:
        rejected, present = all_versions(connection)
    assert present == champion
    assert (rejected.state, rejected.parameters["knots"], rejected.as_of) == ("rejected", 2, YESTERDAY)
    made = rejected.provenance
    assert made["reason"] == f"push {bad[:10]}: knots 10 → 2 (as of {YESTERDAY})"
    assert (made["bundle_version"], made["image_tag"]) == (bad, "2026-11")
    assert failed["bundle_version"] == bad
    quote = quotes.post("/v1/quotes", json=BODY).get_json()
    assert (quote["model_version"], quote["premium"]) == (champion.version, price)

    good = checkout.push_knots(10)
    _, passed = airflow.wait(
        "the training after the second push", lambda: len(airflow.trainings()) > 1 and airflow.trainings()
    )
    assert passed["state"] == "success"
    waiting = airflow.wait(
        "the question", lambda: airflow.get("dags/approve_model/dagRuns/~/hitlDetails")["hitl_details"]
    )
    with warehouse.connect() as connection:
        validated = get(connection, rejected.version + 1)
        assert len(all_versions(connection)) == 3
    assert waiting[0]["subject"] == f"May version {validated.version} price policies?"
    assert (validated.state, validated.parameters["knots"]) == ("validated", 10)
    assert validated.provenance["bundle_version"] == good
    assert quotes.get("/v1/model").get_json()["version"] == champion.version

    checkout.push("dags/motorisk_dags.py", (PROJECT / "dags/motorisk_dags.py").read_text().replace("0.1,<0.2", "9"))
    errors = airflow.wait("refusing the DAGs of another library", lambda: airflow.get("importErrors")["import_errors"])
    assert "these DAGs were written for motorisk >=9" in errors[0]["stack_trace"]
    assert quotes.post("/v1/quotes", json=BODY).status_code == 201
