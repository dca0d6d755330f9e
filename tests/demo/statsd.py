"""What the public statsd_exporter makes of our mapping: that program comes from no package index.

Receives StatsD lines over UDP (`name:value|type`) and answers scrapes with what `observability/statsd/mapping.yml`
makes of them: the first mapping that matches names the series, `*` stands for one part between dots, times are told
in milliseconds and kept in seconds.
"""

import re
import socketserver
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from prometheus_client import CollectorRegistry, Counter, Gauge, Summary, start_http_server

KINDS = {"ms": Summary, "h": Summary, "c": Counter, "g": Gauge}


class StatsdExporter:
    """A context: the addresses are there once it is entered."""

    def __init__(self, mapping: Path) -> None:
        self._mappings = yaml.safe_load(mapping.read_text())["mappings"]
        self._registry = CollectorRegistry()
        self._series: dict[str, Any] = {}
        exporter = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                for line in self.request[0].decode().splitlines():
                    exporter._take(line)

        self._receiver = socketserver.UDPServer(("127.0.0.1", 0), Handler)
        self.udp = f"127.0.0.1:{self._receiver.server_address[1]}"

    def __enter__(self) -> Self:
        self._pages, _ = start_http_server(0, "127.0.0.1", self._registry)
        self.http = f"127.0.0.1:{self._pages.server_port}"
        threading.Thread(target=self._receiver.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._receiver.shutdown()
        self._receiver.server_close()
        self._pages.shutdown()
        self._pages.server_close()

    def _take(self, line: str) -> None:
        name, _, rest = line.rpartition(":")
        value, kind = rest.split("|")[:2]
        mapping, parts = self._mapped(name)
        if mapping.get("action") == "drop":
            return
        labels = {label: parts[int(place.lstrip("$")) - 1] for label, place in mapping.get("labels", {}).items()}
        series = self._series.get(mapping["name"])
        if series is None:
            series = KINDS[kind](mapping["name"], "Sent by Airflow", list(labels), registry=self._registry)
            self._series[mapping["name"]] = series
        series = series.labels(**labels) if labels else series
        if kind in ("ms", "h"):
            series.observe(float(value) / 1000)
        elif kind == "c":
            series.inc(float(value))
        else:
            series.set(float(value))

    def _mapped(self, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        for mapping in self._mappings:
            if mapping.get("match_type") == "regex":
                found = re.search(mapping["match"], name)
            else:
                found = re.fullmatch(re.escape(mapping["match"]).replace(r"\*", r"([^.]*)"), name)
            if found:
                return mapping, found.groups()
        raise AssertionError(f"no mapping for {name}")
