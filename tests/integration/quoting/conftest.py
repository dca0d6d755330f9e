"""The quote service's parts in this process, on the test's own Postgres, before and after it was reached."""

from pathlib import Path

import pytest

from motorisk.quoting.backlog import Backlog
from motorisk.quoting.cache import ServingCache
from motorisk.quoting.champion import Champion
from motorisk.quoting.database import Database
from motorisk.quoting.ledger import Ledger, LedgerSession
from motorisk.quoting.recorder import Recorder
from motorisk.quoting.service import QuoteService
from motorisk.settings import Settings


@pytest.fixture
def database(settings: Settings) -> Database:
    """Reached already."""
    found = Database(settings)
    with found.probe():
        found.came_back()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "quoting"


@pytest.fixture
def journal(folder: Path) -> Path:
    return folder / "journal"


@pytest.fixture
def backlog(journal: Path) -> Backlog:
    return Backlog(journal)


@pytest.fixture
def cache(folder: Path) -> ServingCache:
    return ServingCache(folder)


@pytest.fixture
def champion(database: Database, cache: ServingCache) -> Champion:
    return Champion(database, cache)


@pytest.fixture
def session(database: Database) -> LedgerSession:
    return LedgerSession(database)


@pytest.fixture
def service(database: Database, champion: Champion, cache: ServingCache, backlog: Backlog) -> QuoteService:
    """Of a process that has not looked into the registry yet."""
    return QuoteService(database, champion, cache, Ledger(database), Recorder(database, backlog), backlog)
