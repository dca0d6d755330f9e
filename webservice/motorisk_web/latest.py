"""What scrapes read from the database: at most every few seconds, and never at the cost of a scrape."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy import Connection

from motorisk.errors import DatabaseUnavailable
from motorisk.quoting.database import Database

CACHE_SECONDS = 10.0
"""Nights come once a day and windows every few minutes; several scrapers need not each ask Postgres."""

Figures = TypeVar("Figures")


class Latest(Generic[Figures]):
    """Figures as they were read last: where Postgres is away the last known ones stay."""

    def __init__(
        self, database: Database, read: Callable[[Connection], Figures], *, on_failure: Callable[[], None]
    ) -> None:
        self._database = database
        self._read = read
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._known: Figures | None = None
        self._read_at = -CACHE_SECONDS

    def get(self) -> Figures | None:
        """The figures, read anew where they are older than the cache keeps them; None before the first reading."""
        with self._lock:
            fresh = time.monotonic() - self._read_at < CACHE_SECONDS
            if fresh or self._database.is_away:  # a connection attempt could outlast the scraper's patience
                return self._known
            try:
                with self._database.statements() as connection:
                    self._known = self._read(connection)
                self._read_at = time.monotonic()
            except DatabaseUnavailable:
                self._on_failure()
            return self._known
