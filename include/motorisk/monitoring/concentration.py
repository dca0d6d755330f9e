"""Where in the portfolio a drift is: the one or two segments of policies that moved more than the others.

A segment is a bin of another feature (thirds of the reference, or a flag's side), or bins of two other features. In a
drift that goes through the whole portfolio each segment moves like the rest, and its share of the movement is its share
of the policies. A segment stands out where it moves more than all others, surely (allowing for the number of segments
that were looked at); of these the one with the largest share of the movement beyond its own size. Bins of two features
have to add clearly to that, so that the answer stays simple and does not change with the month.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from motorisk.domain.policy import FEATURES
from motorisk.monitoring.columns import Floats

Rows = npt.NDArray[np.bool_]

MIN_ROWS = 50
MIN_SHARE = 0.05
"""Smaller segments explain nothing that anybody could act on."""
CHANCE = 0.01
"""Chance that a segment of a drift which is the same everywhere is named, however many are looked at."""
CERTAIN = 3.0
"""Standard errors by which the mean must have moved: of what has not, there are no shares."""
DEEPER = 1.15
"""Two features have to explain so many times what the better of them does."""
MOST = 2


@dataclass(frozen=True, slots=True)
class Segment:
    """Policies that moved more than the others.

    `where` tells which; `share` is theirs among the newest policies, `share_of_shift` their part of the movement (more
    than one where others move against it); `shift` is the movement of their mean in the feature's unit, `elsewhere`
    that of all others.
    """

    where: str
    share: float
    share_of_shift: float
    shift: float
    elsewhere: float


@dataclass(frozen=True, slots=True)
class _Cell:
    """A segment with its rows in the reference (m,) and among the newest policies (n,)."""

    features: tuple[str, ...]
    where: str
    before: Rows
    now: Rows


def segments_of(
    feature: str, reference: Mapping[str, Floats], current: Mapping[str, Floats], tolerated: tuple[float, float]
) -> list[Segment]:
    """At most two segments, apart from each other, in which the drift of a feature concentrates.

    `reference` (m,) and `current` (n,) are the features of policies; outliers count as if they lay at the nearer end of
    the tolerated range. Empty where nothing stands out (it moves everywhere alike), or where the mean has not moved.
    """
    before, now = (np.clip(values[feature], *tolerated) for values in (reference, current))
    whole = float(now.mean() - before.mean())
    if abs(whole) <= CERTAIN * np.sqrt(before.var() / len(before) + now.var() / len(now)):
        return []
    cells = list(_cells(feature, reference, current))
    surely = float(norm.isf(CHANCE / (2 * max(len(cells), 1))))
    found = [
        (cell, segment) for cell in cells if (segment := _standing_out(cell, before, now, whole, surely)) is not None
    ]
    named: list[tuple[_Cell, Segment]] = []
    while len(named) < MOST:
        apart = [one for one in found if not any((one[0].now & other.now).any() for other, _ in named)]
        best = _best(apart)
        if best is None:
            break
        named.append(best)
    return [segment for _, segment in named]


def _best(found: list[tuple[_Cell, Segment]]) -> tuple[_Cell, Segment] | None:
    def beyond(one: tuple[_Cell, Segment]) -> float:
        return one[1].share_of_shift - one[1].share

    single = max((one for one in found if len(one[0].features) == 1), key=beyond, default=None)
    double = max((one for one in found if len(one[0].features) > 1), key=beyond, default=None)
    if single is None or double is None:
        return single or double
    return double if beyond(double) > DEEPER * beyond(single) else single


def _standing_out(cell: _Cell, before: Floats, now: Floats, whole: float, surely: float) -> Segment | None:
    share = float(cell.now.mean())
    parts = [before[cell.before], now[cell.now], before[~cell.before], now[~cell.now]]
    if share < MIN_SHARE or min(map(len, parts)) < MIN_ROWS:
        return None
    shift, elsewhere = (float(parts[at + 1].mean() - parts[at].mean()) for at in (0, 2))
    error = float(np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)))
    more = (shift - elsewhere) * np.sign(whole)
    if more <= surely * error:
        return None
    return Segment(cell.where, share, share * shift / whole, shift, elsewhere)


def _cells(feature: str, reference: Mapping[str, Floats], current: Mapping[str, Floats]) -> Iterator[_Cell]:
    single = {name: list(_bins(name, reference[name], current[name])) for name in FEATURES if name != feature}
    for bins in single.values():
        yield from bins
    for first, second in itertools.combinations(single.values(), 2):
        for one, other in itertools.product(first, second):
            yield _Cell(
                one.features + other.features,
                f"{one.where} and {other.where}",
                one.before & other.before,
                one.now & other.now,
            )


def _bins(name: str, reference: Floats, current: Floats) -> Iterator[_Cell]:
    if FEATURES[name].is_flag:
        for side, word in ((0.0, "without"), (1.0, "with")):
            yield _Cell((name,), f"{word} {name}", reference == side, current == side)
        return
    low, high = (float(f"{end:.3g}") for end in np.quantile(reference, (1 / 3, 2 / 3)))
    unit = FEATURES[name].unit
    yield _Cell((name,), f"{name} below {low:g} {unit}", reference < low, current < low)
    yield _Cell(
        (name,),
        f"{name} from {low:g} to {high:g} {unit}",
        (reference >= low) & (reference <= high),
        (current >= low) & (current <= high),
    )
    yield _Cell((name,), f"{name} above {high:g} {unit}", reference > high, current > high)
