"""Prometheus on one machine, where it is installed: the project's rules, watching the demo's quote service."""

import json
import os
import shutil
from pathlib import Path

from motorisk.demo.airflow import checkout
from motorisk.demo.processes import Component
from motorisk.ports import authority
from motorisk.settings import Settings

HOST = "127.0.0.1"


class LocalPrometheus:
    """A Prometheus under `MOTORISK_HOME/prometheus`."""

    def __init__(self, settings: Settings) -> None:
        self.url = f"http://{HOST}:{settings.prometheus_port}"
        self._address = f"{HOST}:{settings.prometheus_port}"
        self._home = settings.home / "prometheus"
        self._log = settings.home / "logs" / "prometheus.log"
        self._quotes = authority(settings.quote_host, settings.quote_admin_port or settings.quote_port)
        self._program = shutil.which("prometheus")

    @property
    def is_installed(self) -> bool:
        """Whether the demo has one; it does without where not."""
        return self._program is not None

    def component(self) -> Component:
        """The program, with a copy of the project's configuration whose targets are the demo's."""
        configuration = self._home / "configuration"
        shutil.rmtree(configuration, ignore_errors=True)
        shutil.copytree(checkout() / "observability" / "prometheus", configuration)
        for job, address in (("quotes", self._quotes), ("prometheus", self._address)):
            _write_target(configuration / "targets" / f"{job}.yml", address)
        command = [
            str(self._program),
            f"--config.file={configuration / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._home / 'data'}",
            f"--web.listen-address={self._address}",
        ]
        return Component("prometheus", command, dict(os.environ), self._log)


def _write_target(file: Path, address: str) -> None:
    file.write_text(json.dumps([{"targets": [address]}]))  # JSON is YAML
