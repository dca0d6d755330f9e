"""Figures, names and remarks as a card writes them. What is not known is a dash."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from motorisk.modelling.card.structure import Alarm

UNKNOWN = "–"
_DIRECTIONS = {*"\u200e\u200f\u061c", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}


def said(text: object) -> str:
    """What a person wrote, on one line, without characters that steer terminals or turn text around."""
    kept = (" " if unicodedata.category(c) == "Cc" else c for c in str(text) if c not in _DIRECTIONS)
    return " ".join("".join(kept).split())


def number(value: float | None, pattern: str = ".3f") -> str:
    """A figure."""
    return UNKNOWN if value is None else format(value, pattern)


def signed(value: float, digits: int) -> str:
    """A figure with its sign; nothing is +0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def whole(value: float | None) -> str:
    """A count."""
    return number(value, ",.0f")


def percent(value: float | None, pattern: str = ".1f") -> str:
    """A share of one as a percentage."""
    return UNKNOWN if value is None else f"{format(100 * value, pattern)} %"


def interval(bounds: Sequence[float] | None, pattern: str) -> str:
    """` [low to high]`, or nothing."""
    return "" if not bounds else f" [{number(bounds[0], pattern)} to {number(bounds[1], pattern)}]"


def setting(value: Any) -> str:
    """A value of a feature or of a configuration."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{said(name)} {setting(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(setting(part) for part in value)
    return said(value)


def verdict(passed: bool) -> str:
    """Of a gate."""
    return "passed" if passed else Alarm("missed")


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
