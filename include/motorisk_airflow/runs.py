"""Who and what a task run is, and telling how far it is."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

LOG = logging.getLogger("motorisk")
SECONDS_BETWEEN_LINES = 5


def person(context: Mapping[str, Any]) -> str:
    """Who started the run: a person by hand, or Airflow by the clock or an asset."""
    return getattr(context["dag_run"], "triggering_user_name", None) or "airflow"


def bundle_version(context: Mapping[str, Any]) -> str | None:
    """Version of the DAG bundle that the run was pinned to: a git commit, or None for a local folder."""
    bundle = getattr(context["ti"], "bundle_instance", None)
    return getattr(bundle, "version", None)


def log_progress(what: str) -> Callable[[int, int], None]:
    """A callable for long work: writes a line to the task's log every few seconds."""
    start = last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        rate = done / max(now - start, 1e-9)
        left = (total - done) / rate if rate else 0
        LOG.info("%s of %s %s, %.0f a second, %.0f s left", f"{done:,}", f"{total:,}", what, rate, left)

    return report
