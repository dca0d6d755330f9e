"""Seals and their verification as tasks see them: results are plain values."""

from datetime import UTC, date, datetime, time, timedelta

VERIFIED_DAYS = 31
"""Quotes of so many days are read again every night; `motorisk audit verify` reads all of them."""


def seal_quotes() -> dict[str, object]:
    """Seal what is new; the log tells the ends of both chains, and every late quote."""
    from motorisk.pipelines.audit.sealing import seal_quotes as seal
    from motorisk_airflow.opening import warehouse
    from motorisk_airflow.runs import LOG, log_progress

    sealed = seal(warehouse(), log_progress("hours sealed"))
    LOG.info("%d quotes sealed, %d of them late", sealed.quotes, sealed.late)
    for quote_id in sealed.late_quotes:
        LOG.warning("late: quote %s", quote_id)
    LOG.info("seal %d: %s", sealed.seal.number, sealed.seal.digest)
    LOG.info("event %d: %s", sealed.trail.number, sealed.trail.digest)
    return {
        "quotes": sealed.quotes,
        "late": sealed.late,
        "seal": sealed.seal.number,
        "seal_digest": sealed.seal.digest,
        "event": sealed.trail.number,
        "event_digest": sealed.trail.digest,
    }


def verify_evidence(day: date) -> dict[str, object]:
    """Verify both chains whole, and the quotes of the month before a day; `EvidenceBroken` names what is wrong."""
    from motorisk.pipelines.audit.verifying import require_intact, verify_audit
    from motorisk_airflow.opening import warehouse
    from motorisk_airflow.runs import LOG, log_progress

    since = datetime.combine(day, time(), UTC) - timedelta(days=VERIFIED_DAYS)
    run = verify_audit(warehouse(), since=since, progress=log_progress("hours verified"))
    for finding in run.findings:
        LOG.error("%s: %s", finding.what, finding.where)
    require_intact(run)
    return {"events": run.events, "seals": run.seals, "quotes": run.quotes, "late": run.late}
