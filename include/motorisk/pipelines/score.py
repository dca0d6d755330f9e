"""Score: price every policy in force on a date and publish the result at once, from one program.

Airflow runs the same three steps as tasks of their own (`dags/score_portfolio.py`).
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from decimal import Decimal

from sqlalchemy import Engine

from motorisk.pipelines.scoring.partition import score_partition
from motorisk.pipelines.scoring.planning import DEFAULT_PARTITION_ROWS, Part, plan_scoring
from motorisk.pipelines.scoring.publishing import MAX_QUARANTINED_SHARE, ScoreRun, publish_scores
from motorisk.pipelines.scoring.versions import Choice
from motorisk.warehouse.database import pool_of

Progress = Callable[[int, int], None]


def score_portfolio(
    engine: Engine,
    as_of: date,
    progress: Progress = lambda done, total: None,
    *,
    choice: Choice = Choice.AS_APPROVED,
    partition_rows: int = DEFAULT_PARTITION_ROWS,
    partitions: int | None = None,
    workers: int = 1,
    renewal_cap: Decimal | None = None,
    max_quarantined_share: float = MAX_QUARANTINED_SHARE,
) -> ScoreRun:
    """Price the portfolio as of a date and replace that date's scores; take up an unfinished run where it was left.

    Readers see the earlier scores of the date until the new ones are complete; a failure leaves them in place.
    `progress` is told how many of about how many policies are done. Raises what planning, partitions and publishing
    raise: `NoChampion`, `NoTariff`, `NotEnoughData`, `ScoringIncomplete`, `ScoringSuperseded`, `InvalidData`.
    """
    plan = plan_scoring(
        engine, as_of, choice=choice, partition_rows=partition_rows, partitions=partitions, renewal_cap=renewal_cap
    )
    before = plan.estimated_rows - sum(part.estimated_rows for part in plan.missing)

    def tell(done: int) -> None:
        progress(before + done, max(plan.estimated_rows, before + done))

    tell(0)
    work = _one_after_another if workers == 1 else _side_by_side(workers)
    for done in work(engine, plan.missing, tell):
        before += done
        tell(0)
    progress(before, before)
    return publish_scores(engine, as_of, plan.run_id, max_quarantined_share)


def _one_after_another(engine: Engine, parts: list[Part], tell: Callable[[int], None]) -> Iterator[int]:
    for part in parts:
        yield score_partition(engine, part, lambda done, total: tell(done))


def _side_by_side(workers: int) -> Callable[[Engine, list[Part], Callable[[int], None]], Iterator[int]]:
    def work(engine: Engine, parts: list[Part], tell: Callable[[int], None]) -> Iterator[int]:
        url = engine.url.render_as_string(hide_password=False)
        # Not forked: connections must not be shared.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent) as pool:
            for done in as_completed([pool.submit(_score_there, url, part) for part in parts]):
                yield done.result()

    return work


def _end_with_parent() -> None:
    """Let a worker end when the command is killed; by itself it would wait for work for ever."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="watch parent", daemon=True).start()


def _score_there(url: str, part: Part) -> int:
    return score_partition(pool_of(url), part)
