"""The plan of a date's scoring: version, tariff, and ranges of policies of about equal size.

The ranges come from a sample of the table's pages, so that planning takes as long for ten million policies as for one.
Whatever the sample says, the ranges cover every policy once.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, text

from motorisk.domain.tariff import Tariff
from motorisk.errors import InvalidData, NotEnoughData
from motorisk.pipelines.scoring.renewals import year_before
from motorisk.pipelines.scoring.versions import Choice, version_for
from motorisk.registry.tariffs import in_force, tariffs
from motorisk.warehouse.locks import exclusively
from motorisk.warehouse.roles import Role
from motorisk.warehouse.tables import score_part, score_plan

DEFAULT_PARTITION_ROWS = 1_000_000
MAX_PARTITIONS = 1000
"""Airflow maps a task at most 1,024 times."""
RESUMABLE_FOR = timedelta(hours=12)
"""An older plan that was never finished is begun anew: too much may have changed since its first partitions."""

_SAMPLED_PAGES = 1000
_PAGES_A_PARTITION = 100
_SAMPLE = """
    FROM insurance.policy TABLESAMPLE SYSTEM (:percent) REPEATABLE (0)
    WHERE effective_date <= :as_of AND expiry_date > :as_of
"""
_SAMPLE_SIZE = text(f"SELECT count(*) {_SAMPLE}")
# In the order of the database's collation.
_SAMPLE_ROWS = text(
    f"""
    SELECT policy_id
    FROM (SELECT policy_id, row_number() OVER (ORDER BY policy_id) - 1 AS position {_SAMPLE}) AS sampled
    WHERE position = ANY(:positions) ORDER BY position
    """  # noqa: S608
)
_PAGES = text("SELECT pg_relation_size('insurance.policy') / current_setting('block_size')::bigint")


@dataclass(frozen=True, slots=True)
class Part:
    """One partition's whole input: policies in force on `as_of` from `low` on and below `high` (None: no bound)."""

    as_of: date
    run_id: int
    part: int
    low: str | None
    high: str | None
    estimated_rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A date's scoring; `missing` are the partitions that have to be scored still."""

    as_of: date
    run_id: int
    version: int
    tariff: str
    partitions: int
    estimated_rows: int
    missing: list[Part]


def work_table(as_of: date, run_id: int) -> str:
    """Name of the table that gathers a run's scores, in the schema `motorisk`."""
    return f"score_{as_of:%Y%m%d}_{run_id}"


def prices(tariff: Tariff) -> str:
    """A tariff's figures as one text, to tell whether somebody changed them."""
    factors = " ".join(f"{name}={factor}" for name, factor in tariff.factors.items())
    return f"base={tariff.base_premium} {factors} tax={tariff.tax_rate}"


def plan_scoring(
    engine: Engine,
    as_of: date,
    *,
    choice: Choice = Choice.AS_APPROVED,
    partition_rows: int = DEFAULT_PARTITION_ROWS,
    partitions: int | None = None,
    renewal_cap: Decimal | None = None,
) -> Plan:
    """Plan a date's scoring, or take up the plan of it that is there and was not finished.

    `partitions` is how many at most; by default as many as give `partition_rows` each. `renewal_cap` is the largest
    change of a net premium at renewal, as a share. A plan for another version, tariff, cap or year before, or one that
    is too old, gives way: whoever still works on it is refused. Raises `NoChampion`, `NoTariff`, and `NotEnoughData`
    for an empty portfolio.
    """
    if partitions is not None and not 1 <= partitions <= MAX_PARTITIONS:
        raise InvalidData(f"partitions must be from 1 to {MAX_PARTITIONS}, got {partitions}")
    with exclusively(engine, "score plan", as_of.toordinal()), engine.begin() as connection:
        basis = _basis(connection, as_of, choice, renewal_cap)
        if not _resumable(connection, basis):
            for run_id in connection.scalars(select(score_plan.c.run_id).where(score_plan.c.as_of == as_of)).all():
                discard_run(connection, as_of, run_id)
            bounds, estimated = _ranges(connection, as_of, partition_rows, partitions)
            _begin(connection, basis, bounds, estimated)
        return _read(connection, as_of)


def _basis(connection: Connection, as_of: date, choice: Choice, renewal_cap: Decimal | None) -> dict[str, Any]:
    """What all partitions of a run have in common, by the columns of `score_plan`."""
    tariff = in_force(tariffs(connection), as_of)
    before = year_before(connection, as_of)
    return {
        "as_of": as_of,
        "version": version_for(connection, as_of, choice),
        "tariff": tariff.name,
        "prices": prices(tariff),
        "renewal_cap": renewal_cap,
        "before": before and before.as_of,
        "before_run": before and before.run_id,
    }


