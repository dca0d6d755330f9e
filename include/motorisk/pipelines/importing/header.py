"""What the header of an import file says: where each column is, and which columns nobody asked for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from motorisk.domain.policy import FEATURES
from motorisk.errors import ImportRefused

REQUIRED = ("policy_id", "effective_date", *FEATURES)
OPTIONAL = ("customer_id", "expiry_date", "risk", "observed_on")


@dataclass(frozen=True, slots=True)
class Header:
    """The names of all columns, lower-case, and the positions of those of the contract."""

    names: tuple[str, ...]
    positions: Mapping[str, int]
    ignored: tuple[str, ...]


def parse_header(fields: Sequence[str], source: str) -> Header:
    """Find the contract's columns; `ImportRefused` where a name comes twice or a required column is missing."""
    names = tuple(field.strip().lower() or f"(unnamed column {i})" for i, field in enumerate(fields, start=1))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ImportRefused(f"{source}: the header names columns twice: {', '.join(twice)}")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        hint = "" if len(names) > 1 else " (columns are separated by , or ;)"
        raise ImportRefused(f"{source}: required columns are missing: {', '.join(missing)}{hint}")
    known = {*REQUIRED, *OPTIONAL}
    return Header(
        names=names,
        positions={name: position for position, name in enumerate(names) if name in known},
        ignored=tuple(name for name in names if name not in known),
    )
