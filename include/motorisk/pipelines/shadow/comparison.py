"""What a shadow would have answered against what was answered: classes, net premiums, predictors, segments."""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from psycopg2 import sql
from sqlalchemy import Connection, Row, func, select

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.risk import RISK_CLASSES
from motorisk.domain.tariff import CENT
from motorisk.modelling.segments import AGE_BANDS, band_names
from motorisk.pipelines.shadow.challenger import load_challenger
from motorisk.pipelines.shadow.following import STEP
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.reasons import reasons
from motorisk.registry import shadows
from motorisk.registry.versions import get, load_plan
from motorisk.warehouse.arrow import read_batches
from motorisk.warehouse.copying import copy_out
from motorisk.warehouse.tables import quote, shadow_quote

NOTICEABLE = 0.05
"""A premium that moves by more than this share counts as moved."""
EXAMPLES = 5
"""Of the largest rises, and of the largest falls."""
REASONS = 3

_CLASSES = tuple(str(name) for name in RISK_CLASSES)
_PREDICTORS = ("rules", "model")
_TYPES = {
    "quoted_at": pa.string(),
    "quote_id": pa.string(),
    "answered_by": pa.int32(),
    "age": pa.float64(),
    "emergency_braking": pa.bool_(),
    "answered_class": pa.int8(),
    "answered_predictor": pa.int8(),
    "answered_cents": pa.int64(),
    "shadow_class": pa.int8(),
    "shadow_predictor": pa.int8(),
    "shadow_cents": pa.int64(),
}
_POSITION = "array_position(ARRAY['low', 'medium', 'high'], {0}.risk_class) - 1, ({0}.predictor = 'model')::int"
_COMPARED = sql.SQL(
    f"""
    SELECT q.quoted_at, q.quote_id, q.version, q.age, q.emergency_braking,
        {_POSITION.format("q")}, (q.net * 100)::bigint, {_POSITION.format("s")}, (s.net * 100)::bigint
    FROM motorisk.quote q
    JOIN motorisk.shadow_quote s ON s.version = %(version)s AND s.quoted_at = q.quoted_at AND s.quote_id = q.quote_id
        AND s.quoted_at >= %(low)s AND s.quoted_at < %(high)s
    WHERE q.quoted_at >= %(low)s AND q.quoted_at < %(high)s
    """  # noqa: S608  constants
)


@dataclass(frozen=True, slots=True)
class Premiums:
    """Relative changes of the net premium, as shares of what was answered, and sums in the tariff's currency.

    A premium of nought has no relative change: it counts as one cent.
    """

    median: float
    low: float
    high: float
    largest_rise: float
    largest_fall: float
    share_above_5_percent: float
    answered_total: Decimal
    shadow_total: Decimal
    total_change: float


@dataclass(frozen=True, slots=True)
class SegmentChange:
    """The quotes of an age band, with or without emergency braking."""

    age: str
    emergency_braking: bool
    quotes: int
    class_changes: int
    premiums: Premiums


@dataclass(frozen=True, slots=True)
class ReasonChange:
    """A feature's share of the risk index against the portfolio's average, as answered and as the shadow says."""

    feature: str
    answered: float
    shadow: float


@dataclass(frozen=True, slots=True)
class Example:
    """A quote with a large change of its net premium, and what it comes from.

    `average` is the change of the portfolio's average risk index between the two versions; it and all changes of
    reasons sum to the change of the expected risk (`reasons` holds the weightiest). `outside` names, by who answered
    by the rules, the features beyond its experience; then there are no reasons.
    """

    quote_id: UUID
    quoted_at: datetime
    answered_by: int
    features: Mapping[str, float]
    answered_class: str
    shadow_class: str
    answered_net: Decimal
    shadow_net: Decimal
    change: float
    expected_risk: float | None
    shadow_expected_risk: float | None
    average: float | None = None
    reasons: tuple[ReasonChange, ...] = ()
    outside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """A shadow's quotes of a period beside those that were answered.

    `classes` and `predictors` count quotes by what was answered, then by what the shadow says; `unpriced` quotes are in
    the ledger and not priced by the shadow (yet). `premiums` is None where nothing can be compared.
    """

    version: int
    state: str
    since: datetime
    stopped_at: datetime | None
    first: datetime
    last: datetime
    quotes: int
    unpriced: int
    answered_by: Mapping[int, int]
    class_changes: int
    classes: Mapping[str, Mapping[str, int]]
    predictors: Mapping[str, Mapping[str, int]]
    premiums: Premiums | None
    segments: tuple[SegmentChange, ...]
    examples: tuple[Example, ...]


