"""`motorisk clients`: keys given, listed and taken back."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from motorisk.cli import main
from motorisk.domain.api_key import key_digest, key_id_of
from motorisk.registry.clients import add_key, used_today
from motorisk.settings import settings

Run = Callable[..., tuple[int, str, str]]
TODAY = datetime.now(UTC).date()


@pytest.fixture
def motorisk(
    server_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run a command in this process; answers its exit code and what it printed."""
    for name, value in server_environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        settings.cache_clear()
        monkeypatch.setattr(sys, "argv", ["motorisk", "clients", *arguments])
        code: Any = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        printed = capsys.readouterr()
        return code or 0, printed.out, printed.err

    yield run
    settings.cache_clear()


@pytest.fixture
def as_json(motorisk: Run) -> Callable[..., Any]:
    def run(*arguments: str) -> Any:
        code, out, err = motorisk(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


def test_a_key_is_printed_once_and_its_hash_kept(motorisk: Run, as_json: Callable[..., Any], warehouse: Engine) -> None:
    code, out, err = motorisk("add", "broker")
    key = out.strip()  # standard output holds the key alone, for pipes
    assert code == 0
    assert key_id_of(key)
    assert str(key_id_of(key)) in err
    for printed in (motorisk("list"), motorisk("list", "--json")):
        assert printed[0] == 0
        assert key not in printed[1] + printed[2]
        assert key_digest(key) not in printed[1] + printed[2]
        assert str(key_id_of(key)) in printed[1]
    with warehouse.connect() as connection:
        assert connection.scalar(text("SELECT digest FROM motorisk.api_key")) == key_digest(key)


def test_what_is_told_of_a_key(as_json: Callable[..., Any]) -> None:
    added = as_json("add", "broker", "--expires", TODAY.isoformat(), "--rate", "2.5")
    assert key_id_of(added.pop("key")) == added["id"]
    assert added["client"] == "broker"
    assert (added["state"], added["rate"], added["expires_on"]) == ("good", 2.5, TODAY.isoformat())
    assert (added["created_by"], added["revoked_at"], added["last_used_on"]) == ("tess", None, None)
    assert as_json("list") == [added]


def test_a_client_may_have_several_keys_which_are_taken_back_one_by_one_or_together(
    motorisk: Run, as_json: Callable[..., Any]
) -> None:
    first, second, third = (as_json("add", name)["id"] for name in ("broker", "broker", "other"))
    assert [key["id"] for key in as_json("revoke", first)["revoked"]] == [first]
    assert {key["id"]: key["state"] for key in as_json("list")} == {first: "revoked", second: "good", third: "good"}
    assert motorisk("revoke", first)[0] == 1
    assert [key["id"] for key in as_json("revoke", "broker")["revoked"]] == [second]
    listed = {key["id"]: key for key in as_json("list")}
    assert {name: key["state"] for name, key in listed.items()} == {first: "revoked", second: "revoked", third: "good"}
    assert listed[first]["revoked_by"] == "tess"
    code, _, err = motorisk("revoke", "broker")
    assert (code, err.strip()) == (1, "Transition refused: 'broker' was revoked before")


def test_who_is_not_there_cannot_be_revoked(motorisk: Run) -> None:
    code, _, err = motorisk("revoke", "nobody")
    assert code == 1
    assert "no client and no key is called 'nobody'" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "anybody"),  # whose idempotency keys those are that came without a client
        ("add", "0123456789ab"),  # like a key's id
        ("add", ""),
        ("add", "two words"),
        ("add", "-dash"),
        ("add", "x" * 65),
        ("add", "line\nbreak"),
        ("add", "late", "--expires", (TODAY - timedelta(days=1)).isoformat()),
    ],
)
def test_what_cannot_be_a_client_is_refused(motorisk: Run, as_json: Callable[..., Any], arguments: tuple[str]) -> None:
    code = motorisk(*arguments)[0]
    assert code in {1, 2}
    assert as_json("list") == []


@pytest.mark.parametrize("rate", ["-1", "fast", "nan", "inf"])
def test_a_rate_is_a_number_that_makes_sense(motorisk: Run, as_json: Callable[..., Any], rate: str) -> None:
    code, _, err = motorisk("add", "broker", "--rate", rate)
    assert code in {1, 2}
    assert "Traceback" not in err
    assert as_json("list") == []


def test_the_day_of_the_last_use_is_that_of_the_keys_that_were_used(warehouse: Engine) -> None:
    with warehouse.begin() as connection:
        used, idle = (add_key(connection, client, by="uma")[0] for client in ("broker", "idle"))
        connection.execute(text("UPDATE motorisk.api_key SET last_used_on = date '2020-01-01'"))
        used_today(connection, [used.key_id])
        days = dict(connection.execute(text("SELECT key_id, last_used_on FROM motorisk.api_key")).all())
    assert (days[used.key_id], days[idle.key_id]) == (TODAY, date(2020, 1, 1))
