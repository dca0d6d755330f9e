"""One partition: read a range of policies, price it, write its scores; the three overlap.

Everything that is written is one transaction, so that a partition is done or has left nothing.
"""

import time
from collections.abc import Callable

from psycopg2 import sql
from sqlalchemy import Connection, Engine, func, insert, select, update

from motorisk.errors import ScoringSuperseded
from motorisk.pipelines.scoring.batches import (
    OUTPUT_COLUMNS,
    WITH_RENEWALS,
    Impossible,
    Totals,
    parse,
    score_batch,
)
from motorisk.pipelines.scoring.planning import Part, prices, work_table
from motorisk.pipelines.scoring.renewals import YearBefore, hold, scores_before
from motorisk.registry.tariffs import tariffs
from motorisk.registry.versions import load_plan
from motorisk.warehouse.arrow import FEATURE_COLUMNS
from motorisk.warehouse.streaming import reading, writing
from motorisk.warehouse.tables import score_part, score_plan, score_quarantine, score_run

MOST_REASONS = 100_000
"""Of more impossible policies a partition, far beyond any share that may be published, only the number is kept."""

_IN_FORCE = sql.SQL(
    """
    SELECT p.policy_id, p.effective_date, {features} {last_year} FROM insurance.policy p {joined}
    WHERE p.effective_date <= {as_of} AND p.expiry_date > {as_of} {low} {high}
    """
)


def in_force(part: Part, before: YearBefore | None) -> sql.Composable:
    """The query of a partition's policies, columns as `batches.INPUT_TYPES`, with `RENEWAL_TYPES` after `before`."""
    bound = sql.SQL("AND p.policy_id {} {}").format
    return _IN_FORCE.format(
        features=FEATURE_COLUMNS,
        last_year=sql.SQL("" if before is None else ", b.net, b.risk_class"),
        joined=sql.SQL("") if before is None else scores_before(before),
        as_of=sql.Literal(part.as_of),
        low=sql.SQL("") if part.low is None else bound(sql.SQL(">="), sql.Literal(part.low)),
        high=sql.SQL("") if part.high is None else bound(sql.SQL("<"), sql.Literal(part.high)),
    )


def score_partition(engine: Engine, part: Part, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Score one range of a plan; return how many policies have scores now. Nothing happens where it is done already.

    Who comes second waits for the first and finds the work done; who comes after publishing, too (and is told 0).
    Raises `ScoringSuperseded` where the plan was given up or what it was made with has changed since,
    `DatabaseUnavailable` where the connection is lost: then nothing of the partition stays.
    """
    start = time.monotonic()
    with engine.begin() as connection:
        # Publishing, and giving the plan up, wait for partitions in work.
        found = connection.execute(
            select(score_plan).where(score_plan.c.run_id == part.run_id).with_for_update(read=True)
        ).one_or_none()
        if found is None:
            if connection.scalar(select(score_run.c.run_id).where(score_run.c.as_of == part.as_of)) == part.run_id:
                return 0
            raise ScoringSuperseded(f"run {part.run_id} for {part.as_of} gave way to another run")
        this = (score_part.c.run_id == part.run_id) & (score_part.c.part == part.part)
        row = connection.execute(select(score_part).where(this).with_for_update()).one()
        if row.finished_at is not None:
            return int(row.rows)
        plan = load_plan(connection, found.version)
        tariff = next(tariff for tariff in tariffs(connection) if tariff.name == found.tariff)
        if prices(tariff) != found.prices:
            raise ScoringSuperseded(f"tariff {tariff.name} was changed since run {part.run_id} was planned: score anew")
        before = None if found.before is None else YearBefore(found.before, found.before_run)
        totals, impossible = Totals(), list[Impossible]()
        table = f"motorisk.{work_table(part.as_of, part.run_id)}"
        with engine.connect() as source:
            if before is not None:
                hold(source, before, part.run_id)
            with (
                reading(source, in_force(part, before), None) as blocks,
                writing(connection, table, OUTPUT_COLUMNS if before is None else WITH_RENEWALS) as write,
            ):
                for block in blocks:
                    scored = score_batch(plan, tariff, parse(block, renewals=before is not None), found.renewal_cap)
                    if scored.content:
                        write(scored.content)
                    totals.add(scored.totals)
                    impossible += scored.impossible[: MOST_REASONS - len(impossible)]
                    progress(totals.rows, max(part.estimated_rows, totals.rows))
        _quarantine(connection, part, impossible)
        figures = {name: getattr(totals, name) for name in Totals.__slots__}
        finished = {"seconds": time.monotonic() - start, "finished_at": func.clock_timestamp()}
        connection.execute(update(score_part).where(this).values(**figures, **finished))
    return totals.rows


def _quarantine(connection: Connection, part: Part, impossible: list[Impossible]) -> None:
    if impossible:
        common = {"as_of": part.as_of, "run_id": part.run_id}
        rows = [common | {"policy_id": found.policy_id, "reasons": found.reasons} for found in impossible]
        connection.execute(insert(score_quarantine), rows)