@dataclass(slots=True)
class _Columns:
    """The compared quotes, each array (n,); premiums in cents, classes and predictors as positions."""

    age: npt.NDArray[np.float64]
    emergency_braking: npt.NDArray[np.bool_]
    answered_class: npt.NDArray[np.int8]
    answered_predictor: npt.NDArray[np.int8]
    answered_cents: npt.NDArray[np.int64]
    shadow_class: npt.NDArray[np.int8]
    shadow_predictor: npt.NDArray[np.int8]
    shadow_cents: npt.NDArray[np.int64]


def report(
    connection: Connection,
    version: int,
    *,
    first: date | None = None,
    last: date | None = None,
    recent: timedelta | None = None,
    examples: int = EXAMPLES,
) -> ShadowReport:
    """Compare a shadow's quotes made from `first` to `last` (UTC, both included; default: all), or recent ones.

    `TransitionRefused` where the version never was a shadow. Each step of the ledger is read in a transaction of its
    own, so that nobody waits behind the report: give a connection that has none open.
    """
    found, state = shadows.require(connection, version), get(connection, version).state
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    end = found.stopped_at or now
    low, high = found.since, end
    if first is not None:
        low = max(low, datetime.combine(first, time(), UTC))
    if last is not None:
        high = min(high, datetime.combine(last + timedelta(days=1), time(), UTC))
    if recent is not None:
        low = max(low, high - recent)
    return _report(connection, found, state, low, high, examples)


def report_if_any(connection: Connection, version: int) -> ShadowReport | None:
    """The report without examples; None where the version never was a shadow."""
    return None if shadows.find(connection, version) is None else report(connection, version, examples=0)


def _report(
    connection: Connection, found: shadows.Shadow, state: str, low: datetime, high: datetime, examples: int
) -> ShadowReport:
    parts: list[pa.Table] = []
    answered_by: Counter[int] = Counter()
    extremes: list[tuple[float, str, str]] = []
    in_ledger = 0
    for begin, end in _steps(low, high):
        connection.commit()
        in_ledger += _in_ledger(connection, begin, end)
        for batch in _compared(connection, found.version, begin, end):
            answered_by.update(batch["answered_by"].to_pylist())
            extremes = _extremes(extremes, batch, examples)
            parts.append(batch.drop_columns(["quoted_at", "quote_id", "answered_by"]))
    connection.commit()
    table = pa.concat_tables(parts) if parts else None
    quotes = table.num_rows if table is not None else 0
    columns = None if table is None or not quotes else _columns(table)
    return ShadowReport(
        version=found.version,
        state=state,
        since=found.since,
        stopped_at=found.stopped_at,
        first=low,
        last=high,
        quotes=quotes,
        unpriced=max(in_ledger - quotes, 0),  # some came and were priced while it was counted
        answered_by=dict(sorted(answered_by.items())),
        class_changes=0 if columns is None else int((columns.answered_class != columns.shadow_class).sum()),
        classes={} if columns is None else _matrix(_CLASSES, columns.answered_class, columns.shadow_class),
        predictors={}
        if columns is None
        else _matrix(_PREDICTORS, columns.answered_predictor, columns.shadow_predictor),
        premiums=None if columns is None else _premiums(columns.answered_cents, columns.shadow_cents),
        segments=() if columns is None else tuple(_segments(columns)),
        examples=tuple(_examples(connection, found.version, extremes)),
    )


def _steps(low: datetime, high: datetime) -> Iterator[tuple[datetime, datetime]]:
    while low < high:
        yield low, min(low + STEP, high)
        low += STEP


def _in_ledger(connection: Connection, low: datetime, high: datetime) -> int:
    found = connection.scalar(
        select(func.count()).where(quote.c.quoted_at >= low, quote.c.quoted_at < high, quote.c.version.is_not(None))
    )
    return found or 0


def _compared(connection: Connection, version: int, low: datetime, high: datetime) -> Iterator[pa.Table]:
    content = io.BytesIO()
    if copy_out(connection, _COMPARED, {"version": version, "low": low, "high": high}, content):
        content.seek(0)
        for batch in read_batches(content, _TYPES):
            yield pa.Table.from_batches([batch])


def _columns(table: pa.Table) -> _Columns:
    return _Columns(**{name: table[name].to_numpy() for name in _Columns.__dataclass_fields__})


