"""What a policy cost a year before, for renewals.

The scores of a year before are those of the newest published date up to the same day of the year before, at most
`TOLERANCE` earlier. A policy that was in force then has its own score of that date; one that began since has the
score of the policy that it renewed: the same customer's, for a car of the same power (kW), that ended on the day on
which it took effect. Another car is another risk and no renewal; where two policies fit, none does. Everything
compared was known on the as-of date.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from psycopg2 import sql
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import ProgrammingError

from motorisk.domain.calendar import add_months
from motorisk.errors import ScoringSuperseded
from motorisk.warehouse.tables import score_run

TOLERANCE = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class YearBefore:
    """The published scores that a run compares with."""

    as_of: date
    run_id: int


def partition_name(as_of: date) -> str:
    """Name of the table that holds a date's published scores."""
    return f"score_{as_of:%Y%m%d}"


def earliest_before(as_of: date) -> date:
    """The earliest date whose scores a run as of a date may compare with."""
    return add_months(as_of, -12) - TOLERANCE


def year_before(connection: Connection, as_of: date) -> YearBefore | None:
    """The scores that a run as of a date compares with, or None where there are none."""
    row = connection.execute(
        select(score_run.c.as_of, score_run.c.run_id)
        .where(score_run.c.as_of.between(earliest_before(as_of), add_months(as_of, -12)), score_run.c.archive.is_(None))
        .order_by(score_run.c.as_of.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else YearBefore(row.as_of, row.run_id)


def hold(connection: Connection, before: YearBefore, run_id: int) -> None:
    """Keep the scores of the year before as they are while the connection's transaction reads them.

    Raises `ScoringSuperseded` where they are no longer those that the run was planned with.
    """
    changed = ScoringSuperseded(
        f"the scores of {before.as_of} were replaced since run {run_id} was planned to compare with them: score anew"
    )
    try:
        connection.execute(text(f"LOCK TABLE ONLY motorisk.{partition_name(before.as_of)} IN ACCESS SHARE MODE"))
    except ProgrammingError as error:  # there is no such table
        raise changed from error
    found = select(score_run.c.run_id).where(score_run.c.as_of == before.as_of, score_run.c.archive.is_(None))
    if connection.scalar(found) != before.run_id:
        raise changed
    # Hardly two policies ask for the same renewal: remembering the answers costs a fifth more time.
    connection.execute(text("SET LOCAL enable_memoize = off"))


def scores_before(before: YearBefore) -> sql.Composable:
    """What joins to policies `p`, in a query's FROM, the scores `b` of a year before.

    A look-up by index a policy, so that a partition of a thousand costs a thousandth.
    """
    return sql.SQL(
        """
        LEFT JOIN LATERAL (
            SELECT min(o.policy_id) AS policy_id FROM insurance.policy o
            WHERE p.effective_date > {day} AND o.customer_id = p.customer_id AND o.expiry_date = p.effective_date
                AND o.power = p.power AND o.effective_date <= {day}
            HAVING count(*) = 1
        ) renewed ON true
        LEFT JOIN motorisk.{table} b ON b.as_of = {day}
            AND b.policy_id = CASE WHEN p.effective_date > {day} THEN renewed.policy_id ELSE p.policy_id END
        """
    ).format(day=sql.Literal(before.as_of), table=sql.Identifier(partition_name(before.as_of)))
