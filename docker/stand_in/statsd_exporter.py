"""A stand-in for prom/statsd-exporter that knows what observability/statsd/mapping.yml uses, and no more.

Glob matches with labels, counters, gauges, and timers as summaries in seconds, over UDP; what no mapping names is
dropped. Options and ports are those of the real one.
"""

import argparse
import re
import socket
import sys
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import Counter, Gauge, Summary, start_http_server

TYPES = {"c": Counter, "g": Gauge, "ms": Summary}


class Mappings:
    """The mapping file, and the metrics that came so far."""

    def __init__(self, file: str) -> None:
        found = yaml.safe_load(Path(file).read_text())["mappings"]
        self._mappings = [
            (
                re.compile(re.escape(each["match"]).replace(r"\*", r"([^.]*)") + "$"),
                each["name"],
                each.get("labels", {}),
            )
            for each in found
            if each.get("match_type") != "regex"
        ]
        self._metrics: dict[str, Any] = {}

    def take(self, line: str) -> None:
        """One line, `name:value|type`."""
        name, _, rest = line.partition(":")
        value, kind, *_ = rest.split("|")
        for pattern, metric, labels in self._mappings:
            match = pattern.match(name)
            if match and kind in TYPES:
                values = {label: match.expand(template.replace("$", "\\")) for label, template in labels.items()}
                if metric not in self._metrics:
                    self._metrics[metric] = TYPES[kind](metric, f"Airflow's {metric}", list(labels))
                self._count(self._metrics[metric], values, value, kind)
                return

    def _count(self, metric: Any, labels: dict[str, str], value: str, kind: str) -> None:
        child = metric.labels(**labels) if labels else metric
        if kind == "c":
            child.inc(float(value))
        elif kind == "ms":
            child.observe(float(value) / 1000)
        elif value[0] in "+-":
            child.inc(float(value))
        else:
            child.set(float(value))


def main() -> None:
    """Listen for ever."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--statsd.mapping-config", dest="mapping", required=True)
    arguments, _ = parser.parse_known_args()
    mappings = Mappings(arguments.mapping)
    start_http_server(9102)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("", 9125))
        while True:
            for line in listener.recv(65_535).decode(errors="replace").splitlines():
                try:
                    mappings.take(line)
                except ValueError as error:
                    sys.stderr.write(f"{line}: {error}\n")


if __name__ == "__main__":
    main()
