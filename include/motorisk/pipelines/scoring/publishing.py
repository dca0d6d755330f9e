"""Publishing: check the scores against plan and portfolio, then let readers see them all at once."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from motorisk.errors import InvalidData, ScoringIncomplete, ScoringRefuted, ScoringSuperseded
from motorisk.pipelines.scoring.planning import discard_run, work_table
from motorisk.pipelines.scoring.renewals import partition_name
from motorisk.warehouse.locks import lock_tables
from motorisk.warehouse.tables import policy, score_part, score_plan, score_quarantine, score_run

MAX_QUARANTINED_SHARE = 0.01
INDEX_MEMORY = "256MB"

# Gross is net and tax, and the three probabilities add up to one: the table's own conditions see to the rest.
_WRITTEN = """
    SELECT count(*) AS rows, coalesce(sum(gross) * 100, 0) AS gross_cents, coalesce(sum(p_low), 0) AS p_low,
        coalesce(sum(p_high), 0) AS p_high
    FROM motorisk.{table}
"""
_SUMS = ("rows", "quarantined", "net_cents", "gross_cents", "p_low", "p_high", "renewals", "capped", "class_changed")


@dataclass(frozen=True, slots=True)
class ScoreRun:
    """What a date's scoring published; `net_total` is euros a year, `quarantined` policies were not scored.

    `renewals` have a premium of a year before, of the scores of `before`: of these the premiums of `capped` were kept
    within `renewal_cap` and `class_changed` are in another class.
    """

    as_of: date
    run_id: int
    version: int
    tariff: str
    rows: int
    quarantined: int
    by_predictor: dict[str, int]
    by_class: dict[str, int]
    net_total: Decimal
    partitions: int
    seconds: float
    renewals: int
    capped: int
    class_changed: int
    renewal_cap: Decimal | None
    before: date | None


def publish_scores(
    engine: Engine, as_of: date, run_id: int, max_quarantined_share: float = MAX_QUARANTINED_SHARE
) -> ScoreRun:
    """Replace a date's scores by those of a run, in one transaction; a failure leaves the earlier ones.

    Publishing again returns what was published. Raises `ScoringIncomplete` where partitions are missing,
    `ScoringRefuted` where counts or sums disagree, `InvalidData` where too large a share of the portfolio is in
    quarantine, and `ScoringSuperseded` where another run has taken the date over. Scores that fail a check are given
    up, so that the next run begins anew; with partitions missing it goes on.
    """
    try:
        return _publish(engine, as_of, run_id, max_quarantined_share)
    except (ScoringRefuted, InvalidData):
        with engine.begin() as connection:
            discard_run(connection, as_of, run_id)
        raise


def _publish(engine: Engine, as_of: date, run_id: int, max_quarantined_share: float) -> ScoreRun:
    with engine.begin() as connection:
        plan = connection.execute(
            select(score_plan).where(score_plan.c.run_id == run_id).with_for_update()
        ).one_or_none()
        if plan is None:
            return _published(connection, as_of, run_id)
        parts = connection.execute(select(score_part).where(score_part.c.run_id == run_id)).all()
        totals = _totals(as_of, parts)
        _check(connection, as_of, run_id, totals, max_quarantined_share)
        seconds = connection.scalar(select(func.extract("epoch", func.clock_timestamp() - plan.planned_at)))
        run = ScoreRun(
            as_of=as_of,
            run_id=run_id,
            version=plan.version,
            tariff=plan.tariff,
            rows=totals["rows"],
            quarantined=totals["quarantined"],
            by_predictor=_counts(parts, "by_predictor"),
            by_class=_counts(parts, "by_class"),
            net_total=Decimal(totals["net_cents"]) / 100,
            partitions=len(parts),
            seconds=float(seconds or 0),
            renewals=totals["renewals"],
            capped=totals["capped"],
            class_changed=totals["class_changed"],
            renewal_cap=plan.renewal_cap,
            before=plan.before,
        )
        _swap(connection, run)
    return run


def _published(connection: Connection, as_of: date, run_id: int) -> ScoreRun:
    """What a run published that was killed before it could say so."""
    row = connection.execute(select(score_run).where(score_run.c.run_id == run_id)).one_or_none()
    if row is None:
        raise ScoringSuperseded(f"run {run_id} for {as_of} gave way to another run: its scores are not published")
    return ScoreRun(**{name: row._mapping[name] for name in ScoreRun.__slots__})


def _totals(as_of: date, parts: list[Row[Any]] | Any) -> dict[str, int]:
    missing = [row.part for row in parts if row.finished_at is None]
    if missing:
        names = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
        raise ScoringIncomplete(
            f"{len(missing)} of {len(parts)} partitions of {as_of} are not scored ({names}): the earlier scores stay"
        )
    return {name: sum(getattr(row, name) for row in parts) for name in _SUMS}


def _counts(parts: Any, name: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for row in parts:
        total.update(getattr(row, name))
    return dict(sorted(total.items(), key=lambda item: ["model", "rules", "low", "medium", "high"].index(item[0])))


def portfolio_size(connection: Connection, as_of: date) -> int:
    """How many policies are in force on a date."""
    in_force_on = (policy.c.effective_date <= as_of) & (policy.c.expiry_date > as_of)
    return connection.scalar(select(func.count()).select_from(policy).where(in_force_on)) or 0


def _check(connection: Connection, as_of: date, run_id: int, totals: dict[str, int], share: float) -> None:
    written = connection.execute(text(_WRITTEN.format(table=work_table(as_of, run_id)))).one()
    for name, found in written._mapping.items():
        if found != totals[name]:
            raise ScoringRefuted(
                f"{name} of the scores of {as_of} is {found}, their partitions say {totals[name]}: "
                "the earlier scores stay"
            )
    expected = portfolio_size(connection, as_of)
    rows, quarantined = totals["rows"], totals["quarantined"]
    if rows + quarantined != expected:
        raise ScoringRefuted(
            f"{expected} policies are in force on {as_of}, {rows} were scored and {quarantined} quarantined: policies "
            "changed meanwhile. The earlier scores stay"
        )
    if quarantined > share * expected:
        reason = connection.scalar(
            select(
                func.min(score_quarantine.c.policy_id + ": " + func.array_to_string(score_quarantine.c.reasons, "; "))
            ).where(score_quarantine.c.as_of == as_of, score_quarantine.c.run_id == run_id)
        )
        raise InvalidData(
            f"{quarantined} of {expected} policies in force on {as_of} cannot be priced, at most {share:.2%} may be "
            f"(first: {reason}); see motorisk.score_quarantine. The earlier scores stay"
        )


def _swap(connection: Connection, run: ScoreRun) -> None:
    work, published = f"motorisk.{work_table(run.as_of, run.run_id)}", partition_name(run.as_of)
    connection.execute(text("SELECT set_config('maintenance_work_mem', :memory, true)"), {"memory": INDEX_MEMORY})
    try:
        connection.execute(text(f"ALTER TABLE {work} ADD PRIMARY KEY (as_of, policy_id)"))
    except IntegrityError as error:
        reason = str(error.orig).splitlines()[-1]
        raise ScoringRefuted(
            f"a policy was scored twice as of {run.as_of}: {reason} The earlier scores stay"
        ) from error
    for column in ("as_of", "version", "tariff"):
        connection.execute(text(f"ALTER TABLE {work} ALTER {column} DROP DEFAULT"))
    # Whoever archives the date's earlier scores is through, or comes after.
    connection.execute(select(score_run.c.run_id).where(score_run.c.as_of == run.as_of).with_for_update())
    there = connection.scalar(text("SELECT to_regclass(:name)"), {"name": f"motorisk.{published}"})
    lock_tables(connection, "score", *([] if there is None else [published]))
    connection.execute(text(f"DROP TABLE IF EXISTS motorisk.{published}"))
    connection.execute(text(f"ALTER TABLE {work} RENAME TO {published}"))
    connection.execute(
        text(f"ALTER TABLE motorisk.score ATTACH PARTITION motorisk.{published} FOR VALUES IN ('{run.as_of}')")
    )
    connection.execute(text(f"ALTER TABLE motorisk.{published} DROP CONSTRAINT of_date"))
    connection.execute(delete(score_run).where(score_run.c.as_of == run.as_of))
    connection.execute(insert(score_run), {name: getattr(run, name) for name in ScoreRun.__slots__})
    connection.execute(
        delete(score_quarantine).where(score_quarantine.c.as_of == run.as_of, score_quarantine.c.run_id != run.run_id)
    )
    connection.execute(delete(score_plan).where(score_plan.c.run_id == run.run_id))
