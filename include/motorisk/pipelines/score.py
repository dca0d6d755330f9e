"""Score: price every policy in force on a date and publish the result at once, in one process.

Airflow runs the same three steps as tasks of their own (`dags/score_portfolio.py`).
"""

from collections.abc import Callable
from datetime import date

from sqlalchemy import Engine

from motorisk.pipelines.scoring.partition import score_partition
from motorisk.pipelines.scoring.planning import DEFAULT_PARTITION_ROWS, plan_scoring
from motorisk.pipelines.scoring.publishing import MAX_QUARANTINED_SHARE, ScoreRun, publish_scores
from motorisk.pipelines.scoring.versions import Choice


def score_portfolio(
    engine: Engine,
    as_of: date,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    choice: Choice = Choice.AS_APPROVED,
    partition_rows: int = DEFAULT_PARTITION_ROWS,
    partitions: int | None = None,
    max_quarantined_share: float = MAX_QUARANTINED_SHARE,
) -> ScoreRun:
    """Price the portfolio as of a date and replace that date's scores; take up an unfinished run where it was left.

    Readers see the earlier scores of the date until the new ones are complete; a failure leaves them in place.
    `progress` is told how many of about how many policies are done. Raises what planning, partitions and publishing
    raise: `NoChampion`, `NoTariff`, `NotEnoughData`, `ScoringIncomplete`, `ScoringSuperseded`, `InvalidData`.
    """
    plan = plan_scoring(engine, as_of, choice=choice, partition_rows=partition_rows, partitions=partitions)
    before = plan.estimated_rows - sum(part.estimated_rows for part in plan.missing)
    for part in plan.missing:

        def tell(done: int, total: int, before: int = before) -> None:
            progress(before + done, max(plan.estimated_rows, before + done))

        before += score_partition(engine, part, tell)
    progress(before, before)
    return publish_scores(engine, as_of, plan.run_id, max_quarantined_share)
