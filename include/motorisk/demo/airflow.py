"""Airflow on one machine: its environment, its components, and its REST API as the demo needs it."""

import base64
import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

from motorisk.demo.processes import Component, last_words
from motorisk.errors import ComponentFailed
from motorisk.settings import Settings
from motorisk.warehouse.database import ensure_database

DATABASE = "airflow"
HOST = "127.0.0.1"
OPERATOR, UNDERWRITER = "admin", "uma"
USERS = {OPERATOR: "admin", UNDERWRITER: "user"}
"""Logins and their roles: the operator, and an underwriter who approves."""
HEALTHY = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def checkout() -> Path:
    """The checkout that this code runs from; the demo takes its DAGs from there."""
    folder = Path(__file__).resolve().parents[3]
    if not (folder / "dags").is_dir():
        raise ComponentFailed("`motorisk demo` runs from a checkout of the project: there is no dags/ beside the code")
    return folder


def _private(path: Path, content: str) -> None:
    """Write a file that only its owner reads, whole or not at all: it is never written again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(content)
    new.replace(path)


def _without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that keep what Airflow's components ask of each other from a proxy of the environment."""
    hosts = [environment.get("no_proxy") or environment.get("NO_PROXY"), HOST]
    listed = ",".join(filter(None, hosts))
    return {"NO_PROXY": listed, "no_proxy": listed}


def _statsd(address: str | None) -> dict[str, str]:
    """Options that make Airflow send its metrics to an exporter, by the names that observability/statsd maps."""
    if address is None:
        return {}
    host, _, port = address.rpartition(":")
    return {
        "METRICS__STATSD_ON": "True",
        "METRICS__STATSD_HOST": host,
        "METRICS__STATSD_PORT": port,
        "METRICS__STATSD_PREFIX": "airflow",
    }


class LocalAirflow:
    """An Airflow under `MOTORISK_HOME/airflow`: LocalExecutor, its database on the platform's server."""

    def __init__(self, settings: Settings) -> None:
        self.home = settings.home / "airflow"
        self.logs = settings.home / "logs"
        self.passwords_file = self.home / "passwords.json"
        self.url = f"http://{HOST}:{settings.airflow_port}"
        self._port = settings.airflow_port
        self._settings = settings
        self._program = str(Path(sys.executable).parent / "airflow")

    def passwords(self) -> dict[str, str]:
        """The logins' passwords, made at the first call."""
        if not self.passwords_file.exists():
            _private(self.passwords_file, json.dumps({user: secrets.token_urlsafe(9) for user in USERS}))
        return dict(json.loads(self.passwords_file.read_text()))

    def _secrets(self) -> dict[str, str]:
        path = self.home / "secrets.json"
        if not path.exists():
            keys = {
                "jwt": secrets.token_urlsafe(64),
                "api": secrets.token_urlsafe(32),
                "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            }
            _private(path, json.dumps(keys))
        return dict(json.loads(path.read_text()))

    def environment(self) -> dict[str, str]:
        """Environment variables of Airflow's processes; the database is created where it is missing."""
        project = checkout()
        keys = self._secrets()
        self.passwords()
        database = ensure_database(self._settings, DATABASE).render_as_string(hide_password=False)
        options = {
            "CORE__DAGS_FOLDER": str(project / "dags"),
            "CORE__PLUGINS_FOLDER": str(project / "plugins"),
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": "3",
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__FERNET_KEY": keys["fernet"],
            "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.passwords_file),
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "DATABASE__SQL_ALCHEMY_CONN": database,
            "API__BASE_URL": self.url,
            "API__SECRET_KEY": keys["api"],
            "API__WORKERS": "1",
            "API_AUTH__JWT_SECRET": keys["jwt"],
            "DAG_PROCESSOR__PARSING_PROCESSES": "1",
            # To read a DAG costs half a second of a processor; one that somebody edits is read again at once.
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
            "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            # A worker that overlooks its task's end notices it at the next heartbeat: by default after up to 5 s, in
            # which the next partition waits.
            "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "LOGGING__BASE_LOG_FOLDER": str(self.logs / "tasks"),
            "USAGE_DATA_COLLECTION__ENABLED": "False",
            **_statsd(self._settings.statsd),
        }
        platform = {"MOTORISK_HOME": str(self._settings.home), "MOTORISK_APPROVAL": self._settings.approval}
        # Tools such as alembic, which Airflow starts, are found beside our interpreter.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")}
        airflow = {f"AIRFLOW__{name}": value for name, value in options.items()}
        own = {"PATH": path, "AIRFLOW_HOME": str(self.home), **_without_proxy(inherited)}
        return {**inherited, **own, **platform, **airflow}

    def migrate(self, environment: dict[str, str]) -> None:
        """Bring Airflow's own tables to its version; skipped where that was done before."""
        marker = self.home / "migrated"
        address = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]  # with its password: no file keeps that
        wanted = f"{version('apache-airflow')} {hashlib.sha256(address.encode()).hexdigest()}"
        if marker.exists() and marker.read_text() == wanted:
            return
        log = self.logs / "airflow-migrate.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            command = [self._program, "db", "migrate"]
            done = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise ComponentFailed(f"airflow db migrate failed: {last_words(log)} (log: {log})")
        marker.write_text(wanted)

    def components(self, environment: dict[str, str]) -> list[Component]:
        """Airflow's four components. Logs are read from disk, so that no component serves them."""
        commands = {
            "api-server": ["api-server", "--host", HOST, "--port", str(self._port)],
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "dag-processor": ["dag-processor"],
            "triggerer": ["triggerer", "--skip-serve-logs"],
        }
        return [
            Component(f"airflow {name}", [self._program, *command], environment, self.logs / f"airflow-{name}.log")
            for name, command in commands.items()
        ]


