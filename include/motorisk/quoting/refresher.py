"""The thread that keeps a process of the quote service up to date."""

import logging
import threading
import time

from motorisk.quoting.champion import Champion
from motorisk.quoting.ledger import Ledger

REFRESH_SECONDS = 1.0
PARTITION_SECONDS = 3600.0

_log = logging.getLogger(__name__)


class Refresher:
    """Follows the champion every second and makes the ledger's partitions every hour.

    One a process, started after gunicorn has forked: threads and connections do not survive a fork.
    """

    def __init__(self, champion: Champion, ledger: Ledger) -> None:
        self._champion = champion
        self._ledger = ledger
        self._stopped = threading.Event()
        self._partitions_due = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look into the registry once, so that the first request finds a model, then go on in a thread."""
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="champion-refresher", daemon=True)
        self._work()
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(REFRESH_SECONDS):
            try:
                self._work()
            except Exception:  # without this thread the process would serve an old model for ever
                _log.exception("the refresher failed and goes on")

    def _work(self) -> None:
        self._champion.refresh()
        if self._champion.failure is None and time.monotonic() >= self._partitions_due:
            self._partitions_due = time.monotonic() + PARTITION_SECONDS
            try:
                self._ledger.ensure_partitions()
            except Exception:  # the default partition takes quotes meanwhile
                _log.exception("cannot make the ledger's partitions; the next try is in an hour")
