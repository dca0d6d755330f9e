"""Months: of data and of trends."""

from datetime import date, timedelta

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from motorisk.domain.calendar import (
    DAYS_A_MONTH,
    add_months,
    days_in_month,
    first_of_month,
    month_name,
    months_between,
    months_through,
    parse_month,
)

DAYS = st.dates(date(1900, 1, 1), date(2200, 12, 31))


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2023, 1, 31), 1, date(2023, 2, 28)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2024, 2, 29), 48, date(2028, 2, 29)),
        (date(2024, 3, 31), -1, date(2024, 2, 29)),
        (date(2024, 8, 31), 1, date(2024, 9, 30)),
        (date(2024, 12, 31), 2, date(2025, 2, 28)),
        (date(2024, 12, 1), 1, date(2025, 1, 1)),
        (date(2025, 1, 15), -1, date(2024, 12, 15)),
        (date(2025, 1, 15), 0, date(2025, 1, 15)),
        (date(1900, 1, 31), 1, date(1900, 2, 28)),
        (date(2000, 1, 31), 1, date(2000, 2, 29)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_shorter_months_last(day: date, months: int, expected: date) -> None:
    assert add_months(day, months) == expected


@given(DAYS, st.integers(-1200, 1200))
def test_months_are_added_as_dateutil_adds_them(day: date, months: int) -> None:
    assert add_months(day, months) == day + relativedelta(months=months)


@pytest.mark.parametrize(
    ("day", "days"),
    [
        (date(2023, 2, 14), 28),
        (date(2024, 2, 14), 29),
        (date(1900, 2, 28), 28),
        (date(2000, 2, 1), 29),
        (date(2024, 4, 30), 30),
        (date(2024, 12, 31), 31),
        (date(1, 1, 1), 31),
        (date(9999, 12, 31), 31),
    ],
)
def test_a_month_has_its_days_also_at_the_ends_of_the_calendar(day: date, days: int) -> None:
    assert days_in_month(day) == days
    assert add_months(day, 0) == day


@given(DAYS)
def test_a_month_begins_on_its_first_and_reads_back_from_its_name(day: date) -> None:
    first = first_of_month(day)
    assert first == date(day.year, day.month, 1)
    assert parse_month(month_name(day)) == first


def test_a_months_name_has_four_digits_for_the_year_and_two_for_the_month() -> None:
    assert month_name(date(2024, 3, 31)) == "2024-03"


def test_time_is_counted_in_mean_months() -> None:
    assert months_between(date(2024, 1, 1), date(2028, 1, 1)) == 48.0
    assert months_between(date(2024, 1, 1), date(2025, 5, 2)) == 16.0
    assert months_between(date(2024, 1, 1), date(2024, 1, 1)) == 0.0
    assert months_between(date(2024, 1, 1), date(2024, 1, 2)) == pytest.approx(12 / 365.25)


@given(DAYS, st.integers(-20_000, 20_000))
def test_time_back_is_negative_and_a_year_stays_within_a_day_of_twelve_months(day: date, days: int) -> None:
    other = day + timedelta(days=days)
    assert months_between(day, other) == -months_between(other, day)
    assert months_between(day, other) * DAYS_A_MONTH == pytest.approx(days, abs=1e-9)
    assert months_between(day, add_months(day, 12)) == pytest.approx(12, abs=1 / DAYS_A_MONTH)


@pytest.mark.bad_input("command line")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024",
        "2024-1",
        "2024-00",
        "2024-13",
        "2024-01-01",
        "24-0001",
        "2024/01",
        "2024 01",
        " 2024-1",
        "2024-1 ",
        "2024-W1",
        "2024W01",
        "2024001",
        "0000-01",
        "-024-01",
        "+024-01",
        "２０２４-01",
        "JANUARY",
        "2024-0a",
        "2024-01\n",
    ],
)
def test_anything_but_year_dash_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"month|isoformat|year"):
        parse_month(text)


def test_a_month_is_read_as_its_first_day() -> None:
    assert parse_month("2024-02") == date(2024, 2, 1)


def test_months_through_has_both_ends_and_all_between() -> None:
    assert months_through(date(2024, 11, 1), date(2025, 2, 1)) == [
        date(2024, 11, 1),
        date(2024, 12, 1),
        date(2025, 1, 1),
        date(2025, 2, 1),
    ]
    assert months_through(date(2024, 11, 1), date(2024, 11, 1)) == [date(2024, 11, 1)]
