"""The steps of a scoring run as tasks see them: inputs and results are plain values, so that any executor fits."""

from dataclasses import asdict, replace
from datetime import date
from decimal import Decimal
from typing import Any


def plan_run(as_of: date, *, with_champion: bool, partitions: int | None) -> dict[str, Any]:
    """Plan a date's scoring, or take it up; `run` is what publishing needs, `missing` a list of partitions."""
    from motorisk.pipelines.scoring.planning import plan_scoring
    from motorisk.pipelines.scoring.versions import Choice
    from motorisk.settings import settings
    from motorisk_airflow.opening import warehouse
    from motorisk_airflow.runs import LOG

    plan = plan_scoring(
        warehouse(),
        as_of,
        choice=Choice.WITH_CHAMPION if with_champion else Choice.AS_APPROVED,
        partition_rows=settings().score_partition_rows,
        partitions=partitions,
        renewal_cap=settings().score_renewal_cap,
    )
    LOG.info(
        "Run %s as of %s: version %s, tariff %s, about %s policies, %s of %s partitions to do",
        *(
            plan.run_id,
            as_of,
            plan.version,
            plan.tariff,
            f"{plan.estimated_rows:,}",
            len(plan.missing),
            plan.partitions,
        ),
    )
    day = as_of.isoformat()
    return {
        "run": {"as_of": day, "run_id": plan.run_id},
        "missing": [asdict(part) | {"as_of": day} for part in plan.missing],
    }


def score_part(part: dict[str, Any]) -> int:
    """Score one partition that `plan_run` returned; return its number of policies."""
    from motorisk.pipelines.scoring.partition import score_partition
    from motorisk.pipelines.scoring.planning import Part
    from motorisk_airflow.opening import warehouse
    from motorisk_airflow.runs import log_progress

    typed = replace(Part(**part), as_of=date.fromisoformat(part["as_of"]))
    return score_partition(warehouse(), typed, log_progress("policies scored"))


def publish_run(run: dict[str, Any]) -> dict[str, Any]:
    """Publish a run; return what it published."""
    from motorisk.pipelines.scoring.publishing import publish_scores
    from motorisk.settings import settings
    from motorisk_airflow.opening import warehouse
    from motorisk_airflow.runs import LOG

    as_of = date.fromisoformat(run["as_of"])
    published = publish_scores(warehouse(), as_of, run["run_id"], settings().score_max_quarantined)
    if published.quarantined:
        LOG.warning("%s policies cannot be priced: see motorisk.score_quarantine", f"{published.quarantined:,}")
    LOG.info("Published %s scores as of %s", f"{published.rows:,}", as_of)
    return {
        name: str(value) if isinstance(value, date | Decimal) else value for name, value in asdict(published).items()
    }


def summarise_run(published: dict[str, Any]) -> str:
    """Write a published run's summary to the log and beside the other reports; return the file's path.

    Beside it, all renewals that are in another class (`class_changes.csv`).
    """
    from motorisk.files import make_folder
    from motorisk.pipelines.folders import score_reports
    from motorisk.pipelines.scoring.summary import as_markdown, summarise_scores, write_class_changes
    from motorisk.settings import settings
    from motorisk_airflow.opening import warehouse
    from motorisk_airflow.runs import LOG

    as_of = date.fromisoformat(published["as_of"])
    file = score_reports(settings(), as_of) / "summary.md"
    make_folder(file.parent)
    with warehouse().connect() as connection:
        summary = summarise_scores(connection, as_of)
        if summary.renewals is not None:
            write_class_changes(connection, as_of, file.with_name("class_changes.csv"))
    content = as_markdown(summary)
    for line in content.splitlines():
        LOG.info("%s", line)
    file.write_text(content)
    return str(file)
