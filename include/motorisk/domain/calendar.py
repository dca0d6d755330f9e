"""Calendar months: of data, and as the time axis of trends."""

from calendar import monthrange
from datetime import date

DAYS_A_MONTH = 365.25 / 12
FIRST_YEAR, LAST_YEAR = 1000, 8999
"""Centuries of days and months can be counted from them without leaving the calendar of dates, which ends in 9999."""


def months_between(start: date, end: date) -> float:
    """Time from `start` to `end` in mean months of 30.4375 days; negative where `end` is earlier."""
    return (end - start).days / DAYS_A_MONTH


def first_of_month(day: date) -> date:
    """The first day of the day's month."""
    return day.replace(day=1)


def add_months(day: date, months: int) -> date:
    """The same day `months` later (earlier if negative), or that month's last day where it is shorter."""
    count = day.year * 12 + day.month - 1 + months
    first = date(count // 12, count % 12 + 1, 1)
    return first.replace(day=min(day.day, days_in_month(first)))


def months_through(first: date, last: date) -> list[date]:
    """The months from one to another, both included, by their first days, as which they are given."""
    months = [first]
    while months[-1] < last:
        months.append(add_months(months[-1], 1))
    return months


def days_in_month(day: date) -> int:
    """Number of days of the day's month."""
    return monthrange(day.year, day.month)[1]


def require_countable(day: date) -> date:
    """The day, if it is one of `FIRST_YEAR` to `LAST_YEAR`; `ValueError` for any other."""
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"a year lies between {FIRST_YEAR} and {LAST_YEAR}, got {day.year}")
    return day


def parse_month(text: str) -> date:
    """The first day of a month written `YYYY-MM`; `ValueError` for anything else."""
    if len(text) != len("YYYY-MM"):
        raise ValueError(f"a month is written YYYY-MM, got {text!r}")
    return date.fromisoformat(f"{text}-01")


def month_name(day: date) -> str:
    """The day's month as `YYYY-MM`."""
    return f"{day:%Y-%m}"
