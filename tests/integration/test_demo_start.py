"""What `motorisk demo` looks at and writes before it starts Airflow, and its end when something fails."""

import pytest

from motorisk.demo.airflow import LocalAirflow
from motorisk.settings import Settings


def test_airflows_components_reach_each_other_past_a_proxy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for listed, wanted in (("insurer.example", "insurer.example,127.0.0.1"), ("", "127.0.0.1")):
        monkeypatch.setenv("NO_PROXY", listed)
        monkeypatch.delenv("no_proxy", raising=False)
        environment = LocalAirflow(settings).environment()
        assert environment["NO_PROXY"] == environment["no_proxy"] == wanted
