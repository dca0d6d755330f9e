"""Gunicorn's threaded worker, with connections spread evenly over the workers.

Workers take new connections from one queue, and whoever wakes first takes them all: with connections that are kept
alive, one worker then does the work of all for as long as they last. Here a worker that has more connections than
another leaves a new one to the others for a few milliseconds.
"""

import mmap
import struct
import time
from typing import Any

from motorisk_web.deferring_worker import DeferringWorker

SLOTS = 256
LEAVE_SECONDS = 0.0002
MAX_LEFT = 50
"""So often a connection is left to others, then it is taken: the least busy worker may hang."""
_NOBODY = -1

# Inherited by the workers, which are forked from the process that imports this.
_connections = memoryview(mmap.mmap(-1, SLOTS * struct.calcsize("i"))).cast("i")
for _slot in range(SLOTS):
    _connections[_slot] = _NOBODY


class BalancedWorker(DeferringWorker):
    """A worker that tells the others how many connections it has."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._slot = self.age % SLOTS  # the age counts workers
        self._left = 0

    def run(self) -> None:
        """Serve; from now on the others leave connections to this worker."""
        _connections[self._slot] = 0
        super().run()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Serve, and tell how many connections there are now."""
        super().wait_for_and_dispatch_events(timeout)
        _connections[self._slot] = self.nr_conns

    def accept(self, listener: Any) -> None:
        """Take a new connection, unless another worker has fewer and may still take it."""
        if self._left < MAX_LEFT and any(_NOBODY < others < self.nr_conns for others in _connections):
            self._left += 1
            time.sleep(LEAVE_SECONDS)
            return  # the listener is still readable: asked again at once
        self._left = 0
        super().accept(listener)
        _connections[self._slot] = self.nr_conns


def forget(worker: BalancedWorker) -> None:
    """Count a worker that is gone no longer; called in the parent."""
    _connections[worker.age % SLOTS] = _NOBODY
