"""Pages of a night's drift: by its date, by the run that measured it (a tab of the run), and Evidently's own."""

from datetime import date

from fastapi import APIRouter, Response

from motorisk.monitoring.measures import Kind
from motorisk.monitoring.workspace import Workspace
from motorisk.pipelines.folders import drift_workspace
from motorisk.pipelines.overview.drift_night import drift_of_night, newest_night
from motorisk.pipelines.overview.page import drift_page, policy
from motorisk.settings import settings
from motorisk_airflow import pages
from motorisk_airflow.nights import dates_of_run
from motorisk_airflow.opening import Pool
from motorisk_airflow.site.access import for_readers_of
from motorisk_airflow.site.answers import notice, page

MEASURES = "report_drift"
# Evidently's page has scripts of its own: they run as nobody, without Airflow's cookies, and load nothing.
EVIDENTLY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
)


def drift_router(pool: Pool) -> APIRouter:
    """What nights said of drift."""
    router = APIRouter(dependencies=[for_readers_of(MEASURES)])

    def night(as_of: date, others: list[date]) -> Response:
        with pool.connect() as connection:
            found = drift_of_night(connection, as_of)
        has_full_report = _workspace().has(Kind.POLICIES, as_of)
        content = drift_page(found, pages.AirflowAddresses(), others=others, has_full_report=has_full_report)
        return page(content, policy=policy())

    @router.get("/drift")
    def of_run(dag_id: str, run_id: str) -> Response:
        # Airflow shows a tab on the runs of every DAG or of none.
        if dag_id != MEASURES:
            return _elsewhere(pool)
        dates = dates_of_run(dag_id, run_id)
        if not dates:
            return notice(200, "Drift", "This run has measured nothing yet. Its log says how far it is.")
        return night(dates[-1], dates[:-1])

    @router.get("/drift/{as_of}")
    def of_date(as_of: date) -> Response:
        return night(as_of, [])

    @router.get("/drift/{as_of}/report")
    def full_report(as_of: date) -> Response:
        report = _workspace().html(Kind.POLICIES, as_of)
        if report is None:
            sentence = "Evidently's workspace has no report of this night, or is not where Airflow's API server runs."
            return notice(404, "No full report", sentence)
        return page(report, policy=EVIDENTLY)

    return router


def _workspace() -> Workspace:
    return Workspace(drift_workspace(settings()))


def _elsewhere(pool: Pool) -> Response:
    with pool.connect() as connection:
        newest = newest_night(connection)
    sentence = f"Drift is measured by the runs of {MEASURES}, after every publication of scores."
    if newest is None:
        return notice(200, "Drift", f"{sentence} None has measured it yet.")
    return notice(200, "Drift", sentence, (f"Drift as of {newest}", pages.drift_page(str(newest))))