# A proxy of the environment does not reach what runs on this machine.
_WITHOUT_PROXY: dict[str, httpx.BaseTransport | None] = {"all://127.0.0.1": None, "all://localhost": None}


class AirflowAway(ComponentFailed):
    """Airflow's API does not answer, or only with errors of its own. Trying again may help."""


class AirflowApi:
    """The few calls of Airflow's REST API that the demo makes, as the operator.

    Each raises `AirflowAway`, or `ComponentFailed` where Airflow refuses it.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._login = {"username": user, "password": password}
        try:
            self._client = httpx.Client(base_url=self.url, timeout=30, mounts=_WITHOUT_PROXY)
        except httpx.InvalidURL as error:
            raise ComponentFailed(f"{url!r} is no address of an Airflow: {error}") from None

    def is_healthy(self) -> bool:
        """Whether all four components answer or send heartbeats."""
        try:
            health = self._ask("GET", "/api/v2/monitor/health")
        except ComponentFailed:
            return False
        return all((health.get(component) or {}).get("status") == "healthy" for component in HEALTHY)

    def log_in(self) -> None:
        """Get the token for the calls below."""
        token = self._ask("POST", "/auth/token", json=self._login)["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def dag_ids(self) -> set[str]:
        """Our DAGs, as far as the DAG processor has read them."""
        # By their tag: the answer is a page of a hundred, and the Airflow may have many others.
        return {dag["dag_id"] for dag in self._ask("GET", "/api/v2/dags", params={"tags": "motorisk"})["dags"]}

    def import_errors(self) -> list[str]:
        """What could not be read, one line each."""
        errors = self._ask("GET", "/api/v2/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors]

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run by its schedule."""
        self._ask("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def newest_run(self, dag_id: str) -> dict[str, Any] | None:
        """The newest run of a DAG."""
        newest = {"order_by": "-run_after", "limit": 1}
        runs = self._ask("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=newest)["dag_runs"]
        return runs[0] if runs else None

    def trigger(self, dag_id: str, **params: Any) -> str:
        """Start a run of a DAG now; returns the run's id."""
        body = {"logical_date": None, "conf": params}
        return str(self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, **options)
            answer.raise_for_status()
            return dict(answer.json())
        except httpx.HTTPStatusError as error:
            refusal = AirflowAway if error.response.is_server_error else ComponentFailed
            said = f"{error.response.status_code} {error.response.reason_phrase}"
            raise refusal(f"Airflow at {self.url} answers {method} {path} with {said}") from None
        except httpx.UnsupportedProtocol:
            raise ComponentFailed(f"Airflow's address is like http://127.0.0.1:8080, got {self.url!r}") from None
        except (httpx.HTTPError, ValueError) as error:  # ValueError: what answers is not Airflow, or not yet
            raise AirflowAway(f"Airflow at {self.url} does not answer: {error}") from None
