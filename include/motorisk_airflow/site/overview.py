"""The page behind *Motorisk* in the navigation."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from motorisk.domain.calendar import parse_month
from motorisk.pipelines.overview.accuracy import AccuracyHistory
from motorisk.pipelines.overview.heat_map import heat_map
from motorisk.pipelines.overview.nights import last_nights
from motorisk.pipelines.overview.page import NIGHTLY, Overview, overview_page, policy
from motorisk.registry.versions import all_versions
from motorisk_airflow.nights import last_runs
from motorisk_airflow.opening import Pool
from motorisk_airflow.pages import AirflowAddresses
from motorisk_airflow.site.access import MaySeeRuns
from motorisk_airflow.site.answers import page

MONTH = r"^[1-9]\d{3}-(0[1-9]|1[0-2])$"


def overview_router(pool: Pool) -> APIRouter:
    """The overview; parts that the reader may not see say so."""
    router = APIRouter()
    history = AccuracyHistory()

    @router.get("/")
    def overview(may_see: MaySeeRuns, until: Annotated[str | None, Query(pattern=MONTH)] = None) -> Response:
        seen = [dag_id for dag_id in NIGHTLY if may_see(dag_id)]
        runs = last_runs(seen)
        month = None if until is None else parse_month(until)
        with pool.connect() as connection:
            found = Overview(
                versions=all_versions(connection),
                heat_map=heat_map(connection, month) if "report_drift" in seen else None,
                accuracy=history.read(connection) if "report_performance" in seen else None,
                nights=last_nights(connection, runs) if "score_portfolio" in seen else None,
            )
        return page(overview_page(found, AirflowAddresses()), policy=policy())

    return router
