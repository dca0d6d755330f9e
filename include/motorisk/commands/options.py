"""Options that several commands share."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from motorisk.domain.calendar import parse_month, require_countable


def parse_day(text: str) -> date:
    """Read a date as people type it on the command line."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"a date is written YYYY-MM-DD, got {text!r}") from None
    try:
        return require_countable(day)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def parse_month_option(text: str) -> date:
    """Read a month as people type it on the command line."""
    try:
        return require_countable(parse_month(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


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
