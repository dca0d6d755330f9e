"""One partition: read a range of policies, price it, write its scores; the three overlap.

Everything that is written is one transaction, so that a partition is done or has left nothing.
"""

import time
from collections.abc import Callable

from psycopg2 import sql
from sqlalchemy import Connection, Engine, func, insert, select, update

from motorisk.errors import ScoringSuperseded
from motorisk.pipelines.scoring.batches import OUTPUT_COLUMNS, Impossible, Totals, parse, score_batch
from motorisk.pipelines.scoring.planning import Part, prices, work_table
from motorisk.registry.tariffs import tariffs
from motorisk.registry.versions import load_plan
from motorisk.warehouse.arrow import FEATURE_COLUMNS
from motorisk.warehouse.streaming import reading, writing
from motorisk.warehouse.tables import score_part, score_plan, score_quarantine

_IN_FORCE = sql.SQL(
    """
    SELECT policy_id, effective_date, {features} FROM insurance.policy
    WHERE effective_date <= %(as_of)s AND expiry_date > %(as_of)s {low} {high}
    """
)


def _query(part: Part) -> sql.Composable:
    return _IN_FORCE.format(
        features=FEATURE_COLUMNS,
        low=sql.SQL("" if part.low is None else "AND policy_id >= %(low)s"),
        high=sql.SQL("" if part.high is None else "AND policy_id < %(high)s"),
    )


def score_partition(engine: Engine, part: Part, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Score one range of a plan; return how many policies have scores now. Nothing happens where it is done already.

    Who comes second waits for the first and finds the work done. Raises `ScoringSuperseded` where the plan was given
    up or published or its tariff was changed, `DatabaseUnavailable` where the connection is lost: then nothing of the
    partition stays.
    """
    start = time.monotonic()
    with engine.begin() as connection:
        # Publishing, and giving the plan up, wait for partitions in work.
        found = connection.execute(
            select(score_plan).where(score_plan.c.run_id == part.run_id).with_for_update(read=True)
        ).one_or_none()
        if found is None:
            raise ScoringSuperseded(f"run {part.run_id} for {part.as_of} was published or gave way to another run")
        this = (score_part.c.run_id == part.run_id) & (score_part.c.part == part.part)
        row = connection.execute(select(score_part).where(this).with_for_update()).one()
        if row.finished_at is not None:
            return int(row.rows)
        plan = load_plan(connection, found.version)
        tariff = next(tariff for tariff in tariffs(connection) if tariff.name == found.tariff)
        if prices(tariff) != found.prices:
            raise ScoringSuperseded(f"tariff {tariff.name} was changed since run {part.run_id} was planned: score anew")
        totals, impossible = Totals(), list[Impossible]()
        table = f"motorisk.{work_table(part.as_of, part.run_id)}"
        bounds = {"as_of": part.as_of, "low": part.low, "high": part.high}
        with (
            engine.connect() as source,
            reading(source, _query(part), bounds) as blocks,
            writing(connection, table, OUTPUT_COLUMNS) as write,
        ):
            for block in blocks:
                scored = score_batch(plan, tariff, parse(block))
                if scored.content:
                    write(scored.content)
                totals.add(scored.totals)
                impossible += scored.impossible
                progress(totals.rows, max(part.estimated_rows, totals.rows))
        _quarantine(connection, part, impossible)
        figures = {name: getattr(totals, name) for name in Totals.__slots__}
        finished = {"quarantined": len(impossible), "seconds": time.monotonic() - start}
        connection.execute(
            update(score_part).where(this).values(**figures, **finished, finished_at=func.clock_timestamp())
        )
    return totals.rows


def _quarantine(connection: Connection, part: Part, impossible: list[Impossible]) -> None:
    if impossible:
        common = {"as_of": part.as_of, "run_id": part.run_id}
        rows = [common | {"policy_id": found.policy_id, "reasons": found.reasons} for found in impossible]
        connection.execute(insert(score_quarantine), rows)
