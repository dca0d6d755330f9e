"""The follower: prices the ledger's quotes with each running shadow, each quote exactly once.

Quotes are found by what is missing: those of a period that a shadow has no price for. A look takes the newest quotes,
with some overlap, since a quote is in the ledger a moment after it was made. A thorough look goes back `LATE_DAYS`:
quotes that were made while Postgres was away come through a journal, hours or days later, with the time at which they
were made. Each step is one short transaction, which holds the shadow's row: two followers take turns, and whoever is
killed leaves nothing half done.
"""

import io
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import sql
from sqlalchemy import Connection, Engine, func, select, text, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import RISK_CLASSES
from motorisk.domain.tariff import Tariff
from motorisk.errors import DatabaseUnavailable, MotoriskError, NoTariff, TransitionRefused
from motorisk.pipelines.shadow.challenger import load_challenger
from motorisk.registry.shadows import Shadow, running
from motorisk.registry.tariffs import tariffs
from motorisk.scoring.pricing import assess, premiums
from motorisk.warehouse.arrow import FEATURE_COLUMNS, FEATURE_TYPES, read_batches, write_table
from motorisk.warehouse.copying import copy_out
from motorisk.warehouse.tables import shadow

QUOTES_AT_ONCE = 20_000
STEP = timedelta(days=1)
"""The ledger is looked through in steps of so long, so that nobody waits behind a long transaction."""
OVERLAP = timedelta(minutes=1)
"""A quote that is in the ledger later than this after it was made is found by a thorough look only."""
LATE_DAYS = 31
"""How long after it was made a quote may come into the ledger and still be found."""
THOROUGH_SECONDS = 600.0
"""How often a follower that goes on looks thoroughly."""

_AHEAD = timedelta(days=1)
"""The clocks of the quote service's machines need not be the database's."""
_TYPES = {
    "quoted_at": pa.string(),
    "quote_id": pa.string(),
    "effective_date": pa.date32(),
    **FEATURE_TYPES,
    "tariff": pa.string(),
}
_COLUMNS = (
    "version", "quoted_at", "quote_id", "predictor", "risk_class", "expected_risk", "p_low", "p_medium", "p_high",
    "net", "insurance_tax", "gross",
)  # fmt: skip
_CLASSES = tuple(str(name) for name in RISK_CLASSES)
_MISSING = sql.SQL(
    """
    SELECT q.quoted_at, q.quote_id, q.effective_date, {features}, q.tariff
    FROM motorisk.quote q
    WHERE q.quoted_at >= %(low)s AND q.quoted_at < %(high)s AND q.version IS NOT NULL AND NOT EXISTS (
        SELECT FROM motorisk.shadow_quote s
        WHERE s.version = %(version)s AND s.quoted_at = q.quoted_at AND s.quote_id = q.quote_id
            AND s.quoted_at >= %(low)s AND s.quoted_at < %(high)s
    )
    ORDER BY q.quoted_at, q.quote_id
    LIMIT %(limit)s
    """
).format(features=FEATURE_COLUMNS)
# One core of the server at most; and what a crash of the server takes away is simply priced again.
_MODEST = text(
    "SELECT set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true), "
    "set_config('synchronous_commit', 'off', true)"
)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Followed:
    """What a look at the ledger did for one shadow: quotes priced, or why none could be."""

    version: int
    quotes: int = 0
    seconds: float = 0.0
    error: MotoriskError | None = None


def follow(
    engine: Engine,
    *,
    version: int | None = None,
    thoroughly: bool = True,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Followed]:
    """Price what is new with every running shadow, or with one; what is wrong with one stops no other.

    Lost connections are raised, `TransitionRefused` where the version is no running shadow; rerunning goes on where it
    stopped.
    """
    with engine.connect() as connection:
        found = running(connection, version)
    if version is not None and not found:
        raise TransitionRefused(f"version {version} is no running shadow; see `motorisk shadow list`")
    return [_follow_one(engine, one, thoroughly, stopped) for one in found]


def require_followed(followed: list[Followed]) -> None:
    """Raise the first error that a shadow ran into."""
    for one in followed:
        if one.error is not None:
            raise one.error


