"""Options that several commands share."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from motorisk.domain.calendar import parse_month

FIRST_YEAR, LAST_YEAR = 1000, 8999
"""Centuries of days and months can be counted from them without leaving the calendar of dates, which ends in 9999."""


def parse_day(text: str) -> date:
    """Read a date as people type it on the command line."""
    try:
        return _within_the_calendar(date.fromisoformat(text))
    except ValueError:
        raise typer.BadParameter(f"a date is written YYYY-MM-DD, got {text!r}") from None


def parse_month_option(text: str) -> date:
    """Read a month as people type it on the command line."""
    try:
        return _within_the_calendar(parse_month(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _within_the_calendar(day: date) -> date:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise typer.BadParameter(f"a year lies between {FIRST_YEAR} and {LAST_YEAR}, got {day.year}")
    return day


def require_in_order(first: date | None, last: date | None) -> None:
    """Refuse, as wrong usage, days or months of which the last is before the first."""
    if first is not None and last is not None and last < first:
        raise typer.BadParameter(f"--to is before --from: {last} is before {first}")


AsOfOption = Annotated[
    date,
    typer.Option("--as-of", parser=parse_day, metavar="YYYY-MM-DD", help="What was known on this day, nothing later."),
]
ByOption = Annotated[str, typer.Option("--by", metavar="WHO", help="Who decides; recorded in the audit trail.")]
CommentOption = Annotated[str | None, typer.Option("--comment", help="Why; recorded in the audit trail.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Training configuration (YAML).")]
OverridesOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Override one value of the configuration.")
]
