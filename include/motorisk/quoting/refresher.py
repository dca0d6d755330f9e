"""The thread that keeps a process of the quote service up to date."""

import logging
import threading
import time

import psycopg2

from motorisk.errors import DatabaseUnavailable
from motorisk.quoting.backlog import Backlog
from motorisk.quoting.champion import Champion
from motorisk.quoting.clients import Clients
from motorisk.quoting.database import Database
from motorisk.quoting.ledger import Ledger, LedgerSession
from motorisk.quoting.recorder import Recorder

REFRESH_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 3600.0
HOUSEKEEPING_AGAIN_SECONDS = 60.0
"""After a failure: the tables may have been locked for a moment."""
FIRST_LOOK_SECONDS = 30.0
HURRIED_LOOK_SECONDS = 1.0
"""With a cached model at hand, the first request does not wait for a database that is away."""

_log = logging.getLogger(__name__)


class Refresher:
    """Follows champion and clients every second, sees whether a lost database is back, and carries the journal over.

    One a process, started after gunicorn has forked: threads and connections do not survive a fork.
    """

    def __init__(
        self,
        database: Database,
        champion: Champion,
        clients: Clients,
        ledger: Ledger,
        recorder: Recorder,
        backlog: Backlog,
    ) -> None:
        self._database = database
        self._champion = champion
        self._clients = clients
        self._ledger = ledger
        self._recorder = recorder
        self._backlog = backlog
        self._session = LedgerSession(database)
        self._stopped = threading.Event()
        self._looked = threading.Event()
        self._housekeeping_due = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look into the registry once, so that the first request finds a model, and go on in a thread."""
        if self._thread is not None:
            return
        self._champion.remember()
        self._clients.remember()
        self._thread = threading.Thread(target=self._run, name="refresher", daemon=True)
        self._thread.start()
        self._looked.wait(HURRIED_LOOK_SECONDS if self._champion.serving.model else FIRST_LOOK_SECONDS)

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._work()
            except Exception:  # without this thread the process would serve an old model for ever
                _log.exception("the refresher failed and goes on")
            self._looked.set()
            if self._stopped.wait(REFRESH_SECONDS):
                return

    def _work(self) -> None:
        can_read = self._champion.refresh()
        if can_read or not self._database.is_away:  # whatever ails the champion, a revoked key is refused
            self._clients.refresh()
        if not can_read:
            return
        if self._database.is_away:
            self._come_back()
        self._keep_house()  # first: a quote in the default partition would keep its month's from being made
        # Requests need not wait for the rest: the ledger takes new quotes and journalled ones side by side.
        self._looked.set()
        self._carry_backlog()

    def _come_back(self) -> None:
        if self._recorder.is_stuck:
            return
        self._database.came_back()
        _log.info("the ledger takes quotes")

    def _carry_backlog(self) -> None:
        try:
            self._backlog.carry(self._session)
        except (psycopg2.Error, DatabaseUnavailable, OSError) as error:
            self._session.close()
            _log.warning("the journal stays for now: %s", " ".join(str(error.__cause__ or error).split()))

    def _keep_house(self) -> None:
        if time.monotonic() < self._housekeeping_due:
            return
        self._housekeeping_due = time.monotonic() + HOUSEKEEPING_SECONDS
        for work in (self._ledger.ensure_partitions, self._ledger.forget_old_keys, self._ledger.forget_unmeasured):
            try:
                work()
            except Exception:  # the default partition takes quotes meanwhile, and old keys are no harm
                _log.exception("the ledger's tables are not in order; the next try is in a minute")
                self._housekeeping_due = time.monotonic() + HOUSEKEEPING_AGAIN_SECONDS
