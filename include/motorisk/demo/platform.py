"""Bring the platform up on one machine, let one night run through Airflow, and keep it up until told to stop."""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import httpx
from rich.console import Console
from sqlalchemy import Engine

from motorisk.demo.airflow import HOST, OPERATOR, UNDERWRITER, AirflowApi, LocalAirflow
from motorisk.demo.night import DAGS, FirstNight
from motorisk.demo.processes import Component, Supervisor
from motorisk.demo.prometheus import LocalPrometheus
from motorisk.demo.waiting import wait_until
from motorisk.errors import TransitionRefused
from motorisk.files import make_folder
from motorisk.pipelines.simulate import is_empty
from motorisk.ports import authority, require_free_port
from motorisk.settings import Settings
from motorisk.warehouse.database import embedded_server, open_warehouse
from motorisk.warehouse.migrate import upgrade

START_SECONDS = 300
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody asked the demo to stop (Ctrl-C or SIGTERM)."""


def _stop(number: int, frame: FrameType | None) -> None:
    _finish_in_peace()
    raise Stopped


def _finish_in_peace() -> None:
    """Let no Ctrl-C interrupt the stopping."""
    for name in SIGNALS:
        signal.signal(name, signal.SIG_IGN)


class Demo:
    """One run of `motorisk demo`."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self.settings = settings
        self.airflow = LocalAirflow(settings)
        self.prometheus = LocalPrometheus(settings)
        self.quotes_url = f"http://{authority(settings.quote_host, settings.quote_port)}"
        self.metrics_url = f"http://{authority(settings.quote_host, settings.quote_admin_port or settings.quote_port)}"
        self.drift_url = f"http://{authority(settings.drift_ui_host, settings.drift_ui_port)}"
        self._console = console
        self._supervisor = Supervisor(lambda line: console.print(f"[yellow]![/] {line}", highlight=False))

    def run(
        self, simulate: Callable[[Engine], None], when_ready: Callable[[Engine], None], *, stop_when_ready: bool
    ) -> None:
        """Start everything, wait for a green night, tell `when_ready`, watch until stopped; leave nothing behind."""
        for name in SIGNALS:
            signal.signal(name, _stop)
        try:
            with self._alone():
                try:
                    engine = self._bring_up(simulate)
                    self._wait_for_a_night(engine)
                    when_ready(engine)
                    while not stop_when_ready:
                        self._supervisor.check()
                        time.sleep(1)
                finally:
                    self._take_down()
        except Stopped:
            self._console.print("Stopped. `motorisk demo` goes on from here.")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        make_folder(self.settings.home)
        with (self.settings.home / "demo.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TransitionRefused(
                    f"a demo runs already under {self.settings.home}: stop it, or set MOTORISK_HOME to another folder"
                ) from None
            self._require_free_ports()
            yield

    def _require_free_ports(self) -> None:
        """Name the one that is taken, before anything is started."""
        own = self.settings
        quotes = "MOTORISK_QUOTE_HOST"
        ports = [
            (HOST, own.airflow_port, "Airflow", "MOTORISK_AIRFLOW_PORT", None),
            (own.quote_host, own.quote_port, "the quote service", "MOTORISK_QUOTE_PORT", quotes),
            (own.quote_host, own.quote_admin_port, "metrics and health", "MOTORISK_QUOTE_ADMIN_PORT", quotes),
            (own.drift_ui_host, own.drift_ui_port, "drift reports", "MOTORISK_DRIFT_UI_PORT", "MOTORISK_DRIFT_UI_HOST"),
        ]
        if self.prometheus.is_installed:
            ports.append((HOST, own.prometheus_port, "Prometheus", "MOTORISK_PROMETHEUS_PORT", None))
        for host, port, what, variable, host_variable in ports:
            if port is not None:
                require_free_port(host, port, what, variable, host_variable=host_variable)

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        start = time.monotonic()
        with self._console.status(what):
            yield
        self._console.print(f"[green]✓[/] {what} [dim]({time.monotonic() - start:.1f} s)[/]", highlight=False)

    def _bring_up(self, simulate: Callable[[Engine], None]) -> Engine:
        with self._step("Postgres and its tables"):
            engine = open_warehouse(self.settings)
            upgrade(engine)
        if is_empty(engine):
            simulate(engine)
        with self._step("Airflow's tables"):
            environment = self.airflow.environment()
            self.airflow.migrate(environment)
        self._start_our_services()
        if self.prometheus.is_installed:
            self._supervisor.start(self.prometheus.component())
        with self._step("Airflow: api-server, scheduler, dag-processor, triggerer"):
            for component in self.airflow.components(environment):
                self._supervisor.start(component)
            self._api = AirflowApi(self.airflow.url, OPERATOR, self.airflow.passwords()[OPERATOR])
            self._wait(self._api.is_healthy, "Airflow did not become healthy", START_SECONDS)
            self._api.log_in()
            self._wait(lambda: self._api.dag_ids() >= set(DAGS), "Airflow did not read the DAGs", START_SECONDS)
        with self._step("Quote service"):
            self._wait(self._quotes_live, "the quote service did not start", START_SECONDS)
        return engine

    def _start_our_services(self) -> None:
        """The quote service, the monitor that measures drift of what it is asked, and the pages of drift reports."""
        self._start("quote service", "serve", "quotes.log")
        self._start("drift monitor", "monitor", "monitor.log")
        self._start("drift reports", "drift-ui", "drift-ui.log")

    def _start(self, name: str, command: str, log: str) -> None:
        """Start a command of ours that runs until it is stopped."""
        environment = {
            **os.environ,
            "MOTORISK_HOME": str(self.settings.home),
            "MOTORISK_QUOTE_HOST": self.settings.quote_host,
            "MOTORISK_QUOTE_PORT": str(self.settings.quote_port),
            "MOTORISK_DRIFT_UI_PORT": str(self.settings.drift_ui_port),
        }
        arguments = [sys.executable, "-m", "motorisk", command]
        self._supervisor.start(Component(name, arguments, environment, self.settings.home / "logs" / log))

    def _quotes_live(self) -> bool:
        return self._answers(f"{self.metrics_url}/healthz")

    def _quotes_ready(self) -> bool:
        return self._answers(f"{self.metrics_url}/readyz")

    def _drift_reports_live(self) -> bool:
        return self._answers(f"{self.drift_url}/api/projects/")

    def _answers(self, url: str) -> bool:
        try:
            return httpx.get(url, timeout=30, trust_env=False).is_success  # no proxy reaches this machine
        except httpx.HTTPError:
            return False

    def _wait(self, done: Callable[[], bool], otherwise: str, seconds: float) -> None:
        advice = f"; logs are under {self.airflow.logs}"
        wait_until(done, otherwise, seconds, meanwhile=self._supervisor.check, advice=advice)

    def _wait_for_a_night(self, engine: Engine) -> None:
        """Let the DAGs run by their schedules, and show what came of it."""
        by_people = self.settings.approval == "human"
        if by_people and not FirstNight.is_over(engine):
            where = f"log in to {self.airflow.url} as {UNDERWRITER} (password in {self.airflow.passwords_file})"
            self._console.print(f"Somebody has to approve the model: {where}", soft_wrap=True, highlight=False)
        FirstNight(
            self._api,
            engine,
            by_people=by_people,
            wait=self._wait,
            step=self._step,
            logs=f"under {self.airflow.logs / 'tasks'}",
        ).run()
        with self._step("Drift reports"):
            self._wait(self._drift_reports_live, "the page of the drift reports did not start", START_SECONDS)
        with self._step("First quote"):
            self._wait(self._quotes_ready, "the quote service did not pick up the champion", 30)

    def _take_down(self) -> None:
        _finish_in_peace()
        with self._console.status("Stopping"):
            self._supervisor.stop()
            if self.settings.database_url is None:
                embedded_server(self.settings).stop()
                self._supervisor.stop()
