"""
### Compute yesterday's quotes again, and seal the ledger

**When** every night, for the quotes of the day that has just ended; or by hand with `as_of`.

**What** takes a sample of the day's quotes from the ledger and prices them again with the version and the tariff
that priced them, one by one as the quote service does and in arrays as scoring does. No difference is expected, to
the cent and to 1e-9. A day without quotes is green and empty-handed.

Beside that, every quote that is in no seal yet is sealed, and the audit trail, all seals and the quotes of the last
31 days are verified. The log tells the newest seal and event: kept elsewhere, they prove later that neither chain was
cut (`motorisk audit verify --anchor DIGEST`).

**If `verify` is red** the message names what was changed, removed or inserted, and the database was written to past
the platform: keep a copy of it, and find out who could (`docs/security.md`). *Late* quotes in the log of `seal` came
out of a journal; where no service was cut off from the database, somebody put them in.

**If `replay` is red** the message names quotes and figures. *By quoting*: the code that prices has changed, or a
version or a tariff was changed after it had priced; `motorisk quote replay QUOTE_ID` shows one quote. *By scoring
alone*: serving and batch price differently (training-serving skew); do not publish scores until that is found.
Customers keep the prices that they were told.

**Rerunning** a date takes the same sample, and seals what is new since.
"""

import motorisk_dags  # noqa: F401 - refuses a library that it was not written for
from airflow.sdk import DAG, CronDataIntervalTimetable, get_current_context, task

from motorisk_airflow.dates import as_of
from motorisk_airflow.defaults import COMMON, as_of_param

with DAG(
    dag_id="replay_quotes",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 4 * * *", timezone="UTC"),
    max_active_runs=1,
    params={"as_of": as_of_param()},
    tags=["motorisk", "quote"],
    **COMMON,
):

    @task
    def replay() -> dict[str, object]:
        """Replay a sample of a day's quotes; fail where anything differs."""
        from motorisk.pipelines.replay import SAMPLE, replay_days, require_exact
        from motorisk_airflow.opening import warehouse
        from motorisk_airflow.runs import log_progress

        day = as_of(get_current_context())
        run = replay_days(warehouse(), day, day, sample=SAMPLE, progress=log_progress("quotes replayed"))
        require_exact(run)
        return {"day": day.isoformat(), "quotes": run.quotes}

    @task
    def seal() -> dict[str, object]:
        """Seal every quote that is in no seal yet."""
        from motorisk_airflow.evidence import seal_quotes

        return seal_quotes()

    @task
    def verify() -> dict[str, object]:
        """Verify audit trail, seals and the quotes of the last month; fail where anything was tampered with."""
        from motorisk_airflow.evidence import verify_evidence

        return verify_evidence(as_of(get_current_context()))

    replay()
    seal() >> verify()
