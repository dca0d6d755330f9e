"""Replay: send policies to a quote service, a month after the other.

Within a month they go out on several connections at a time; the next begins when the last one is answered, so that
whoever watches the service sees the months in their order.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from motorisk.domain.policy import PolicyFeatures
from motorisk.errors import MotoriskError
from motorisk.pipelines.traffic.endpoints import Endpoint
from motorisk.pipelines.traffic.policies import REASONS_KEPT, read_policies
from motorisk.pipelines.traffic.target import Target

FAILURES_IN_A_ROW = 10
"""So many rows the service may fail one after the other, retries and all, before nobody asks any more."""
REPORTED_SECONDS = 0.1

Progress = Callable[[date, int, int], None]
"""Gets the month, and how many policies of how many were sent."""


@dataclass(frozen=True, slots=True)
class MonthSent:
    """A month's policies, and how long they took."""

    month: date
    rows: int
    seconds: float

    @property
    def rate(self) -> float:
        """Policies a second."""
        return self.rows / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class TrafficRun:
    """What became of the policies.

    `refused`: they, or rows of the files, break the contract; `failed`: the service did not answer them; `stopped`
    says why the rest was not sent.
    """

    policies: int
    answered: int = 0
    refused: int = 0
    failed: int = 0
    seconds: float = 0.0
    months: list[MonthSent] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    stopped: str | None = None

    @property
    def rate(self) -> float:
        """Policies a second."""
        return sum(month.rows for month in self.months) / self.seconds if self.seconds else 0.0

    @property
    def is_complete(self) -> bool:
        """Whether the service took a decision on every policy."""
        return not self.failed and self.stopped is None


class _Sender:
    """Sends on several threads; counts, and stops all of them where going on is pointless."""

    def __init__(self, target: Target, run: TrafficRun, progress: Progress) -> None:
        self._target = target
        self._run = run
        self._progress = progress
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._done = 0
        self._reported_at = 0.0

    def send_month(self, month: date, policies: list[PolicyFeatures], pool: ThreadPoolExecutor, threads: int) -> None:
        """Send a month's policies; returns when each has its answer."""
        waiting = deque(policies)
        started, before = time.perf_counter(), self._done
        for done in [pool.submit(self._work, month, waiting) for _ in range(min(threads, len(policies)))]:
            done.result()
        self._run.months.append(MonthSent(month, self._done - before, time.perf_counter() - started))
        self._progress(month, self._done, self._run.policies)

    def _work(self, month: date, waiting: deque[PolicyFeatures]) -> None:
        run = self._run
        while run.stopped is None:
            try:
                features = waiting.popleft()
            except IndexError:
                return
            try:
                answer = self._target.send(features)
            except MotoriskError as error:
                with self._lock:
                    run.failed += 1
                    self._done += 1
                    run.stopped = run.stopped or str(error)
                return
            with self._lock:
                self._done += 1
                if answer.reason is None:
                    run.answered += 1
                    self._in_a_row = 0
                elif answer.is_fault:
                    run.failed += 1
                    self._in_a_row += 1
                    if self._in_a_row >= FAILURES_IN_A_ROW:
                        run.stopped = f"the service failed {self._in_a_row} policies in a row, last: {answer.reason}"
                else:
                    run.refused += 1
                if answer.reason is not None and answer.reason not in run.reasons and len(run.reasons) < REASONS_KEPT:
                    run.reasons.append(answer.reason)
                now = time.monotonic()
                if now - self._reported_at >= REPORTED_SECONDS:
                    self._reported_at = now
                    self._progress(month, self._done, run.policies)


def replay_files(
    paths: Iterable[Path],
    url: str,
    endpoint: Endpoint = Endpoint.MOCK,
    *,
    connections: int = 8,
    limit: int | None = None,
    api_key: str | None = None,
    progress: Progress = lambda month, done, total: None,
) -> TrafficRun:
    """Send the policies of files to the quote service at `url`.

    `ServiceUnreachable` where nothing listens there, `ImportRefused` where a file cannot be read; what goes wrong
    later is in the run.
    """
    with closing(Target(url, endpoint, connections=connections, api_key=api_key)) as target:
        target.require()
        policies = read_policies(paths, limit)
        run = TrafficRun(len(policies.starts), refused=policies.refused, reasons=list(policies.reasons))
        sender = _Sender(target, run, progress)
        started = time.perf_counter()
        with ThreadPoolExecutor(connections, thread_name_prefix="replay") as pool:
            try:
                for month, rows in policies.months():
                    sender.send_month(month, rows, pool, connections)
                    if run.stopped is not None:
                        break
            except BaseException:  # Ctrl-C: the threads go on until they are told
                run.stopped = "interrupted"
                raise
        run.seconds = time.perf_counter() - started
    return run
