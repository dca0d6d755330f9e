"""Numbers, money and days as people write them, in English and in German.

The page's script writes them with `Intl`, which gives the same.
"""

from datetime import UTC, date, datetime
from decimal import Decimal

from motorisk.quoting.wording import Language

_MONTHS = {
    "en": (
        "January February March April May June July August September October November December",
        "{day} {month} {year}",
    ),
    "de": (
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "{day}. {month} {year}",
    ),
}
_TO_GERMAN = str.maketrans(",.", ".,")
_SYMBOLS = {"EUR": "€"}


def _localised(text: str, language: Language) -> str:
    return text.translate(_TO_GERMAN) if language == "de" else text


def number(value: float, language: Language) -> str:
    """As many digits as the value has, at most six of them: 45.9, 1,200."""
    return _localised(f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}", language)


def signed(value: float, language: Language) -> str:
    """With its sign and two decimals; the minus is a minus, not a hyphen."""
    return _localised(f"{value:+.2f}".replace("-", "−"), language)


def percent(share: float, language: Language) -> str:
    """A share of one, to the tenth of a percent."""
    return _localised(f"{100 * share:.1f}", language) + ("\N{NO-BREAK SPACE}%" if language == "de" else "%")


def money(amount: Decimal, currency: str, language: Language) -> str:
    """An amount to the cent."""
    symbol, figures = _SYMBOLS.get(currency, currency), _localised(f"{amount:,.2f}", language)
    if language == "de":
        return f"{figures}\N{NO-BREAK SPACE}{symbol}"
    return f"{symbol}{figures}" if symbol != currency else f"{currency}\N{NO-BREAK SPACE}{figures}"


def day(value: date, language: Language) -> str:
    """A day with its month's name."""
    months, form = _MONTHS[language]
    return form.format(day=value.day, month=months.split()[value.month - 1], year=value.year)


def moment(value: datetime, language: Language) -> str:
    """A day and its time, in UTC, which it says."""
    value = value.astimezone(UTC)
    return f"{day(value.date(), language)}, {value:%H:%M} UTC"
