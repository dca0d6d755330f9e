"""Keys that this process knows: whom it lets in, and what it remembers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from motorisk.errors import DatabaseUnavailable
from motorisk.quoting.clients import Clients, KeyRefused
from motorisk.quoting.database import Database
from motorisk.registry.clients import add_key, all_keys, revoke

TODAY = datetime.now(UTC).date()


@pytest.fixture
def clients(database: Database, folder: Path) -> Clients:
    return Clients(database, folder)


def give(engine: Engine, client: str, **how: Any) -> str:
    with engine.begin() as connection:
        return add_key(connection, client, by="uma", **how)[1]


def test_a_known_key_is_let_in_and_its_day_of_use_told(clients: Clients, warehouse: Engine) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be checked yet"):
        clients.authenticate("anything")
    key, unused = give(warehouse, "broker", rate=2.5, expires_on=TODAY), give(warehouse, "other")
    clients.refresh()
    known = clients.authenticate(key)
    midnight = datetime.combine(TODAY + timedelta(days=1), datetime.min.time(), UTC)
    assert (known.client, known.rate, known.good_until) == ("broker", 2.5, midnight.timestamp())
    clients.refresh()
    with warehouse.connect() as connection:
        used = {each.client: each.last_used_on for each in all_keys(connection)}
    assert used == {"broker": TODAY, "other": None}
    assert clients.authenticate(unused).client == "other"


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("change", [lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"), lambda key: "", str.upper])
def test_what_is_no_key_is_unknown(clients: Clients, warehouse: Engine, change: Any) -> None:
    key = give(warehouse, "broker")
    clients.refresh()
    with pytest.raises(KeyRefused, match="not known") as refused:
        clients.authenticate(change(key))
    assert refused.value.reason == "unknown"


def test_a_revoked_key_is_refused_with_the_next_look(clients: Clients, warehouse: Engine) -> None:
    key = give(warehouse, "broker")
    clients.refresh()
    clients.authenticate(key)
    with warehouse.begin() as connection:
        revoke(connection, "broker", by="uma")
    clients.refresh()
    with pytest.raises(KeyRefused, match="was revoked") as refused:
        clients.authenticate(key)
    assert refused.value.reason == "revoked"


def test_keys_are_known_after_a_start_without_postgres(
    clients: Clients, database: Database, folder: Path, warehouse: Engine, unreachable: Any
) -> None:
    key = give(warehouse, "broker")
    clients.refresh()
    file = folder / "clients.json"
    assert file.stat().st_mode & 0o777 == 0o600
    failures: list[None] = []
    started = Clients(database, folder, on_failure=lambda: failures.append(None))
    with unreachable(warehouse):
        started.remember()
        started.refresh()
        assert started.authenticate(key).client == "broker"
    assert len(failures) == 1
    file.write_bytes(file.read_bytes() + b" ")
    changed = Clients(database, folder)
    changed.remember()
    with pytest.raises(DatabaseUnavailable):
        changed.authenticate(key)
