"""Score: price every policy in force on a date and publish the result at once."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
from psycopg2 import sql
from sqlalchemy import Connection, Engine, delete, func, insert, select, text

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import RISK_CLASSES
from motorisk.domain.tariff import Tariff
from motorisk.errors import NotEnoughData, ScoringIncomplete
from motorisk.registry.tariffs import in_force, tariffs
from motorisk.registry.versions import ModelVersion, champion, load_plan
from motorisk.scoring.pricing import assess, premiums
from motorisk.warehouse.arrow import FEATURE_COLUMNS, FEATURE_TYPES, read_batches, write_table
from motorisk.warehouse.copying import copy_out
from motorisk.warehouse.locks import exclusively
from motorisk.warehouse.tables import policy, score, score_run

IN_MEMORY_BYTES = 64 * 1024 * 1024

_PORTFOLIO = sql.SQL(
    """
    SELECT policy_id, effective_date, {features} FROM insurance.policy
    WHERE effective_date <= %(as_of)s AND expiry_date > %(as_of)s
    """
).format(features=FEATURE_COLUMNS)
_PORTFOLIO_TYPES = {"policy_id": pa.string(), "effective_date": pa.date32(), **FEATURE_TYPES}

_COLUMNS = [column.name for column in score.columns]


@dataclass(frozen=True, slots=True)
class ScoreRun:
    """What one night wrote; `net_total` is euros a year."""

    as_of: date
    version: int
    tariff: str
    rows: int
    by_predictor: dict[str, int]
    by_class: dict[str, int]
    net_total: Decimal
    seconds: float


@dataclass(slots=True)
class _Totals:
    rows: int
    by_predictor: Counter[str]
    by_class: Counter[str]
    net_cents: int


def partition_name(as_of: date) -> str:
    """Name of the table that holds a date's scores."""
    return f"score_{as_of:%Y%m%d}"


def price_batch(plan: RatingPlan, tariff: Tariff, version: int, as_of: date, batch: pa.RecordBatch) -> pa.Table:
    """Scores of a batch of policies, columns in the order of the table `motorisk.score`."""
    features = {name: batch[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in FEATURES}
    dates = batch["effective_date"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
    assessments = assess(plan, features, dates)
    money = premiums(tariff, assessments.probabilities)
    n = batch.num_rows
    return pa.table(
        {
            "as_of": pa.array([as_of], pa.date32()).take(pa.array(np.zeros(n, dtype=np.int64))),
            "policy_id": batch["policy_id"],
            "version": np.full(n, version),
            "tariff": pa.array([tariff.name]).take(pa.array(np.zeros(n, dtype=np.int64))),
            "predictor": np.where(assessments.by_model, "model", "rules"),
            "risk_class": assessments.class_names,
            "expected_risk": pa.array(assessments.expected_risk, from_pandas=True),
            "p_low": assessments.probabilities[:, 0],
            "p_medium": assessments.probabilities[:, 1],
            "p_high": assessments.probabilities[:, 2],
            # The nearest float to a number of cents prints as exactly that number.
            "net": money.net / 100,
            "insurance_tax": money.insurance_tax / 100,
            "gross": money.gross / 100,
        }
    )


def _add(totals: _Totals, scores: pa.Table) -> None:
    totals.rows += scores.num_rows
    totals.by_predictor.update(scores["predictor"].to_pylist())
    totals.by_class.update(scores["risk_class"].to_pylist())
    totals.net_cents += int(np.rint(scores["net"].to_numpy() * 100).sum())


def score_portfolio(
    engine: Engine, as_of: date, progress: Callable[[int, int], None] = lambda done, total: None
) -> ScoreRun:
    """Price the portfolio as of a date with the champion and the tariff in force, and replace that date's scores.

    Readers see the earlier scores of the date until the new ones are complete; a failure leaves them in place.
    `progress` is told how many of how many policies are done. Raises `NoChampion`, `NoTariff`,
    `NotEnoughData` for an empty portfolio and `ScoringIncomplete` where the counts disagree.
    """
    start = time.monotonic()
    # A second run for the same date waits, then replaces what the first one wrote.
    with (
        exclusively(engine, "score", as_of.toordinal()),
        engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
        connection.begin(),
    ):
        model = champion(connection)
        plan = load_plan(connection, model.version)
        tariff = in_force(tariffs(connection), as_of)
        expected = _portfolio_size(connection, as_of)
        if not expected:
            raise NotEnoughData(f"no policy is in force on {as_of}: there is nothing to score")
        progress(0, expected)
        staging = _create_staging(connection, as_of)
        totals = _Totals(0, Counter(dict.fromkeys(("model", "rules"), 0)), Counter(dict.fromkeys(RISK_CLASSES, 0)), 0)
        with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as portfolio:
            copy_out(connection, _PORTFOLIO, {"as_of": as_of}, portfolio)
            portfolio.seek(0)
            for batch in read_batches(portfolio, _PORTFOLIO_TYPES):
                scores = price_batch(plan, tariff, model.version, as_of, batch)
                write_table(connection, f"motorisk.{staging}", _COLUMNS, scores)
                _add(totals, scores)
                progress(totals.rows, expected)
        run = _finished(model, tariff, as_of, totals, time.monotonic() - start)
        _publish(connection, staging, run, expected)
    return run


def _portfolio_size(connection: Connection, as_of: date) -> int:
    in_force_on = (policy.c.effective_date <= as_of) & (policy.c.expiry_date > as_of)
    return connection.scalar(select(func.count()).select_from(policy).where(in_force_on)) or 0


def _create_staging(connection: Connection, as_of: date) -> str:
    name = f"{partition_name(as_of)}_new"
    connection.execute(text(f"CREATE TABLE motorisk.{name} (LIKE motorisk.score INCLUDING ALL)"))
    # Proves to ATTACH that all rows belong to the date, so that it need not look at them.
    connection.execute(text(f"ALTER TABLE motorisk.{name} ADD CONSTRAINT of_date CHECK (as_of = '{as_of}')"))
    return name


def _finished(model: ModelVersion, tariff: Tariff, as_of: date, totals: _Totals, seconds: float) -> ScoreRun:
    return ScoreRun(
        as_of=as_of,
        version=model.version,
        tariff=tariff.name,
        rows=totals.rows,
        by_predictor=dict(totals.by_predictor),
        by_class={str(name): totals.by_class[name] for name in RISK_CLASSES},
        net_total=Decimal(totals.net_cents) / 100,
        seconds=seconds,
    )


def _publish(connection: Connection, staging: str, run: ScoreRun, expected: int) -> None:
    written = connection.scalar(text(f"SELECT count(*) FROM motorisk.{staging}"))  # noqa: S608
    if not written == run.rows == expected:
        raise ScoringIncomplete(
            f"{expected} policies are in force on {run.as_of}, {run.rows} were priced and {written} written: "
            "the earlier scores stay"
        )
    published = partition_name(run.as_of)
    connection.execute(text(f"DROP TABLE IF EXISTS motorisk.{published}"))
    connection.execute(text(f"ALTER TABLE motorisk.{staging} RENAME TO {published}"))
    connection.execute(
        text(f"ALTER TABLE motorisk.score ATTACH PARTITION motorisk.{published} FOR VALUES IN ('{run.as_of}')")
    )
    connection.execute(text(f"ALTER TABLE motorisk.{published} DROP CONSTRAINT of_date"))
    connection.execute(delete(score_run).where(score_run.c.as_of == run.as_of))
    values = {name: getattr(run, name) for name in ScoreRun.__slots__}
    connection.execute(insert(score_run), values)
