"""A machine whose clock is wrong (by libfaketime), is set back, or changes to winter time; the database's is right.

A whole service under libfaketime 0.9.10 cannot sleep (Python's `time.sleep` fails by chance): its clock is injected.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, select

from motorisk.warehouse.tables import quote

JsonObject = dict[str, Any]
WINTER = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""Clocks in Berlin go back from 03:00 to 02:00."""


class Clock:
    """The clock of the quote service of this process; `moment` is what it shows until it is set again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = self
        self.moment = datetime.now(UTC)

        class Told(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return clock.moment.astimezone(tz)

        monkeypatch.setattr("motorisk.quoting.service.datetime", Told)
        journal_time = SimpleNamespace(time_ns=lambda: int(clock.moment.timestamp() * 1e9))
        monkeypatch.setattr("motorisk.quoting.journal.time", journal_time)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """A clock to be set, in Berlin."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield Clock(patch)
    time.tzset()


def _ledger(engine: Engine) -> dict[str, datetime]:
    with engine.connect() as connection:
        rows = connection.execute(select(quote.c.quote_id, quote.c.quoted_at)).all()
    assert len({row.quote_id for row in rows}) == len(rows)
    return {str(row.quote_id): row.quoted_at for row in rows}


@pytest.mark.fault("clock set back")
def test_a_clock_that_is_set_back_an_hour_loses_and_doubles_nothing(
    warehouse: Engine, approve: Any, start_app: Any, body: JsonObject, clock: Clock, unreachable: Any
) -> None:
    approve(warehouse)
    client = start_app()
    answered: dict[str, str] = {}

    def ask(key: str) -> None:
        made = client.post("/v1/quotes", json=body, headers={"Idempotency-Key": key})
        assert made.status_code in (200, 201), made.text
        assert answered.setdefault(key, made.json["quote_id"]) == made.json["quote_id"]

    ask("at-first")
    with unreachable(warehouse):  # what the journal holds is from before and from after
        for number in range(5):
            ask(f"before-{number}")
        clock.moment -= timedelta(hours=1)
        for number in range(5):
            ask(f"after-{number}")
            ask(f"before-{number}")
    deadline = time.monotonic() + 60
    while set(_ledger(warehouse)) != set(answered.values()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for key in (*answered, "later"):
        ask(key)
    ledger = _ledger(warehouse)
    assert len(ledger) == len(answered) == 12
    assert ledger[answered["before-0"]] - ledger[answered["later"]] == timedelta(hours=1)


@pytest.mark.fault("daylight-saving change")
def test_quotes_across_the_change_to_winter_time_follow_one_another(
    warehouse: Engine, approve: Any, start_app: Any, body: JsonObject, clock: Clock
) -> None:
    approve(warehouse)
    client = start_app()
    moments = [WINTER + timedelta(minutes=minutes) for minutes in (-90, -60, -30, 0, 30, 60)]
    assert len({moment.astimezone().replace(tzinfo=None) for moment in moments}) < len(moments), "an hour comes twice"
    answered = []
    for moment in moments:
        clock.moment = moment
        made = client.post("/v1/quotes", json=body).json
        assert datetime.fromisoformat(made["quoted_at"]) == moment
        answered.append(made["quote_id"])
    ledger = _ledger(warehouse)
    assert [ledger[quote_id] for quote_id in answered] == moments
    assert len(ledger) == len(moments)


@pytest.mark.fault("daylight-saving change")
@pytest.mark.fault("clock skew")
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Kiritimati"])
def test_a_zone_is_no_skew(server_environment: dict[str, str], zone: str) -> None:
    command = [sys.executable, "-m", "motorisk", "models", "--json"]
    environment = {**server_environment, "TZ": zone}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.fault("clock skew")
@pytest.mark.parametrize(("hours", "words"), [(-2, "2:00:0"), (50, "2 days, ")])
def test_a_clock_that_is_wrong_is_told_before_anything_is_computed(
    server_environment: dict[str, str], hours: int, words: str
) -> None:
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("libfaketime is not installed")
    faked = {"LD_PRELOAD": str(libraries[0]), "FAKETIME": f"{hours:+d}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    environment = {**server_environment, **faked}
    command = [sys.executable, "-m", "motorisk", "score", "--as-of", "2024-01-31"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"Clocks disagree: this machine's clock is {words}")
    assert ("behind" if hours < 0 else "ahead of") in line
    assert line.endswith("set both by a time server (NTP)")
