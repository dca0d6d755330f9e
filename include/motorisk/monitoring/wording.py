"""What a measurement says of a feature, in plain sentences."""

from datetime import date

from motorisk.domain.calendar import month_name
from motorisk.monitoring.columns import Range
from motorisk.monitoring.measures import MEASURES
from motorisk.monitoring.onset import Onset, Trend
from motorisk.monitoring.windows import FeatureFigures


def _when(day: date, *, by_month: bool) -> str:
    return month_name(day) if by_month else day.isoformat()


def _amount(feature: str, value: float) -> str:
    if MEASURES[feature].is_flag:
        return f"{100 * value:.2g} percentage points"
    return f"{value:.3g} {MEASURES[feature].unit}"


def describe(
    feature: str,
    figures: FeatureFigures,
    *,
    reference_mean: float,
    tolerated: Range,
    is_fixed: bool = False,
    drifted: bool = False,
    onset: Onset | None = None,
    trend: Trend | None = None,
    by_month: bool = True,
) -> str:
    """What a red or a green cell means."""
    told = [_verdict(feature, figures, is_fixed=is_fixed, drifted=drifted, onset=onset, by_month=by_month)]
    moved = figures.mean - reference_mean
    if drifted:
        told.append(
            f"Its mean is {_amount(feature, abs(moved))} {'above' if moved > 0 else 'below'} that of the reference"
            + _speed(feature, trend)
            + "."
        )
        if trend is not None and trend.passes is not None:
            told.append(_forecast(trend, by_month=by_month))
    if figures.outliers:
        told.append(
            f"{figures.outliers:,} of {figures.rows:,} values lie outside {tolerated.lower:.4g} to "
            f"{tolerated.upper:.4g} {MEASURES[feature].unit}: outliers, counted as if they lay at the nearer end."
        )
    if figures.missing:
        more = ", more than chance explains" if figures.more_missing else ""
        told.append(f"{figures.missing:,} of {figures.rows + figures.missing:,} values are missing{more}.")
    return " ".join(told)


def _verdict(
    feature: str, figures: FeatureFigures, *, is_fixed: bool, drifted: bool, onset: Onset | None, by_month: bool
) -> str:
    limit = f"the fixed limit is {figures.threshold:g}"
    if not is_fixed:
        limit = f"chance alone stays below {figures.threshold:.3f} with {figures.rows:,} rows"
    score = f"score {figures.score:.3f}, {limit}"
    if not drifted:
        return f"{feature} is as in the reference ({score})."
    if onset is None:
        return f"{feature} drifts ({score})."
    ends = [_when(day, by_month=by_month) for day in (onset.earliest, onset.since, onset.latest)]
    between = "" if ends[0] == ends[2] else f", somewhere from {ends[0]} to {ends[2]}"
    seen = "" if figures.score >= figures.threshold else "; no single window shows it, all together do"
    return f"{feature} drifts since about {ends[1]}{between} ({score}{seen})."


def _speed(feature: str, trend: Trend | None) -> str:
    if trend is None or abs(trend.per_month) < 2 * trend.error:
        return ""
    way = "rising" if trend.per_month > 0 else "falling"
    return f", {way} by {_amount(feature, abs(trend.per_month))} each month"


def _forecast(trend: Trend, *, by_month: bool) -> str:
    assert trend.passes is not None  # noqa: S101  asked only then
    told = f"At this rate it passes its bound in {_when(trend.passes, by_month=by_month)}"
    if trend.earliest is None:
        return f"{told}."
    earliest = _when(trend.earliest, by_month=by_month)
    latest = "perhaps never" if trend.latest is None else f"{_when(trend.latest, by_month=by_month)} at the latest"
    return f"{told} ({earliest} at the earliest, {latest})."
