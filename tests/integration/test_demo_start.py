"""What `motorisk demo` looks at and writes before it starts Airflow, and its end when something fails."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from motorisk.demo.airflow import LocalAirflow
from motorisk.settings import Settings


@contextmanager
def _full_disk() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.fault("disk full")
def test_logins_that_a_full_disk_did_not_take_are_made_again(settings: Settings) -> None:
    airflow = LocalAirflow(settings)
    with _full_disk(), pytest.raises(OSError, match="File too large"):
        airflow.passwords()
    made = airflow.passwords()
    assert made.keys() == {"admin", "uma"}
    assert airflow.passwords() == made
    assert (airflow.home / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_airflows_components_reach_each_other_past_a_proxy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for listed, wanted in (("insurer.example", "insurer.example,127.0.0.1"), ("", "127.0.0.1")):
        monkeypatch.setenv("NO_PROXY", listed)
        monkeypatch.delenv("no_proxy", raising=False)
        environment = LocalAirflow(settings).environment()
        assert environment["NO_PROXY"] == environment["no_proxy"] == wanted
