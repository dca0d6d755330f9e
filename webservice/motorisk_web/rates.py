"""How fast each client may ask: a token bucket a client.

Our own, because a bucket is a dozen lines and 1 µs: in the package `limits` a sliding window with what the headers tell
costs 21 µs a request, and its fixed windows let twice the rate through at their seam.

Each worker process counts for itself and allows its share, the rate divided by the workers. A client that sends on one
connection alone therefore gets one worker's share.
"""

import math
import threading
import time
from dataclasses import dataclass, field
from typing import NamedTuple


class Verdict(NamedTuple):
    """Whether a request may go on; `policy` and `state` are values of the RateLimit headers."""

    is_allowed: bool
    policy: str
    state: str
    retry_after: int
    """Seconds until one may; 0 where it may now."""


@dataclass(slots=True)
class _Bucket:
    rate: float
    size: float
    policy: str
    tokens: float
    filled_at: float
    lock: threading.Lock = field(default_factory=threading.Lock)


class Rates:
    """The buckets of one process; safe for threads."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._buckets: dict[str, _Bucket] = {}

    def take(self, client: str, rate: float) -> Verdict:
        """Take one request from a client's share of its rate, which is positive and a second's."""
        now = time.monotonic()
        bucket = self._buckets.get(client)
        if bucket is None or bucket.rate != rate / self._workers:
            bucket = self._buckets[client] = self._full(rate / self._workers, now)
        with bucket.lock:
            tokens = min(bucket.size, bucket.tokens + (now - bucket.filled_at) * bucket.rate)
            bucket.filled_at = now
            is_allowed = tokens >= 1.0
            if is_allowed:
                tokens -= 1.0
            bucket.tokens = tokens
        state = f'"client";r={int(tokens)};t={math.ceil((bucket.size - tokens) / bucket.rate)}'
        retry_after = 0 if is_allowed else max(1, math.ceil((1.0 - tokens) / bucket.rate))
        return Verdict(is_allowed, bucket.policy, state, retry_after)

    @staticmethod
    def _full(rate: float, now: float) -> _Bucket:
        size = max(1.0, rate)
        policy = f'"client";q={int(size)};w={math.ceil(size / rate)}'
        return _Bucket(rate, size, policy, size, now)
