"""What a shadow would have answered against what was answered: classes, net premiums, predictors, segments."""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from psycopg2 import sql
from sqlalchemy import Connection, func, select

from motorisk.domain.risk import RISK_CLASSES
from motorisk.modelling.segments import AGE_BANDS, band_names
from motorisk.pipelines.shadow.examples import Example, add_extremes, explained
from motorisk.pipelines.shadow.following import STEP
from motorisk.pipelines.shadow.premiums import Premiums, premiums_against
from motorisk.registry import shadows
from motorisk.registry.versions import get
from motorisk.warehouse.arrow import read_batches
from motorisk.warehouse.copying import copy_out
from motorisk.warehouse.tables import quote

EXAMPLES = 5
"""Of the largest rises, and of the largest falls."""

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
class SegmentChange:
    """The quotes of an age band, with or without emergency braking."""

    age: str
    emergency_braking: bool
    quotes: int
    class_changes: int
    premiums: Premiums


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
            extremes = add_extremes(extremes, batch, examples)
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
        premiums=None if columns is None else premiums_against(columns.answered_cents, columns.shadow_cents),
        segments=() if columns is None else tuple(_segments(columns)),
        examples=tuple(explained(connection, found.version, extremes)),
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
                money = premiums_against(columns.answered_cents[inside], columns.shadow_cents[inside])
                yield SegmentChange(name, braking, int(inside.sum()), int(has_changed[inside].sum()), money)
