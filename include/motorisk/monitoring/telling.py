"""A drift alarm's reading as it is kept and told: what it means, what to do, what it costs, and where it is."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from motorisk.domain.calendar import month_name
from motorisk.domain.policy import FEATURES
from motorisk.domain.risk import RiskClass
from motorisk.monitoring.concentration import Segment
from motorisk.monitoring.effect import Estimate
from motorisk.monitoring.reading import Action, Findings, interpret
from motorisk.monitoring.realised import Realised
from motorisk.monitoring.wording import percent

DIGITS = 3
"""Significant digits of euros: the interval makes any more of them noise."""
MOST_EVIDENCE = 1e12
"""Stored evidence ends here: more persuades nobody."""


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What euros are scaled to: so many policies in force, all of them like those of a month, priced by a tariff."""

    policies: int
    month: date
    tariff: str
    currency: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one alarm.

    `premium_a_year` is what the portfolio pays net because the feature is as it is and not as in the reference, in
    euros a year; `premium_share` the same as a share; `gap_a_year` the premium that the portfolio would deserve by the
    outcomes of its like, less what it pays (None where too few are known). `risk` is on the risk index, `classes` are
    shares of the policies. `says` tells all of it.
    """

    feature: str
    version: int
    action: Action
    means: str
    todo: str
    importance: float
    importance_rank: int
    moves_prices: bool
    outside: float
    policies: int
    tariff: str
    currency: str
    premium_a_year: Estimate
    premium_share: Estimate
    gap_a_year: Estimate | None
    risk: Estimate | None
    classes: Mapping[RiskClass, Estimate]
    realised: Realised
    segments: Sequence[Segment]
    says: str

    @property
    def short(self) -> str:
        """Money and remedy in a few words, for an alert."""
        return f"premium {_signed(self.premium_a_year.value)} {self.currency} a year; to do: {self.action}"

    def as_json(self) -> dict[str, Any]:
        """The reading, for storage."""
        content = asdict(self)
        known_from = self.realised.known_from
        content["realised"]["known_from"] = None if known_from is None else known_from.isoformat()
        e_value = self.realised.e_value
        content["realised"]["e_value"] = None if e_value is None else min(e_value, MOST_EVIDENCE)
        return content


def told(found: Findings, portfolio: Portfolio, net: float) -> Reading:
    """What the findings say of a portfolio whose policies pay `net` euros a year on average."""
    meaning = interpret(found)
    euros = found.effect.net.times(portfolio.policies)
    ratio = found.realised.actual_to_expected
    gap = None
    if ratio is not None:
        less_one = Estimate(ratio.value - 1, ratio.low - 1, ratio.high - 1)
        gap = less_one.times(net * portfolio.policies)
    parts = [
        meaning.means,
        f"To do: {meaning.todo}",
        _money(found, portfolio, euros),
        _weight(found),
        _outcomes(found),
        _where(found),
    ]
    return Reading(
        feature=found.feature,
        version=found.version,
        action=meaning.action,
        means=meaning.means,
        todo=meaning.todo,
        importance=found.importance,
        importance_rank=found.rank,
        moves_prices=found.moves_prices,
        outside=found.outside,
        policies=portfolio.policies,
        tariff=portfolio.tariff,
        currency=portfolio.currency,
        premium_a_year=euros,
        premium_share=found.effect.relative,
        gap_a_year=gap,
        risk=found.effect.risk,
        classes=found.effect.classes,
        realised=found.realised,
        segments=found.segments,
        says=" ".join(part for part in parts if part),
    )


def _weight(found: Findings) -> str:
    share = percent(found.importance)
    return f"{found.feature} makes {share} of the differences in expected risk, rank {found.rank} of {len(FEATURES)}."


def _money(found: Findings, portfolio: Portfolio, euros: Estimate) -> str:
    relative = found.effect.relative
    who = f"{portfolio.policies:,} policies in force, were they all like those of {month_name(portfolio.month)}, pay"
    back = f"than with {found.feature} as in the reference and all else as it is"
    if not euros.is_certain:
        return (
            f"{who} about as much as with {found.feature} as in the reference (95 % interval {_signed(euros.low)} to "
            f"{_signed(euros.high)} {portfolio.currency} a year)."
        )
    return (
        f"{who} {_euros(abs(euros.value))} {portfolio.currency} a year {'more' if euros.value > 0 else 'less'} {back} "
        f"({100 * relative.value:+.1f} %, 95 % interval {100 * relative.low:+.1f} to {100 * relative.high:+.1f} %)."
    )


def _outcomes(found: Findings) -> str:
    known, before = found.realised.actual_to_expected, found.realised.actual_to_expected_before
    if known is None:
        return ""
    since = "" if found.since is None else f" since {month_name(found.since)}"
    had = "" if before is None else f", and {before.value:.2f} with those of the reference"
    return (
        f"The {found.realised.outcomes:,} known outcomes of policies{since} deserve {known.value:.2f} of what the "
        f"version charges ({known.low:.2f} to {known.high:.2f}) with the values of {found.feature} that come now{had}."
    )


def _where(found: Findings) -> str:
    if not found.segments:
        return "No segment stands out: it moves alike in the whole portfolio."
    return "It concentrates in " + "; and in ".join(_segment(found.feature, one) for one in found.segments) + "."


def _segment(feature: str, segment: Segment) -> str:
    size = f"{percent(segment.share)} of the policies, {percent(segment.share_of_shift)} of the movement"
    there, elsewhere = (_moved(feature, shift) for shift in (segment.shift, segment.elsewhere))
    return f"{segment.where} ({size}: {there} there, {elsewhere} elsewhere)"


def _moved(feature: str, value: float) -> str:
    if FEATURES[feature].is_flag:
        return f"{100 * value:+.1f} percentage points"
    return f"{value:+.2g} {FEATURES[feature].unit}"


def _euros(value: float) -> str:
    digits = DIGITS - len(f"{abs(value):.0f}")
    return f"{round(value, min(digits, 0)):,.0f}"


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{_euros(abs(value))}"
