"""Replay: compute quotes again from the ledger, with the version and the tariff that priced them.

Each quote is priced twice: the way the quote service prices (one policy at a time) and the way scoring does (arrays),
so that a difference between serving and batch, the training-serving skew, shows as well. None is expected: money to
the cent, risk index and probabilities to 1e-9.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, Engine, Row, Select, Text, cast, func, select

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.rating_plan import plan_digest
from motorisk.domain.risk import PROBABILITY_UNITS, RISK_CLASSES
from motorisk.domain.tariff import Tariff
from motorisk.errors import PlanRefused, ReplayDiffers, UnknownVersion
from motorisk.quoting.pricing import Pricer
from motorisk.registry.tariffs import tariffs
from motorisk.registry.versions import load_plan
from motorisk.scoring.pricing import assess, premiums
from motorisk.warehouse.tables import quote

TOLERANCE = 1e-9
ROWS_AT_ONCE = 20_000
KEPT_DIFFERENCES = 1000
SAMPLE = 10_000
"""How many of a day's quotes a night replays."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What of a quote did not come out as it was answered."""

    quote_id: UUID
    what: str
    answered: str
    computed: str
    way: str
    """`quoting` or `scoring`, whichever computed it."""


@dataclass(slots=True)
class ReplayRun:
    """How many quotes were computed again, and what differed (the first thousand findings)."""

    quotes: int = 0
    differing: int = 0
    missing: list[UUID] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        """Whether every quote that was asked for is there and came out as it was answered."""
        return not self.differing and not self.missing


@dataclass(frozen=True, slots=True)
class _Computed:
    """A price, in the ledger's terms."""

    predictor: str
    risk_class: str
    expected_risk: float | None
    probabilities: tuple[int, int, int]
    net: Decimal
    insurance_tax: Decimal
    gross: Decimal


def replay_ids(engine: Engine, quote_ids: Sequence[UUID]) -> ReplayRun:
    """Replay the quotes of these ids; those that the ledger does not have are `missing`."""
    found = _priced().where(quote.c.quote_id.in_(quote_ids))
    run = _replay(engine, found)
    with engine.connect() as connection:
        known = set(connection.scalars(found.with_only_columns(quote.c.quote_id)))
    run.missing = [quote_id for quote_id in dict.fromkeys(quote_ids) if quote_id not in known]
    return run


