"""Who and what a task run is, and telling how far it is."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

if TYPE_CHECKING:
    from motorisk.monitoring.telling import Reading
    from motorisk.pipelines.alarms import Alarm

LOG = logging.getLogger("motorisk")
SECONDS_BETWEEN_LINES = 5
NOBODY = "nobody (no answer in time)"


def person(context: Mapping[str, Any]) -> str:
    """Who started the run: a person by hand, or Airflow by the clock or an asset."""
    return getattr(context["dag_run"], "triggering_user_name", None) or "airflow"


def bundle_version(context: Mapping[str, Any]) -> str | None:
    """Version of the DAG bundle that the run was pinned to: a git commit, or None for a local folder."""
    bundle = getattr(context["ti"], "bundle_instance", None)
    return getattr(bundle, "version", None)


def made_by(context: Mapping[str, Any], asset: Asset) -> dict[str, Any]:
    """Who trains in a run, from which version of the DAGs, and why: recorded with the model."""
    return {
        "trained_by": person(context),
        "bundle_version": bundle_version(context),
        "reason": reason(context, asset),
    }


def reason(context: Mapping[str, Any], asset: Asset) -> str:
    """Why the run was started: what the events of an asset say, the monthly clock, or somebody by hand.

    Each with its date: an event that comes after another one that is still queued does not join it in Airflow 3.3.2 but
    waits for the next run.
    """
    told = [event.extra for event in context["triggering_asset_events"].get(asset, []) if event.extra]
    reasons = [f"{extra['reason']} (as of {extra['as_of']})" for extra in told if {"reason", "as_of"} <= extra.keys()]
    if reasons:
        return "; ".join(dict.fromkeys(reasons))
    return "monthly clock" if context["dag_run"].run_type == "scheduled" else "by hand"


def offered_version(context: Mapping[str, Any], asset: Asset) -> int:
    """The version that a run is about: its parameter, else the newest of the events that started it."""
    wanted = context["params"].get("version")
    if wanted is not None:
        return int(wanted)
    events = context["triggering_asset_events"].get(asset, [])
    offered = [int(event.extra["version"]) for event in events if "version" in (event.extra or {})]
    if not offered:
        raise ValueError("no version was offered: start the DAG with the parameter `version`")
    return max(offered)


def responder(decision: Mapping[str, Any]) -> str:
    """Who answered a required action; nobody where it timed out."""
    user = decision.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or NOBODY)


def comment(decision: Mapping[str, Any]) -> str | None:
    """What was said with the answer."""
    return (decision.get("params_input") or {}).get("comment") or None


def log_alarms(alarms: Iterable["Alarm"]) -> None:
    """Tell what speaks against a version, a plain line each."""
    for alarm in alarms:
        LOG.warning("Alarm: %s", alarm.reason)


def log_readings(readings: Iterable["Reading"]) -> None:
    """Tell what drift alarms mean and what to do, a line each."""
    for reading in readings:
        LOG.info("%s: %s", reading.feature, reading.says)


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
