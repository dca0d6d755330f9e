"""What was measured on policies when the version was trained: segments, calibration, prices, and what is given up."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from motorisk.domain.policy import FEATURES
from motorisk.modelling.card.structure import Alarm, Part, Section, Table, Text
from motorisk.modelling.card.wording import number, percent, said, setting, whole

Row = Mapping[str, Any]
_SEGMENT_FIGURES = ("policies", "observed_risk", "expected_risk", "actual_high", "expected_high", "actual_to_expected")
CLEARLY_OFF, BY_CHANCE = 0.2, 2.0
"""An actual-to-expected ratio is pointed at where it is farther than this from one, and the numbers differ by more than
so many standard deviations of a count (its variance is its expectation): small segments are off by chance."""
LOSERS = 20


def segments(rows: Sequence[Row] | None) -> Section:
    """Actual to expected, by segment of the portfolio."""
    heading = "Segments"
    if not rows:
        return Section(heading, (Text("Segments were not measured when this version was trained."),))
    # As in policies: databases keep no order of names.
    names = sorted(rows[0].keys() - set(_SEGMENT_FIGURES), key=lambda name: (*FEATURES, name).index(name))
    headings = (
        *(said(name).replace("_", " ") for name in names),
        "policies",
        "observed risk",
        "expected risk",
        "actual high",
        "expected high",
        "actual to expected",
    )
    body = tuple(
        (
            *(setting(row.get(name)) for name in names),
            whole(row.get("policies")),
            number(row.get("observed_risk"), ".2f"),
            number(row.get("expected_risk"), ".2f"),
            whole(row.get("actual_high")),
            number(row.get("expected_high"), ".1f"),
            _ratio(row.get("actual_to_expected"), row.get("actual_high"), row.get("expected_high")),
        )
        for row in rows
    )
    what = Text(
        "Risk index and policies of class high, observed and expected. Actual to expected counts policies of class "
        "high: above 1 the model expects too few."
    )
    return Section(heading, (what, Table(headings, body)))


def _ratio(value: float | None, actual: float | None, expected: float | None) -> str:
    shown = number(value, ".2f")
    if value is None or actual is None or expected is None or abs(value - 1) <= CLEARLY_OFF:
        return shown
    return Alarm(shown) if abs(actual - expected) > BY_CHANCE * math.sqrt(expected) else shown


def calibration(rows: Sequence[Row] | None) -> Section:
    """What was stated with a probability, and how often it came true."""
    heading = "Calibration"
    if not rows:
        return Section(heading, (Text("Calibration was not measured when this version was trained."),))
    body = tuple(
        (
            f"{percent(row.get('from'), '.0f')} to {percent(row.get('to'), '.0f')}",
            whole(row.get("policies")),
            percent(row.get("stated")),
            percent(row.get("came_true")),
        )
        for row in rows
    )
    what = Text("Stated probabilities of classes, and how often the classes came true.")
    return Section(heading, (what, Table(("stated between", "policies", "stated on average", "came true"), body)))


def price_impact(impact: Row | None, version: int) -> Section:
    """How premiums change against the champion's, and who loses most."""
    heading = "Price impact"
    if not impact:
        return Section(heading, (Text("No prices were compared when this version was trained: it may be the first."),))
    champion = impact.get("champion")
    summary = (
        f"Net premiums of {whole(impact.get('policies'))} policies, tariff {said(impact.get('tariff') or 'unknown')}, "
        f"against version {champion}: {percent(impact.get('mean'), '+.1f')} on average, "
        f"{percent(impact.get('share_beyond_20_percent'))} of the policies change by more than 20 %."
    )
    parts: list[Part] = [Text(summary)]
    quantiles = impact.get("quantiles") or {}
    if quantiles:
        ordered = sorted(quantiles, key=float)
        body = tuple((percent(float(share), "g"), percent(quantiles[share], "+.1f")) for share in ordered)
        parts.append(Table(("share of policies", "change at most"), body))
    losers = (impact.get("losers") or ())[:LOSERS]
    if losers:
        names = [name for name in FEATURES if name in losers[0]]
        headings = (
            "policy",
            *(n.replace("_", " ") for n in names),
            f"version {champion}",
            f"version {version}",
            "change",
        )
        rows = tuple(_loser(row, names) for row in losers)
        parts += [
            Text(f"The {len(losers)} policies whose net premium rises most, in money a year:"),
            Table(headings, rows),
        ]
    return Section(heading, tuple(parts))


def _loser(row: Row, names: Sequence[str]) -> tuple[str, ...]:
    features = (_feature(row.get(name)) for name in names)
    premiums = (setting(row.get("champion_net")), setting(row.get("net")))
    return (setting(row.get("policy_id")), *features, *premiums, percent(row.get("change"), "+.1f"))


def _feature(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else setting(value)


def explainability(found: Row | None) -> Section:
    """What a black box would gain, and where."""
    heading = "What being explainable costs"
    if not found or found.get("cost") is None:
        return Section(heading, (Text("No black box was compared when this version was trained."),))
    yardstick, cost = said(found.get("yardstick") or "the yardstick"), found["cost"]
    error = "" if found.get("standard_error") is None else f" ± {found['standard_error']:.4f}"
    if cost > 0:
        clearly = "clearly more than chance" if found.get("clearly") else "which may be chance"
        summary = f"The yardstick {yardstick} has a log loss lower by {cost:.4f}{error}, {clearly}."
    else:
        summary = f"Nothing: the yardstick {yardstick} has no lower log loss ({-cost:.4f}{error} higher)."
    parts: list[Part] = [Text(summary)]
    where = found.get("where") or ()
    if where:
        rows = tuple(
            (said(row.get("segment") or ""), percent(row.get("share")), number(row.get("gain"), "+.4f"))
            for row in where
        )
        parts.append(Table(("where the yardstick gains", "share of policies", "log loss lower by"), rows))
    return Section(heading, tuple(parts))