def replay_days(
    engine: Engine,
    first: date,
    last: date,
    *,
    sample: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ReplayRun:
    """Replay the quotes made from `first` to `last` (UTC, both included), or `sample` of them.

    The sample is the same each time: the quotes whose ids hash lowest.
    """
    start = datetime.combine(first, time(), UTC)
    end = datetime.combine(last + timedelta(days=1), time(), UTC)
    found = _priced().where(quote.c.quoted_at >= start, quote.c.quoted_at < end)
    if sample is not None:
        found = found.order_by(func.md5(cast(quote.c.quote_id, Text))).limit(sample)
    return _replay(engine, found, progress)


def require_exact(run: ReplayRun) -> None:
    """Raise `ReplayDiffers`, naming the first differences, unless everything came out as it was answered."""
    if run.is_exact:
        return
    shown = [f"{item.quote_id} {item.what}: {item.answered}, now {item.computed}" for item in run.differences[:3]]
    shown += [f"{quote_id} is not in the ledger" for quote_id in run.missing[:3]]
    raise ReplayDiffers(
        f"{run.differing} of {run.quotes} quotes differ, {len(run.missing)} missing: {'; '.join(shown)}"
    )


def _priced() -> Select[Any]:
    return select(quote).where(quote.c.version.is_not(None))


def _replay(
    engine: Engine, found: Select[Any], progress: Callable[[int, int], None] = lambda done, total: None
) -> ReplayRun:
    run = ReplayRun()
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        total = connection.scalar(select(func.count()).select_from(found.subquery())) or 0
        replayer = _Replayer(connection)
        for rows in connection.execute(found.execution_options(yield_per=ROWS_AT_ONCE)).partitions():
            for differences in replayer.compare(rows):
                run.quotes += 1
                run.differing += bool(differences)
                run.differences += differences[: KEPT_DIFFERENCES - len(run.differences)]
            progress(run.quotes, total)
    return run


class _Replayer:
    """Prices rows of the ledger again, with the models and tariffs that it has loaded."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tariffs = {tariff.name: tariff for tariff in tariffs(connection)}
        self._pricer = cache(self._load_pricer)
        self._basis = cache(self._find_basis)  # a digest takes ten times as long as a price

    def compare(self, rows: Sequence[Row[Any]]) -> Iterator[list[Difference]]:
        """What differs of each row."""
        for row, served, batch in zip(rows, map(self._quoted, rows), self._scored(rows), strict=True):
            if isinstance(served, str):
                yield [Difference(row.quote_id, "model", row.digest, served, "quoting")]
            else:
                found = _differences(row, served, "quoting")
                if batch is not None:
                    found += _differences(row, batch, "scoring")
                yield found

    def _load_pricer(self, version: int) -> Pricer | str:
        """A version's plan, or why it cannot be had any more."""
        try:
            return Pricer(load_plan(self._connection, version))
        except (PlanRefused, UnknownVersion) as error:
            return str(error)

    def _find_basis(self, version: int, digest: str, tariff: str) -> tuple[Pricer, Tariff] | str:
        """What quotes were priced with, or why that cannot be had any more."""
        pricer = self._pricer(version)
        if isinstance(pricer, str):
            return pricer
        if plan_digest(pricer.plan.to_json()) != digest:
            return f"version {version} has another rating plan now"
        if tariff not in self._tariffs:
            return f"the tariff {tariff} is gone"
        return pricer, self._tariffs[tariff]

    def _quoted(self, row: Row[Any]) -> _Computed | str:
        """As the quote service prices."""
        basis = self._basis(row.version, row.digest, row.tariff)
        if isinstance(basis, str):
            return basis
        pricer, tariff = basis
        features = PolicyFeatures(*(float(getattr(row, name)) for name in FEATURES))
        assessment = pricer.assess(features, row.effective_date)
        premium = tariff.premium(assessment.price_probabilities)
        return _Computed(
            assessment.predictor,
            assessment.risk_class.value,
            assessment.estimate.expected_risk if assessment.estimate else None,
            assessment.price_probabilities,
            premium.net,
            premium.insurance_tax,
            premium.gross,
        )

    def _scored(self, rows: Sequence[Row[Any]]) -> list[_Computed | None]:
        """As scoring prices: all rows of a version and a tariff at once."""
        groups: dict[tuple[int, str, str], list[int]] = {}
        for place, row in enumerate(rows):
            groups.setdefault((row.version, row.digest, row.tariff), []).append(place)
        computed: list[_Computed | None] = [None] * len(rows)
        for group, places in groups.items():
            basis = self._basis(*group)
            if not isinstance(basis, str):
                for place, found in zip(places, _score([rows[place] for place in places], *basis), strict=True):
                    computed[place] = found
        return computed


def _score(rows: Sequence[Row[Any]], pricer: Pricer, tariff: Tariff) -> Iterator[_Computed]:
    features = {name: np.array([float(getattr(row, name)) for row in rows]) for name in FEATURES}
    dates = np.array([row.effective_date for row in rows], dtype="datetime64[D]")
    assessments = assess(pricer.plan, features, dates)
    money = premiums(tariff, assessments.probabilities)
    for place in range(len(rows)):
        by_model = bool(assessments.by_model[place])
        low, medium, high = map(int, assessments.probabilities[place])
        yield _Computed(
            "model" if by_model else "rules",
            RISK_CLASSES[assessments.classes[place]].value,
            float(assessments.expected_risk[place]) if by_model else None,
            (low, medium, high),
            *(Decimal(int(cents[place])).scaleb(-2) for cents in (money.net, money.insurance_tax, money.gross)),
        )


def _differences(row: Row[Any], computed: _Computed, way: str) -> list[Difference]:
    pairs: list[tuple[str, object, object, bool]] = [
        ("predictor", row.predictor, computed.predictor, row.predictor == computed.predictor),
        ("risk_class", row.risk_class, computed.risk_class, row.risk_class == computed.risk_class),
        ("expected_risk", row.expected_risk, computed.expected_risk, _close(row.expected_risk, computed.expected_risk)),
    ]
    for name, units in zip(("p_low", "p_medium", "p_high"), computed.probabilities, strict=True):
        answered = getattr(row, name)
        pairs.append((name, answered, units, abs(answered - units) <= TOLERANCE * PROBABILITY_UNITS))
    for name in ("net", "insurance_tax", "gross"):
        answered, again = getattr(row, name), getattr(computed, name)
        pairs.append((name, answered, again, answered == again))
    return [Difference(row.quote_id, name, str(a), str(b), way) for name, a, b, is_same in pairs if not is_same]


def _close(answered: float | None, computed: float | None) -> bool:
    if answered is None or computed is None:
        return answered is computed
    return abs(answered - computed) <= TOLERANCE
