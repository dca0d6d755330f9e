"""
### Price new quotes with the challengers too

**When** every ten minutes; or by hand, with `version` for one shadow alone. Where `motorisk shadow run` goes on beside
the quote service, this finds what that one has missed; both at once do no harm.

**What** for every running shadow (`motorisk shadow start V --by WHO`) `price` takes the quotes from the ledger that it
has not priced yet, those that came late through a journal included, prices them in the tariffs that they were quoted
in, and stores the result in `motorisk.shadow_quote`. `report` writes into its log what the challengers would have
answered to the quotes of the last seven days; `motorisk shadow report V` tells of other days. Customers notice nothing:
the quote service takes no part in it. Without a shadow both tasks are green and empty-handed.

**If it is red** quotes are answered as ever, and the other shadows are priced. *Rating plan refused*: the version's
plan was changed after training, or prices nonsense; stop it (`motorisk shadow stop V --by WHO`) and reject it. *No
tariff*: a tariff that quotes were priced in has gone from `motorisk.tariff`; put it back. A lost connection is retried
by itself.

**Rerunning** prices what is missing, each quote once.
"""

import motorisk_dags  # noqa: F401 - refuses a library that it was not written for
from airflow.sdk import DAG, CronDataIntervalTimetable, Param, get_current_context, task

from motorisk_airflow.defaults import COMMON

with DAG(
    dag_id="shadow_quotes",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("*/10 * * * *", timezone="UTC"),
    max_active_runs=1,
    params={"version": Param(None, type=["null", "integer"], title="Version", description="Empty: every shadow.")},
    tags=["motorisk", "quote", "model"],
    **COMMON,
):

    @task
    def price() -> list[dict[str, int]]:
        """Price what is missing with every shadow; fail where one is refused, when the others are done."""
        from motorisk.pipelines.shadow.following import follow, require_followed
        from motorisk_airflow.opening import warehouse

        followed = follow(warehouse(), version=get_current_context()["params"]["version"])
        require_followed(followed)
        return [{"version": one.version, "quotes": one.quotes} for one in followed]

    @task
    def report(priced: list[dict[str, int]]) -> None:
        """Write the shadows' reports into the log."""
        from motorisk_airflow.shadows import log_reports

        log_reports(one["version"] for one in priced)

    report(price())  # type: ignore[arg-type]
