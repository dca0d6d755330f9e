"""Retention of scores as tasks see it: inputs and results are plain values."""

from datetime import date
from typing import Any


def plan_retention(today: date, keep_months: int | None) -> list[str]:
    """Dates whose scores are to leave the database as of a day, the oldest first; what stays is told in the log."""
    from motorisk.domain.calendar import add_months
    from motorisk.pipelines.scoring.retention import old_scores
    from motorisk.settings import settings
    from motorisk_airflow.opening import warehouse
    from motorisk_airflow.runs import LOG

    months = settings().score_keep_months if keep_months is None else keep_months
    before = add_months(today, -months)
    found = old_scores(warehouse(), before)
    going = [old for old in found if old.kept_for is None]
    LOG.info("%s of %s dates before %s are to leave the database", len(going), len(found), before)
    for old in found:
        said = "to the archive" if old.kept_for is None else f"kept: {old.kept_for}"
        LOG.info("%s: %s policies, %.1f MB, %s", old.as_of, f"{old.rows:,}", old.size / 1e6, said)
    return [old.as_of.isoformat() for old in going]


def archive_date(as_of: str) -> dict[str, Any] | None:
    """Move one date's scores to the archive; return what its file is, None where somebody else has moved them."""
    from motorisk.pipelines.folders import score_archive
    from motorisk.pipelines.scoring.retention import archive_scores
    from motorisk.settings import settings
    from motorisk_airflow.opening import warehouse
    from motorisk_airflow.runs import LOG

    done = archive_scores(warehouse(), date.fromisoformat(as_of), score_archive(settings()))
    if done is None:
        LOG.info("The scores of %s are not in the database any more", as_of)
        return None
    LOG.info("%s policies of %s are in %s now (%.1f MB)", f"{done.rows:,}", as_of, done.file, done.size / 1e6)
    return {"as_of": as_of, "rows": done.rows, "file": str(done.file), "size": done.size}