def _changes(answered: npt.NDArray[np.int64], shadow: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.asarray((shadow - answered) / np.maximum(answered, 1))


def _premiums(answered: npt.NDArray[np.int64], shadow: npt.NDArray[np.int64]) -> Premiums:
    changes, sums = _changes(answered, shadow), (int(answered.sum()), int(shadow.sum()))
    low, median, high = (float(value) for value in np.quantile(changes, (0.05, 0.5, 0.95)))
    return Premiums(
        median=median,
        low=low,
        high=high,
        largest_rise=max(float(changes.max()), 0.0),
        largest_fall=min(float(changes.min()), 0.0),
        share_above_5_percent=float(np.mean(np.abs(changes) > NOTICEABLE)),
        answered_total=sums[0] * CENT,
        shadow_total=sums[1] * CENT,
        total_change=(sums[1] - sums[0]) / max(sums[0], 1),
    )


def _matrix(
    names: tuple[str, ...], answered: npt.NDArray[np.int8], shadow: npt.NDArray[np.int8]
) -> dict[str, dict[str, int]]:
    counts = np.bincount(answered.astype(np.int64) * len(names) + shadow, minlength=len(names) ** 2)
    rows = counts.reshape(len(names), len(names)).tolist()
    return {name: dict(zip(names, row, strict=True)) for name, row in zip(names, rows, strict=True)}


def _segments(columns: _Columns) -> Iterator[SegmentChange]:
    ages = np.digitize(columns.age, AGE_BANDS)
    has_changed = columns.answered_class != columns.shadow_class
    for age, name in enumerate(band_names(AGE_BANDS)):
        for braking in (False, True):
            inside = (ages == age) & (columns.emergency_braking == braking)
            if inside.any():
                money = _premiums(columns.answered_cents[inside], columns.shadow_cents[inside])
                yield SegmentChange(name, braking, int(inside.sum()), int(has_changed[inside].sum()), money)


def _extremes(known: list[tuple[float, str, str]], batch: pa.Table, examples: int) -> list[tuple[float, str, str]]:
    """The largest falls and rises so far: change, time and id, from the largest fall to the largest rise."""
    changes = _changes(batch["answered_cents"].to_numpy(), batch["shadow_cents"].to_numpy())
    order = np.argsort(changes, kind="stable")
    rows = dict.fromkeys([*order[:examples].tolist(), *order[len(order) - examples :].tolist()] if examples else [])
    fresh = [
        (float(changes[row]), batch["quoted_at"][row].as_py(), batch["quote_id"][row].as_py())
        for row in rows
        if changes[row]
    ]
    merged = sorted([*known, *fresh])
    falls = [item for item in merged if item[0] < 0][:examples]
    rises = [item for item in merged if item[0] > 0]
    return falls + rises[max(len(rises) - examples, 0) :]


def _examples(connection: Connection, version: int, extremes: list[tuple[float, str, str]]) -> Iterator[Example]:
    """The extremes explained, the largest changes first."""
    if not extremes:
        return
    challenger = Pricer(load_challenger(connection, version))
    champion = cache(lambda number: Pricer(load_plan(connection, number)))
    for change, quoted_at, quote_id in sorted(extremes, key=lambda item: -abs(item[0])):
        row = connection.execute(
            select(
                quote,
                shadow_quote.c.risk_class.label("shadow_class"),
                shadow_quote.c.net.label("shadow_net"),
                shadow_quote.c.expected_risk.label("shadow_expected_risk"),
            )
            .join(
                shadow_quote,
                (shadow_quote.c.quoted_at == quote.c.quoted_at) & (shadow_quote.c.quote_id == quote.c.quote_id),
            )
            .where(
                shadow_quote.c.version == version,
                quote.c.quoted_at == datetime.fromisoformat(quoted_at),
                quote.c.quote_id == UUID(quote_id),
            )
        ).one()
        yield _example(row, change, champion(row.version), challenger)
    connection.commit()


def _example(row: Row[Any], change: float, champion: Pricer, challenger: Pricer) -> Example:
    features = PolicyFeatures(*(float(getattr(row, name)) for name in FEATURES))
    average: float | None = None
    why: tuple[ReasonChange, ...] = ()
    if row.expected_risk is not None and row.shadow_expected_risk is not None:
        answered, shadow = (
            {
                reason.feature: reason.contribution
                for reason in reasons(
                    pricer.estimate(features, row.effective_date), pricer.at(row.effective_date), features
                )
            }
            for pricer in (champion, challenger)
        )
        pairs = [ReasonChange(name, answered[name], shadow[name]) for name in FEATURES]
        average = row.shadow_expected_risk - row.expected_risk - sum(pair.shadow - pair.answered for pair in pairs)
        why = tuple(sorted(pairs, key=lambda pair: -abs(pair.shadow - pair.answered))[:REASONS])
    sides = {"answered": champion, "shadow": challenger}
    outside = {side: tuple(pricer.outside_support(features)) for side, pricer in sides.items()}
    return Example(
        quote_id=row.quote_id,
        quoted_at=row.quoted_at,
        answered_by=row.version,
        features=features._asdict(),
        answered_class=row.risk_class,
        shadow_class=row.shadow_class,
        answered_net=row.net,
        shadow_net=row.shadow_net,
        change=change,
        expected_risk=row.expected_risk,
        shadow_expected_risk=row.shadow_expected_risk,
        average=average,
        reasons=why,
        outside={side: names for side, names in outside.items() if names},
    )
