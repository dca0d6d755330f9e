"""One request's rows on their way to a disk, and whoever wants to know when they are there."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Literal, NamedTuple

from motorisk.quoting.ledger import Entry, KeyHolder

WAKE_SECONDS = 0.25

Listener = Literal["thread", "callback", "nobody"]
"""Who is told: a thread that waits, a function that is called, or nobody."""


class Outcome(NamedTuple):
    """Where a row is now; with `holder` it was not written, because its key has that quote already."""

    recorded: Literal["ledger", "journal"]
    holder: KeyHolder | None = None


class Recording:
    """Rows of one request; settled once, by whichever thread is first."""

    __slots__ = ("_callbacks", "_done", "_following", "began", "entries", "is_for_journal", "listener", "outcome")

    def __init__(self, entries: list[Entry], listener: Listener) -> None:
        self.entries = entries
        self.listener = listener
        self.began = time.monotonic()
        self.outcome: list[Outcome] | Exception | None = None
        self.is_for_journal = False
        self._done = threading.Lock()
        self._done.acquire()
        self._following: Recording | None = None
        self._callbacks: list[Callable[[], None]] = []

    def settle(self, outcome: list[Outcome] | Exception) -> None:
        """Say where the rows are, or why they are nowhere, unless it is said."""
        if self.outcome is None:
            self.outcome = outcome

    def when_settled(self, callback: Callable[[], None]) -> None:
        """Have a function called once, soon after the outcome is there; by any thread, so it must not take long."""
        self._callbacks.append(callback)
        if self.outcome is not None:
            self._call_back()

    def wait(self, seconds: float) -> bool:
        """Whether the outcome is there in time."""
        deadline = time.monotonic() + seconds
        # In slices: who is to wake it may have left in the very moment in which it was told to.
        while not self._done.acquire(timeout=min(seconds, WAKE_SECONDS)):
            if self.outcome is not None:
                break
            if time.monotonic() >= deadline:
                return False
        if self.outcome is None:
            return False
        if self._following is not None:
            self._following.wake()
        return True

    def outcomes(self) -> list[Outcome]:
        """Where each row is, once that is settled; raises why not."""
        while self.outcome is None:  # the recorder bounds it
            self.wait(WAKE_SECONDS)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def wake(self) -> None:
        """Tell whoever listens."""
        with suppress(RuntimeError):  # it is awake
            self._done.release()
        self._call_back()

    def _call_back(self) -> None:
        with suppress(IndexError):  # popped once, by whoever comes first
            self._callbacks.pop()()

    def precede(self, other: "Recording") -> None:
        """Wake another once this one's thread runs."""
        self._following = other


def wake(settled: list[Recording]) -> None:
    """Tell all who listen; of the threads the first, which wakes the next.

    All at once they would contend for the interpreter.
    """
    threads = [recording for recording in settled if recording.listener == "thread"]
    for recording, following in pairwise(threads):
        recording.precede(following)
    if threads:
        threads[0].wake()
    for recording in settled:
        if recording.listener == "callback":
            recording.wake()
