"""The application that Airflow's API server mounts."""

from fastapi import FastAPI

from motorisk_airflow.opening import Pool
from motorisk_airflow.site.access import for_readers_of
from motorisk_airflow.site.drift import drift_router
from motorisk_airflow.site.errors import explain_errors
from motorisk_airflow.site.models import models_router
from motorisk_airflow.site.overview import overview_router


def application() -> FastAPI:
    """The pages, on one pool of connections.

    Who may see the DAG `approve_model` may see them; scores, drift, accuracy and runs, who may see the DAGs that make
    them too.
    """
    allowed = for_readers_of("approve_model")
    app = FastAPI(title="Motorisk", dependencies=[allowed], docs_url=None, redoc_url=None, openapi_url=None)
    pool = Pool()
    for router in (overview_router(pool), models_router(pool), drift_router(pool)):
        app.include_router(router)
    explain_errors(app, pool)
    return app