def _resumable(connection: Connection, basis: dict[str, Any]) -> bool:
    same = [score_plan.c[name].is_not_distinct_from(value) for name, value in basis.items()]
    young = score_plan.c.planned_at > func.clock_timestamp() - RESUMABLE_FOR
    return connection.scalar(select(score_plan.c.run_id).where(*same, young)) is not None


def discard_run(connection: Connection, as_of: date, run_id: int) -> None:
    """Give a run up with all that was written for it; waits for partitions that are being written."""
    connection.execute(delete(score_plan).where(score_plan.c.run_id == run_id))
    connection.execute(text(f"DROP TABLE IF EXISTS motorisk.{work_table(as_of, run_id)}"))


def _ranges(connection: Connection, as_of: date, partition_rows: int, partitions: int | None) -> tuple[list[str], int]:
    """Inner bounds of the ranges, ascending, and the estimated number of policies in all."""
    pages = connection.scalar(_PAGES) or 0
    wanted = max(_SAMPLED_PAGES, _PAGES_A_PARTITION * (partitions or 0))
    sampled: dict[str, Any] = {"percent": 100 * min(1.0, wanted / max(pages, 1)), "as_of": as_of}
    size = connection.scalar(_SAMPLE_SIZE, sampled) or 0
    if not size and sampled["percent"] < 100:  # few policies in a large table
        sampled["percent"] = 100.0
        size = connection.scalar(_SAMPLE_SIZE, sampled) or 0
    if not size:
        raise NotEnoughData(f"no policy is in force on {as_of}: there is nothing to score")
    estimated = round(size * 100 / sampled["percent"])
    count = partitions or min(MAX_PARTITIONS, -(-estimated // partition_rows))
    # The first policy of the sample needs no bound below it, and a small portfolio has fewer policies than partitions.
    positions = sorted({size * part // count for part in range(1, count)} - {0})
    bounds = connection.scalars(_SAMPLE_ROWS, sampled | {"positions": positions}).all() if positions else []
    return list(bounds), estimated


def _begin(connection: Connection, basis: dict[str, Any], bounds: list[str], estimated: int) -> None:
    run_id = connection.execute(insert(score_plan).returning(score_plan.c.run_id), basis).scalar_one()
    as_of = basis["as_of"]
    table = f"motorisk.{work_table(as_of, run_id)}"
    # Its primary key is built when all rows are there: a third of the time, and workers do not queue for its pages.
    like = "LIKE motorisk.score INCLUDING ALL EXCLUDING COMMENTS EXCLUDING INDEXES"
    connection.execute(text(f"CREATE TABLE {table} ({like})"))
    # Not this login's, so that whoever scores or archives the date next may replace it.
    connection.execute(text(f"ALTER TABLE {table} OWNER TO {Role.PIPELINE.group}"))
    # Proves to ATTACH that all rows belong to the date, so that it need not look at them.
    connection.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT of_date CHECK (as_of = '{as_of}')"))
    # What is the same in all rows needs neither formatting nor parsing.
    name = basis["tariff"].replace("'", "''").replace(":", "\\:")
    connection.execute(
        text(
            f"ALTER TABLE {table} ALTER as_of SET DEFAULT '{as_of}', ALTER version SET DEFAULT {basis['version']:d}, "
            f"ALTER tariff SET DEFAULT '{name}'"
        )
    )
    edges = pairwise([None, *bounds, None])
    size = estimated // (len(bounds) + 1)
    rows = [
        {"run_id": run_id, "part": part, "low": low, "high": high, "estimated_rows": size}
        for part, (low, high) in enumerate(edges, start=1)
    ]
    connection.execute(insert(score_part), rows)


def _read(connection: Connection, as_of: date) -> Plan:
    found = connection.execute(select(score_plan).where(score_plan.c.as_of == as_of)).one()
    rows = connection.execute(
        select(score_part).where(score_part.c.run_id == found.run_id).order_by(score_part.c.part)
    ).all()
    return Plan(
        as_of=as_of,
        run_id=found.run_id,
        version=found.version,
        tariff=found.tariff,
        partitions=len(rows),
        estimated_rows=sum(row.estimated_rows for row in rows),
        missing=[
            Part(as_of, found.run_id, row.part, row.low, row.high, row.estimated_rows)
            for row in rows
            if row.finished_at is None
        ],
    )
