"""A shadow's report for people: Markdown, and a line for the model card."""

from collections.abc import Iterator, Mapping

from motorisk.pipelines.shadow.comparison import ShadowReport
from motorisk.pipelines.shadow.examples import Example
from motorisk.pipelines.shadow.premiums import Premiums


def to_line(report: ShadowReport) -> str:
    """The report in one sentence."""
    period = f"quotes made from {report.first:%Y-%m-%d %H:%M} to {report.last:%Y-%m-%d %H:%M} UTC"
    money = report.premiums
    if money is None:
        return f"As a shadow ({period}): nothing compared yet."
    return (
        f"As a shadow ({period}): {report.quotes:,} compared, {_share(report.class_changes, report.quotes)} in another "
        f"class; net premium {money.median:+.1%} in the median, {money.low:+.1%} to {money.high:+.1%} for nine in ten, "
        f"{money.share_above_5_percent:.1%} of them moved by more than 5 %, {money.total_change:+.2%} in sum."
    )


def to_markdown(report: ShadowReport) -> str:
    """The report with its tables."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: ShadowReport) -> Iterator[str]:
    yield f"## Version {report.version} as a shadow ({report.state})"
    yield ""
    yield to_line(report)
    yield ""
    if report.unpriced:
        yield f"{report.unpriced:,} more are in the ledger and not priced by the shadow."
        yield ""
    money = report.premiums
    if money is None:
        return
    by = ", ".join(f"version {version} ({quotes:,})" for version, quotes in report.answered_by.items())
    yield f"Answered by {by}."
    yield from _matrix("Risk classes", report.classes)
    yield from _matrix("Predictors", report.predictors)
    yield from _title("Net premiums against those answered")
    yield from _table(_MONEY, [_money(money)])
    yield ""
    yield f"{money.answered_total:,} answered in sum, {money.shadow_total:,} by the shadow."
    yield from _title("Segments")
    rows = [
        [
            part.age,
            "yes" if part.emergency_braking else "no",
            f"{part.quotes:,}",
            _share(part.class_changes, part.quotes),
            *_money(part.premiums),
        ]
        for part in report.segments
    ]
    yield from _table(["age", "emergency braking", "quotes", "another class", *_MONEY], rows)
    if report.examples:
        yield from _title("Largest changes")
        for example in report.examples:
            yield f"- {_example(example)}"


_MONEY = ["median", "5 %", "95 %", "largest rise", "largest fall", "moved by more than 5 %", "sum"]


def _money(money: Premiums) -> list[str]:
    changes = (money.median, money.low, money.high, money.largest_rise, money.largest_fall)
    return [
        *(f"{change:+.1%}" for change in changes),
        f"{money.share_above_5_percent:.1%}",
        f"{money.total_change:+.2%}",
    ]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}"


def _title(text: str) -> list[str]:
    return ["", f"### {text}", ""]


def _table(headings: list[str], rows: list[list[str]]) -> Iterator[str]:
    for cells in (headings, ["---"] * len(headings), *rows):
        yield f"| {' | '.join(cells)} |"


def _matrix(title: str, counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    yield from _title(f"{title}: answered (rows), by the shadow (columns)")
    rows = [[name, *(f"{count:,}" for count in row.values())] for name, row in counts.items()]
    yield from _table(["", *counts], rows)


def _example(example: Example) -> str:
    policy = ", ".join(f"{name} {value:g}" for name, value in example.features.items())
    said = (
        f"{example.quote_id}: {example.answered_net} by version {example.answered_by} ({example.answered_class}), "
        f"{example.shadow_net} ({example.shadow_class}), {example.change:+.1%}; {policy}"
    )
    if example.average is None or example.expected_risk is None or example.shadow_expected_risk is None:
        names = {"answered": f"version {example.answered_by}", "shadow": "the shadow"}
        beyond = [
            f"{', '.join(found)} beyond the experience of {names[side]}" for side, found in example.outside.items()
        ]
        return f"{said}. {'; '.join(beyond)}: answered by the rules."
    why = [f"{reason.feature} {reason.shadow - reason.answered:+.2f}" for reason in example.reasons]
    change = example.shadow_expected_risk - example.expected_risk
    return f"{said}. Risk index {change:+.2f}: {', '.join(why)}, average of the portfolio {example.average:+.2f}."
