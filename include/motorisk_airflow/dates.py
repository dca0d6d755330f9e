"""Which date a run works as of. It depends on the run alone, so that clearing and running it again is safe."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from airflow.sdk import Asset

from motorisk.domain.calendar import require_countable
from motorisk.errors import InvalidData


def as_of(context: Mapping[str, Any]) -> date:
    """The run's as-of date: the parameter, else the last day of its data interval, else the day before it was due.

    The last is for runs that an asset event started: they have no data interval. `InvalidData` for a parameter that
    is no date, or one near the calendar's ends.
    """
    wanted = context["params"].get("as_of")
    if wanted:
        try:
            return require_countable(date.fromisoformat(wanted))
        except ValueError as error:
            raise InvalidData(f"as_of: {error}") from None
    due: datetime = context.get("data_interval_end") or context["dag_run"].run_after
    return due.date() - timedelta(days=1)


def dates_of_events(context: Mapping[str, Any], asset: Asset) -> list[date]:
    """The as-of dates of all events of an asset that started the run (they may come several at once).

    Falls back on `as_of` for runs that somebody started by hand.
    """
    if context["params"].get("as_of"):
        return [as_of(context)]
    events = context["triggering_asset_events"].get(asset, [])
    dates = {date.fromisoformat(event.extra["as_of"]) for event in events if "as_of" in (event.extra or {})}
    return sorted(dates) or [as_of(context)]


def newest_date(context: Mapping[str, Any], asset: Asset) -> date:
    """The run's as-of date where the clock or events of an asset start it: then it is the newest of the events'.

    A run by the clock has a data interval of its own, which knows more than any event before it.
    """
    return as_of(context) if context.get("data_interval_end") else dates_of_events(context, asset)[-1]
