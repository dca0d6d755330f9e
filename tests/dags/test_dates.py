"""Which date a run works as of."""

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from motorisk.errors import InvalidData

NIGHT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def _context(**parts: Any) -> dict[str, Any]:
    return {"params": {}, "dag_run": SimpleNamespace(run_after=NIGHT), "triggering_asset_events": {}, **parts}


def test_the_parameter_comes_first(airflow: Any) -> None:
    from motorisk_airflow.dates import as_of

    context = _context(params={"as_of": "2024-02-29"}, data_interval_end=NIGHT)
    assert as_of(context) == date(2024, 2, 29)


@pytest.mark.bad_input("command line")
@pytest.mark.parametrize(
    ("day", "line"),
    [
        ("9999-12-31", "as_of: a year lies between 1000 and 8999, got 9999"),
        ("0001-01-01", "as_of: a year lies between 1000 and 8999, got 1"),
        ("31.12.2025", "as_of: Invalid isoformat string: '31.12.2025'"),
    ],
)
def test_a_parameter_from_which_no_days_can_be_counted_is_refused(airflow: Any, day: str, line: str) -> None:
    from motorisk_airflow.dates import as_of

    with pytest.raises(InvalidData, match=line):
        as_of(_context(params={"as_of": day}, data_interval_end=NIGHT))


def test_a_scheduled_run_works_as_of_the_last_day_of_its_interval(airflow: Any) -> None:
    from motorisk_airflow.dates import as_of

    assert as_of(_context(data_interval_end=NIGHT)) == date(2026, 11, 22)
    first_of_month = datetime(2026, 11, 1, 1, 0, tzinfo=UTC)
    assert as_of(_context(data_interval_end=first_of_month)) == date(2026, 10, 31)


def test_a_run_without_an_interval_works_as_of_the_day_before_it_was_due(airflow: Any) -> None:
    from motorisk_airflow.dates import as_of

    assert as_of(_context(data_interval_end=None)) == date(2026, 11, 22)


def test_all_dates_of_batched_events_are_kept(airflow: Any) -> None:
    from motorisk_airflow.assets import SCORES
    from motorisk_airflow.dates import dates_of_events

    events = [SimpleNamespace(extra={"as_of": day}) for day in ("2024-03-02", "2024-03-01", "2024-03-02")]
    found = dates_of_events(_context(triggering_asset_events={SCORES: events}), SCORES)
    assert found == [date(2024, 3, 1), date(2024, 3, 2)]
    assert dates_of_events(_context(), SCORES) == [date(2026, 11, 22)]
