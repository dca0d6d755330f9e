"""Recording quotes durably: group commit into the ledger, or into the journal while Postgres is away.

A request hands its rows over and is told when they are on a disk; it waits for that, or is called back, so that its
thread can serve others meanwhile. One thread a process commits whatever has gathered while the commit before was under
way, so that durability costs one transaction for many quotes. Where Postgres fails, or keeps a request waiting for too
long, the breaker opens: what waits and what comes goes into the journal, until the refresher has reached the server
again.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

import psycopg2

from motorisk.errors import DatabaseUnavailable, QuoteNotRecorded
from motorisk.quoting.backlog import Backlog
from motorisk.quoting.database import Database
from motorisk.quoting.ledger import REFUSED, Entry, LedgerSession
from motorisk.quoting.recording import Outcome, Recording, wake

MAX_BATCH = 1000
MAX_UNAWAITED = 5000
"""Requests whose rows nobody waits for; more of them wait, as quotes do."""
UNAWAITED_AT_ONCE = 250
UNAWAITED_SECONDS = 0.05
"""So long such rows wait at most for a commit to go with."""
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
WATCH_SECONDS = 0.05
REFUSING_SECONDS = 5.0

_log = logging.getLogger(__name__)


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
        self._for_ledger: SimpleQueue[Recording] = SimpleQueue()
        self._for_journal: SimpleQueue[Recording] = SimpleQueue()
        self._unawaited: deque[Recording] = deque()
        self._called_back: deque[Recording] = deque()
        self._session = LedgerSession(database)
        self._starting = threading.Lock()
        self._is_started = False
        self._under_way: list[Recording] = []
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

    @property
    def _patience(self) -> float:
        return max(LEAST_LEDGER_SECONDS, min(COMMITS_WAITED * self._usual_commit, LEDGER_SECONDS))

    def record(self, entries: list[Entry]) -> list[Outcome]:
        """Return when the rows are durable: all of them in one transaction.

        `QuoteNotRecorded` where neither Postgres nor the disk takes them.
        """
        recording = Recording(entries, "thread")
        if not self._hand_over(recording):
            patience = self._patience
            if recording.wait(patience):
                return recording.outcomes()
            self._open_breaker(f"no answer to a commit within {patience:.2g} s")
            self._to_journal(recording)
        if not recording.wait(JOURNAL_SECONDS):
            raise _not_recorded()
        return recording.outcomes()

    def begin(self, entries: list[Entry]) -> Recording:
        """Return at once; the recording tells when the rows are durable, within the same bounds as `record`."""
        recording = Recording(entries, "callback")
        self._called_back.append(recording)
        self._hand_over(recording)
        return recording

    def record_soon(self, entries: list[Entry]) -> None:
        """Return before the rows are durable, for what may be lost where a process is killed within milliseconds.

        Where Postgres is away or the queue is long, rows are waited for as in `record`.
        """
        if self._database.is_away or self.is_refusing or len(self._unawaited) > MAX_UNAWAITED:
            self.record(entries)
            return
        if not self._is_started:
            self._start()
        self._unawaited.append(Recording(entries, "nobody"))

    def flush(self) -> None:
        """Return when rows that nobody waited for are durable too: when the process ends."""
        with suppress(QuoteNotRecorded):
            while self._unawaited:
                self.record([])  # with the next of them
            if self._is_started:
                self.record([])  # behind those that are under way

    def _hand_over(self, recording: Recording) -> bool:
        """Whether it goes into the journal."""
        if not self._is_started:
            self._start()
        if self._database.is_away:
            self._to_journal(recording)
            return True
        self._for_ledger.put(recording)
        return False

    def _start(self) -> None:
        with self._starting:
            if self._is_started:
                return
            for name, work in (
                ("ledger-writer", self._write_ledger),
                ("journal-writer", self._write_journal),
                ("ledger-watch", self._watch),
            ):
                threading.Thread(target=work, name=name, daemon=True).start()
            self._is_started = True

    def _open_breaker(self, reason: str) -> None:
        if not self._database.is_away:
            _log.warning("quotes go into the journal: %s", reason)
        self._database.went_away()
        self._on_database_failure()
        # Threads that wait for what is under way see to themselves.
        under_way = [recording for recording in self._under_way if recording.listener != "thread"]
        for recording in [*under_way, *_gathered(self._for_ledger), *_popped(self._unawaited, MAX_UNAWAITED)]:
            self._to_journal(recording)

    def _to_journal(self, recording: Recording) -> None:
        recording.is_for_journal = True
        self._for_journal.put(recording)

    # --- the thread that is patient for those who do not wait themselves ------------------------------------------

    def _watch(self) -> None:
        while True:
            time.sleep(WATCH_SECONDS)
            pending = self._called_back
            while pending and pending[0].outcome is not None:
                pending.popleft()
            if not pending:
                continue
            oldest, patience = pending[0], self._patience
            waited = time.monotonic() - oldest.began
            if waited > patience and not oldest.is_for_journal:
                self._open_breaker(f"no answer to a commit within {patience:.2g} s")
                self._to_journal(oldest)  # it came in the very moment in which the breaker was opened before
            elif waited > patience + JOURNAL_SECONDS:
                oldest.settle(_not_recorded())
                wake([oldest])

    # --- the thread of the ledger --------------------------------------------------------------------------------

    def _write_ledger(self) -> None:
        crowd = 0
        while True:
            batch = _next_batch(self._for_ledger, UNAWAITED_SECONDS)
            if batch and crowd > 1:  # others are on their way: one commit for more of them
                self._await_others(crowd - len(batch))
                batch += _gathered(self._for_ledger, sum(len(recording.entries) for recording in batch))
            crowd = len(batch)
            batch += _popped(self._unawaited, UNAWAITED_AT_ONCE if batch else MAX_BATCH)
            if not batch:
                continue
            self._under_way = batch
            began = time.monotonic()
            try:
                self._commit(batch)
                took = min(time.monotonic() - began, LEDGER_SECONDS)
                self._usual_commit += 0.1 * (took - self._usual_commit)
            except Exception as error:  # this thread must not end
                _log.exception("the ledger's writer failed and goes on")
                for recording in batch:
                    recording.settle(error)
                wake(batch)
            finally:
                self._under_way = []

    def _await_others(self, missing: int) -> None:
        until = time.monotonic() + GATHER_SECONDS
        while self._for_ledger.qsize() < missing and time.monotonic() < until:
            time.sleep(GATHER_STEP)

    def _commit(self, batch: list[Recording]) -> None:
        entries = [entry for recording in batch for entry in recording.entries]
        try:
            holders = self._session.append(entries)
        except REFUSED as error:
            if len(batch) == 1:
                if batch[0].listener == "nobody":
                    _log.error("the ledger refuses an input: %s", type(error).__name__)
                batch[0].settle(error)
                wake(batch)
                return
            for recording in batch:  # one of them is to blame, and nothing of the others was written
                self._commit([recording])
        except (psycopg2.Error, DatabaseUnavailable) as error:
            self._session.close()
            self._under_way = []
            for recording in batch:
                self._to_journal(recording)
            # The first line: those that follow may hold a row, and no input belongs into a log.
            self._open_breaker((str(error.__cause__ or error).splitlines() or [type(error).__name__])[0])
        else:
            answers = iter(holders)
            for recording in batch:
                recording.settle([Outcome("ledger", next(answers)) for _ in recording.entries])
            wake(batch)
            self._on_committed(len(entries))

    # --- the thread of the journal -------------------------------------------------------------------------------

    def _write_journal(self) -> None:
        while True:
            batch = _next_batch(self._for_journal)
            # Once each, though a request that waited for too long and a failed commit both bring it here.
            open_ones = [recording for recording in dict.fromkeys(batch) if recording.outcome is None]
            try:
                entries = [entry for recording in open_ones for entry in recording.entries]
                holders = iter(self._backlog.append(entries))
            except Exception as error:  # this thread must not end either
                if not self.is_refusing:  # else it is said already
                    _log.error("the journal takes no quotes: %s", error, exc_info=not isinstance(error, OSError))
                self._journal_failed_at = time.monotonic()
                refusal = _not_recorded()
                refusal.__cause__ = error
                for recording in open_ones:
                    recording.settle(refusal)
                wake(open_ones)
                continue
            self._journal_failed_at = -math.inf
            for recording in open_ones:
                recording.settle([Outcome("journal", next(holders)) for _ in recording.entries])
            wake(open_ones)
            self._on_journalled(len(entries))


def _not_recorded() -> QuoteNotRecorded:
    return QuoteNotRecorded("the quote could not be stored; try again in a few seconds")


def _gathered(queue: "SimpleQueue[Recording]", rows: int = 0) -> list[Recording]:
    """What waits in a queue, without waiting for more."""
    found: list[Recording] = []
    while rows < MAX_BATCH:
        try:
            recording = queue.get_nowait()
        except Empty:
            break
        found.append(recording)
        rows += len(recording.entries)
    return found


def _popped(waiting: "deque[Recording]", limit: int) -> list[Recording]:
    """The first of what waits."""
    found: list[Recording] = []
    with suppress(IndexError):
        while len(found) < limit:
            found.append(waiting.popleft())
    return found


def _next_batch(queue: "SimpleQueue[Recording]", seconds: float | None = None) -> list[Recording]:
    """Wait for a request's rows, for so long; take the others that have come with them."""
    try:
        first = queue.get(timeout=seconds)
    except Empty:
        return []
    return [first, *_gathered(queue, len(first.entries))]
