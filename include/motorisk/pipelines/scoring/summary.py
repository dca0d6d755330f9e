"""What a date's scores say to people: counts, premiums against the run before, and who moved most."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, func, select

from motorisk.errors import NotEnoughData
from motorisk.warehouse.tables import score, score_run

MOVERS = 10


@dataclass(frozen=True, slots=True)
class Mover:
    """A policy whose net premium (euros a year) changed much since the run before."""

    policy_id: str
    before: Decimal
    now: Decimal
    class_before: str
    class_now: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """The newest run before, and what changed since; `class_changed` counts policies in both."""

    as_of: date
    version: int
    rows: int
    net_total: Decimal
    in_both: int
    class_changed: int
    movers: list[Mover]


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """A published run as people want to see it."""

    as_of: date
    version: int
    tariff: str
    rows: int
    quarantined: int
    by_predictor: Mapping[str, int]
    by_class: Mapping[str, int]
    net_total: Decimal
    earlier: Earlier | None


def summarise_scores(connection: Connection, as_of: date) -> ScoreSummary:
    """Summary of a date's published scores; `NotEnoughData` where there are none."""
    run = connection.execute(select(score_run).where(score_run.c.as_of == as_of)).one_or_none()
    if run is None:
        raise NotEnoughData(f"no scores of {as_of} were published")
    return ScoreSummary(
        as_of=as_of,
        version=run.version,
        tariff=run.tariff,
        rows=run.rows,
        quarantined=run.quarantined,
        by_predictor=run.by_predictor,
        by_class=run.by_class,
        net_total=run.net_total,
        earlier=_earlier(connection, as_of),
    )


def _earlier(connection: Connection, as_of: date) -> Earlier | None:
    run = connection.execute(
        select(score_run)
        .where(score_run.c.as_of < as_of, score_run.c.archive.is_(None))
        .order_by(score_run.c.as_of.desc())
        .limit(1)
    ).one_or_none()
    if run is None:
        return None
    before, now = score.alias("before"), score.alias("now")
    # Dates by value, so that only two partitions are looked at.
    both = before.join(now, before.c.policy_id == now.c.policy_id)
    dates = (before.c.as_of == run.as_of) & (now.c.as_of == as_of)
    counts = connection.execute(
        select(func.count(), func.count().filter(before.c.risk_class != now.c.risk_class))
        .select_from(both)
        .where(dates)
    ).one()
    moved = select(before.c.policy_id, before.c.net, now.c.net, before.c.risk_class, now.c.risk_class).select_from(both)
    change = func.abs(now.c.net - before.c.net)
    movers = connection.execute(
        moved.where(dates, before.c.net != now.c.net).order_by(change.desc(), now.c.policy_id).limit(MOVERS)
    )
    return Earlier(
        as_of=run.as_of,
        version=run.version,
        rows=run.rows,
        net_total=run.net_total,
        in_both=counts[0],
        class_changed=counts[1],
        movers=[Mover(*row) for row in movers],
    )


def as_markdown(summary: ScoreSummary) -> str:
    """The summary as Markdown, for logs, reports and Airflow."""
    lines = [
        f"# Scores as of {summary.as_of}",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in figures(summary).items()),
    ]
    if summary.earlier is not None and summary.earlier.movers:
        lines += [
            "",
            f"Biggest movers since {summary.earlier.as_of}:",
            "",
            "| policy | net premium before | now | change | class |",
            "|---|---|---|---|---|",
            *(f"| {' | '.join(row)} |" for row in mover_rows(summary.earlier)),
        ]
    return "\n".join(lines) + "\n"


def figures(summary: ScoreSummary) -> dict[str, str]:
    """Names and values of the summary, as people read them."""
    found = {
        "version": str(summary.version),
        "tariff": summary.tariff,
        "policies": f"{summary.rows:,}",
        "in quarantine": f"{summary.quarantined:,}",
        **{f"by {name}": f"{count:,}" for name, count in summary.by_predictor.items()},
        **{f"class {name}": f"{count:,}" for name, count in summary.by_class.items()},
        "net premium a year": f"{summary.net_total:,.2f} EUR",
    }
    if summary.earlier is not None:
        earlier = summary.earlier
        change = summary.net_total - earlier.net_total
        share = f" ({change / earlier.net_total:+.2%})" if earlier.net_total else ""
        found |= {
            f"since {earlier.as_of}": f"{change:+,.2f} EUR{share}, {summary.rows - earlier.rows:+,} policies, "
            f"version {earlier.version} then",
            "in another class": f"{earlier.class_changed:,} of {earlier.in_both:,} policies in both",
        }
    return found


def mover_rows(earlier: Earlier) -> list[tuple[str, ...]]:
    """A row of texts for each of the biggest movers: policy, premium before and now, change, class."""
    return [
        (
            mover.policy_id.replace("|", "\\|").replace("\n", " "),
            f"{mover.before:,.2f}",
            f"{mover.now:,.2f}",
            f"{mover.now - mover.before:+,.2f}",
            mover.class_now if mover.class_now == mover.class_before else f"{mover.class_before} → {mover.class_now}",
        )
        for mover in earlier.movers
    ]
