"""What a date's scores say to people: counts, premiums against the run before, and who moved most."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from psycopg2 import sql
from sqlalchemy import Connection, Row, func, select

from motorisk.errors import NotEnoughData
from motorisk.warehouse.copying import copy_out
from motorisk.warehouse.tables import score, score_run

MOVERS = 10
MOVER_HEADINGS = ("policy", "net premium before", "now", "change", "class")


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
class Renewals:
    """Policies with a premium of a year before, and those of them in another class, the largest changes first."""

    since: date
    policies: int
    capped: int
    cap: Decimal | None
    class_changed: int
    class_changes: list[Mover]


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
    renewals: Renewals | None


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
        renewals=_renewals(connection, run),
    )


def _renewals(connection: Connection, run: Row[Any]) -> Renewals | None:
    if run.before is None:
        return None
    columns = (score.c.policy_id, score.c.net_before, score.c.net, score.c.class_before, score.c.risk_class)
    changed = (score.c.as_of == run.as_of) & (score.c.class_before != score.c.risk_class)
    change = func.abs(score.c.net - score.c.net_before)
    found = connection.execute(select(*columns).where(changed).order_by(change.desc(), score.c.policy_id).limit(MOVERS))
    return Renewals(
        since=run.before,
        policies=run.renewals,
        capped=run.capped,
        cap=run.renewal_cap,
        class_changed=run.class_changed,
        class_changes=[Mover(*row) for row in found],
    )


def write_class_changes(connection: Connection, as_of: date, file: Path) -> None:
    """All renewals that are in another class than a year before, as CSV; premiums in euros a year."""
    columns = ("policy_id", "class_before", "risk_class", "net_before", "net", "capped")
    query = sql.SQL(
        "SELECT {} FROM motorisk.score WHERE as_of = %(as_of)s AND class_before <> risk_class ORDER BY policy_id"
    ).format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    with file.open("wb") as opened:
        opened.write(f"{','.join(columns)}\n".encode())
        copy_out(connection, query, {"as_of": as_of}, opened)


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
    for heading, movers in lists(summary).items():
        lines += [
            "",
            f"{heading}:",
            "",
            f"| {' | '.join(MOVER_HEADINGS)} |",
            "|---|---|---|---|---|",
            *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in mover_rows(movers)),
        ]
    return "\n".join(lines) + "\n"


def lists(summary: ScoreSummary) -> dict[str, list[Mover]]:
    """Policies that people should look at, by what they have in common."""
    found = {}
    if summary.earlier is not None and summary.earlier.movers:
        found[f"Biggest movers since {summary.earlier.as_of}"] = summary.earlier.movers
    if summary.renewals is not None and summary.renewals.class_changes:
        found[f"In another class than on {summary.renewals.since}"] = summary.renewals.class_changes
    return found


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
    if summary.renewals is not None:
        renewals = summary.renewals
        cap = "no cap" if renewals.cap is None else f"{renewals.capped:,} kept within {renewals.cap:.2%}"
        found |= {
            f"renewals with a premium of {renewals.since}": f"{renewals.policies:,}, {cap}",
            "renewals in another class": f"{renewals.class_changed:,}",
        }
    return found


def mover_rows(movers: list[Mover]) -> list[tuple[str, ...]]:
    """A row of texts for each, below `MOVER_HEADINGS`."""
    return [
        (
            mover.policy_id.replace("\n", " "),
            f"{mover.before:,.2f}",
            f"{mover.now:,.2f}",
            f"{mover.now - mover.before:+,.2f}",
            mover.class_now if mover.class_now == mover.class_before else f"{mover.class_before} → {mover.class_now}",
        )
        for mover in movers
    ]