def keep_following(engine: Engine, stopped: threading.Event, *, every: float, told: Callable[[Followed], None]) -> None:
    """Follow every so many seconds until stopped; a database that is away, or a wrong plan, is waited out.

    `told` hears of every look that priced something, and of each error once.
    """
    thorough_at = -THOROUGH_SECONDS
    errors: dict[int, str] = {}
    is_away = False
    while not stopped.is_set():
        thoroughly = time.monotonic() - thorough_at >= THOROUGH_SECONDS
        began = time.monotonic()
        try:
            followed = follow(engine, thoroughly=thoroughly, stopped=stopped.is_set)
        except (DatabaseUnavailable, OperationalError, InterfaceError) as error:
            if not is_away:
                reason = error.orig if isinstance(error, DBAPIError) else error
                _log.warning("the database does not answer: %s", " ".join(str(reason).split()))
            is_away = True
        else:
            if is_away:
                _log.warning("the database answers again")
            is_away = False
            if thoroughly:
                thorough_at = began
            for one in followed:
                if one.quotes or (one.error and str(one.error) != errors.get(one.version)):
                    told(one)
            errors = {one.version: str(one.error) for one in followed if one.error}
        stopped.wait(every)


def _follow_one(engine: Engine, one: Shadow, thoroughly: bool, stopped: Callable[[], bool]) -> Followed:
    done, began = Followed(one.version), time.monotonic()
    try:
        with engine.connect() as connection:
            plan = load_challenger(connection, one.version)
            known = {tariff.name: tariff for tariff in tariffs(connection)}
            now: datetime = connection.execute(select(func.now())).scalar_one()
        low = max(one.since, min(one.looked_to, now - (timedelta(days=LATE_DAYS) if thoroughly else OVERLAP)))
        while low < now + _AHEAD and not stopped():
            high = min(low + STEP, now + _AHEAD)
            with engine.begin() as connection:
                connection.execute(_MODEST)
                if not running(connection, one.version, locked=True):
                    break  # it ended meanwhile
                quotes = _missing(connection, one.version, low, high)
                if quotes is not None:
                    done.quotes += _price(connection, one.version, plan, known, quotes)
                is_more = quotes is not None and quotes.num_rows == QUOTES_AT_ONCE
                low = datetime.fromisoformat(quotes["quoted_at"][-1].as_py()) if quotes and is_more else high
                _looked_to(connection, one.version, min(low, now))
    except DatabaseUnavailable:
        raise
    except MotoriskError as error:
        done.error = error
    done.seconds = time.monotonic() - began
    return done


def _missing(connection: Connection, version: int, low: datetime, high: datetime) -> pa.Table | None:
    """Quotes made from `low` on and before `high` that a shadow has not priced: the earliest, in their order."""
    content = io.BytesIO()
    parameters = {"version": version, "low": low, "high": high, "limit": QUOTES_AT_ONCE}
    if not copy_out(connection, _MISSING, parameters, content):
        return None
    content.seek(0)
    return pa.Table.from_batches(list(read_batches(content, _TYPES)))


def _price(connection: Connection, version: int, plan: RatingPlan, known: dict[str, Tariff], quotes: pa.Table) -> int:
    """Price quotes in the tariffs that priced them, and store what comes out."""
    for name in pc.unique(quotes["tariff"]).to_pylist():
        if name not in known:
            raise NoTariff(
                f"version {version} cannot be shadowed: the ledger has quotes of the tariff {name}, gone now"
            )
        rows = quotes.filter(pc.equal(quotes["tariff"], name)).combine_chunks()
        write_table(connection, "motorisk.shadow_quote", _COLUMNS, _priced(version, plan, known[name], rows))
    return int(quotes.num_rows)


def _priced(version: int, plan: RatingPlan, tariff: Tariff, quotes: pa.Table) -> pa.Table:
    features = {name: quotes[name].cast(pa.float64()).to_numpy() for name in FEATURES}
    assessments = assess(plan, features, quotes["effective_date"].to_numpy().astype("datetime64[D]"))
    money = premiums(tariff, assessments.probabilities)
    low, medium, high = (np.ascontiguousarray(column) for column in assessments.probabilities.T)
    # The nearest float to a number of cents prints as exactly that number.
    net, tax, gross = (cents / 100 for cents in (money.net, money.insurance_tax, money.gross))
    columns = [
        np.full(quotes.num_rows, version),
        quotes["quoted_at"],
        quotes["quote_id"],
        pa.array(np.where(assessments.by_model, "model", "rules")),
        pa.array(np.array(_CLASSES)[assessments.classes]),
        pa.array(assessments.expected_risk, from_pandas=True),
        *(low, medium, high, net, tax, gross),
    ]
    return pa.table(columns, names=list(_COLUMNS))


def _looked_to(connection: Connection, version: int, moment: datetime) -> None:
    connection.execute(
        update(shadow).where(shadow.c.version == version, shadow.c.looked_to < moment).values(looked_to=moment)
    )
