"""Recording quotes durably: group commit into the ledger, or into the journal while Postgres is away.

A request hands its row over and waits until it is on a disk. One thread a process commits whatever has gathered
while the commit before was under way, so that durability costs one transaction for many quotes. Where Postgres
fails, or keeps a request waiting for too long, the breaker opens: what waits and what comes goes into the journal,
until the refresher has reached the server again.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple

import psycopg2

from motorisk.errors import DatabaseUnavailable, QuoteNotRecorded
from motorisk.quoting.backlog import Backlog
from motorisk.quoting.database import Database
from motorisk.quoting.ledger import REFUSED, Entry, KeyHolder, LedgerSession

MAX_BATCH = 1000
MAX_UNAWAITED = 5000
"""Requests whose rows nobody waits for; more of them wait, as quotes do."""
GATHER_SECONDS = 0.01
"""How long a commit waits at most until it has rows of as many requests as the one before."""
GATHER_STEP = 0.001
LEDGER_SECONDS = 1.0
"""A row that Postgres has not taken by then goes into the journal, at the latest."""
LEAST_LEDGER_SECONDS = 0.25
COMMITS_WAITED = 20
"""So many times a usual commit are waited for, within these bounds: where commits are quick, so is the way out."""
JOURNAL_SECONDS = 10.0
"""A disk that takes longer counts as one that does not answer."""
WAKE_SECONDS = 0.25
REFUSING_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """Where a row is now; with `holder` it was not written, because its key has that quote already."""

    recorded: Literal["ledger", "journal"]
    holder: KeyHolder | None = None


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Waiting:
    """Rows of one request and the lock that it waits for; settled once, by whichever thread is first."""

    entries: list[Entry]
    done: threading.Lock = field(default_factory=_locked)
    outcome: list[Outcome] | Exception | None = None
    following: "_Waiting | None" = None
    is_awaited: bool = True

    def settle(self, outcome: list[Outcome] | Exception) -> None:
        if self.outcome is None:
            self.outcome = outcome

    def wake(self) -> None:
        with suppress(RuntimeError):  # it is awake
            self.done.release()

    def wait(self, seconds: float) -> bool:
        """Whether the outcome is there in time."""
        deadline = time.monotonic() + seconds
        # In slices: who is to wake it may have left in the very moment in which it was told to.
        while not self.done.acquire(timeout=min(seconds, WAKE_SECONDS)):
            if self.outcome is not None:
                break
            if time.monotonic() >= deadline:
                return False
        if self.outcome is None:
            return False
        if self.following is not None:
            self.following.wake()
        return True


def _wake(settled: list[_Waiting]) -> None:
    """Wake the first request, which wakes the next: all at once they would contend for the interpreter."""
    settled = [waiting for waiting in settled if waiting.is_awaited]
    for waiting, following in pairwise(settled):
        waiting.following = following
    if settled:
        settled[0].wake()


class Recorder:
    """Makes rows durable; shared by the request threads of a process. Its threads start with the first row."""

    def __init__(
        self,
        database: Database,
        backlog: Backlog,
        *,
        on_database_failure: Callable[[], None] = lambda: None,
        on_committed: Callable[[int], None] = lambda rows: None,
        on_journalled: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self._database = database
        self._backlog = backlog
        self._on_database_failure = on_database_failure
        self._on_committed = on_committed
        self._on_journalled = on_journalled
        self._for_ledger: SimpleQueue[_Waiting] = SimpleQueue()
        self._for_journal: SimpleQueue[_Waiting] = SimpleQueue()
        self._session = LedgerSession(database)
        self._starting = threading.Lock()
        self._is_started = False
        self._under_way: list[_Waiting] = []
        self._usual_commit = LEDGER_SECONDS / COMMITS_WAITED
        self._journal_failed_at = -math.inf

    @property
    def is_refusing(self) -> bool:
        """Whether the journal did not take quotes a moment ago."""
        return time.monotonic() - self._journal_failed_at < REFUSING_SECONDS

    @property
    def is_stuck(self) -> bool:
        """Whether a commit is still under way of which nobody waits for the end any more."""
        return bool(self._under_way) and self._database.is_away

    def record(self, entries: list[Entry]) -> list[Outcome]:
        """Return when the rows are durable: all of them in one transaction.

        `QuoteNotRecorded` where neither Postgres nor the disk takes them.
        """
        if not self._is_started:
            self._start()
        waiting = _Waiting(entries)
        if self._database.is_away:
            self._for_journal.put(waiting)
        else:
            self._for_ledger.put(waiting)
            patience = max(LEAST_LEDGER_SECONDS, min(COMMITS_WAITED * self._usual_commit, LEDGER_SECONDS))
            if not waiting.wait(patience):
                self._open_breaker(f"no answer to a commit within {patience:.2g} s")
                self._for_journal.put(waiting)
            elif isinstance(waiting.outcome, list):
                return waiting.outcome
        if waiting.outcome is None and not waiting.wait(JOURNAL_SECONDS):
            raise QuoteNotRecorded("the quote could not be stored; try again in a few seconds")
        if isinstance(waiting.outcome, list):
            return waiting.outcome
        assert waiting.outcome is not None  # noqa: S101  settled
        raise waiting.outcome

    def record_soon(self, entries: list[Entry]) -> None:
        """Return before the rows are durable, for what may be lost where a process is killed within milliseconds.

        Where Postgres is away or the queue is long, rows are waited for as in `record`.
        """
        if self._database.is_away or self.is_refusing or self._for_ledger.qsize() > MAX_UNAWAITED:
            self.record(entries)
            return
        if not self._is_started:
            self._start()
        self._for_ledger.put(_Waiting(entries, is_awaited=False))

    def flush(self) -> None:
        """Return when rows that nobody waited for are durable too: when the process ends."""
        if self._is_started:
            with suppress(QuoteNotRecorded):
                self.record([])  # behind them in the queue

    def _start(self) -> None:
        with self._starting:
            if self._is_started:
                return
            for name, work in (("ledger-writer", self._write_ledger), ("journal-writer", self._write_journal)):
                threading.Thread(target=work, name=name, daemon=True).start()
            self._is_started = True

    def _open_breaker(self, reason: str) -> None:
        if not self._database.is_away:
            _log.warning("quotes go into the journal: %s", reason)
        self._database.went_away()
        self._on_database_failure()
        under_way = [waiting for waiting in self._under_way if not waiting.is_awaited]  # the others see to themselves
        for waiting in [*under_way, *_gathered(self._for_ledger)]:
            self._for_journal.put(waiting)

    # --- the thread of the ledger --------------------------------------------------------------------------------

    def _write_ledger(self) -> None:
        crowd = 0
        while True:
            batch = _next_batch(self._for_ledger)
            if crowd > 1:  # others are on their way: one commit for more of them
                self._await_others(crowd - len(batch))
                batch += _gathered(self._for_ledger, sum(len(waiting.entries) for waiting in batch))
            crowd = len(batch)
            self._under_way = batch
            began = time.monotonic()
            try:
                self._commit(batch)
                took = min(time.monotonic() - began, LEDGER_SECONDS)
                self._usual_commit += 0.1 * (took - self._usual_commit)
            except Exception as error:  # this thread must not end
                _log.exception("the ledger's writer failed and goes on")
                for waiting in batch:
                    waiting.settle(error)
                _wake(batch)
            finally:
                self._under_way = []

    def _await_others(self, missing: int) -> None:
        until = time.monotonic() + GATHER_SECONDS
        while self._for_ledger.qsize() < missing and time.monotonic() < until:
            time.sleep(GATHER_STEP)

    def _commit(self, batch: list[_Waiting]) -> None:
        entries = [entry for waiting in batch for entry in waiting.entries]
        try:
            holders = self._session.append(entries)
        except REFUSED as error:
            if len(batch) == 1:
                batch[0].settle(error)
                _wake(batch)
                return
            for waiting in batch:  # one of them is to blame, and nothing of the others was written
                self._commit([waiting])
        except (psycopg2.Error, DatabaseUnavailable) as error:
            self._session.close()
            self._under_way = []
            for waiting in batch:
                self._for_journal.put(waiting)
            # The first line: those that follow may hold a row, and no input belongs into a log.
            self._open_breaker((str(error.__cause__ or error).splitlines() or [type(error).__name__])[0])
        else:
            answers = iter(holders)
            for waiting in batch:
                waiting.settle([Outcome("ledger", next(answers)) for _ in waiting.entries])
            _wake(batch)
            self._on_committed(len(entries))

    # --- the thread of the journal -------------------------------------------------------------------------------

    def _write_journal(self) -> None:
        while True:
            batch = _next_batch(self._for_journal)
            # Once each, though a request that waited for too long and a failed commit both bring it here.
            open_ones = [waiting for waiting in dict.fromkeys(batch) if waiting.outcome is None]
            try:
                holders = iter(self._backlog.append([entry for waiting in open_ones for entry in waiting.entries]))
            except Exception as error:  # this thread must not end either
                if not self.is_refusing:  # else it is said already
                    _log.error("the journal takes no quotes: %s", error, exc_info=not isinstance(error, OSError))
                self._journal_failed_at = time.monotonic()
                refusal = QuoteNotRecorded("the quote could not be stored; try again in a few seconds")
                refusal.__cause__ = error
                for waiting in open_ones:
                    waiting.settle(refusal)
                _wake(open_ones)
                continue
            self._journal_failed_at = -math.inf
            rows = 0
            for waiting in open_ones:
                rows += len(waiting.entries)
                waiting.settle([Outcome("journal", next(holders)) for _ in waiting.entries])
            _wake(open_ones)
            self._on_journalled(rows)


def _gathered(queue: "SimpleQueue[_Waiting]", rows: int = 0) -> list[_Waiting]:
    """What waits in a queue, without waiting for more."""
    found: list[_Waiting] = []
    while rows < MAX_BATCH:
        try:
            waiting = queue.get_nowait()
        except Empty:
            break
        found.append(waiting)
        rows += len(waiting.entries)
    return found


def _next_batch(queue: "SimpleQueue[_Waiting]") -> list[_Waiting]:
    """Wait for a request's rows; take the others that have come with them."""
    first = queue.get()
    return [first, *_gathered(queue, len(first.entries))]
