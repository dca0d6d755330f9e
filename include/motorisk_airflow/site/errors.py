"""What went wrong as a page: a sentence for people; the API server's log says more."""

from airflow.api_fastapi.app import get_auth_manager
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from starlette.exceptions import HTTPException

from motorisk.errors import DatabaseUnavailable, MotoriskError
from motorisk_airflow.opening import Pool
from motorisk_airflow.site.answers import notice

AWAY = "The platform's database does not answer. Try again in a minute."
OUT_OF_STEP = "The platform's database was just changed. Try again."


def explain_errors(app: FastAPI, pool: Pool) -> None:
    """Answer every error with a page."""

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == 401:
            login = ("Log in", get_auth_manager().get_url_login(next_url=str(request.url)))
            return notice(401, "Log in first", "Motorisk is shown to people who are logged in to Airflow.", login)
        if error.status_code == 403:
            return notice(403, "Not allowed", f"You may not see this: ask for access to the DAG {_dag_of(request)}.")
        return notice(error.status_code, "No such page", "There is nothing to see here.")

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> Response:
        if "as_of" in request.path_params:
            return notice(404, "No such page", "Nights have a date, written YYYY-MM-DD.")
        if "version" in request.path_params:
            return notice(404, "Unknown model version", "There is no such model version.")
        return notice(404, "No such page", "There is nothing to see here.")

    @app.exception_handler(MotoriskError)
    def expected(request: Request, error: MotoriskError) -> Response:
        return notice(error.status, error.title, str(error))

    @app.exception_handler(DatabaseUnavailable)
    @app.exception_handler(OperationalError)
    @app.exception_handler(InterfaceError)
    def away(request: Request, error: Exception) -> Response:
        return notice(503, "Database unavailable", AWAY)

    @app.exception_handler(ProgrammingError)
    def out_of_step(request: Request, error: ProgrammingError) -> Response:
        pool.check_again()
        return notice(503, "Database schema out of step", OUT_OF_STEP)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        return notice(500, "Something went wrong", "The log of Airflow's API server says what.")


def _dag_of(request: Request) -> str:
    """The DAG by which access to a page is given."""
    inside = request.url.path.partition("/motorisk/")[2].partition("/")[0]
    return {"scores": "score_portfolio", "drift": "report_drift"}.get(inside, "approve_model")
