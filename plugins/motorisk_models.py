"""Model versions, their cards and summaries of scores in Airflow's UI.

A page in the navigation, and links from the runs about a version and from those that score a date.

Every component of Airflow imports this file when it starts: what is heavy waits until somebody opens a page.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink

from motorisk_airflow.pages import PREFIX, card_page, models_page, scores_page

if TYPE_CHECKING:
    from fastapi import FastAPI, Response

HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
AWAY = "The platform's database does not answer. Try again in a minute."
LARGEST = 2**31 - 1

Message = MutableMapping[str, Any]


def _page(content: str, status: int = 200, *, policy: str | None = None, media_type: str = "text/html") -> "Response":
    from fastapi import Response

    from motorisk.modelling.card.html import content_security_policy

    policy = f"{policy or content_security_policy()}; frame-ancestors 'self'"
    return Response(content, status, {**HEADERS, "Content-Security-Policy": policy}, media_type)


def _notice(status: int, title: str, sentence: str, link: tuple[str, str] | None = None) -> "Response":
    from motorisk.modelling.card.html import notice_page

    return _page(notice_page(title, sentence, link or ("All versions", models_page())), status)


def _application() -> "FastAPI":
    """The pages. Who may see the DAG `approve_model` may see them, and scores who may see `score_portfolio` too."""
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, FastAPI, HTTPException, Path, Response

    from motorisk.modelling.card import html
    from motorisk.pipelines.card import card_of
    from motorisk.pipelines.scoring.page import summary_page
    from motorisk.pipelines.scoring.summary import summarise_scores
    from motorisk.registry.versions import all_versions
    from motorisk_airflow.opening import warehouse

    allowed = Depends(requires_access_dag("GET", param_dag_id="approve_model"))
    app = FastAPI(title="Motorisk models", dependencies=[allowed], docs_url=None, redoc_url=None, openapi_url=None)
    version_number = Annotated[int, Path(ge=1, le=LARGEST)]

    @app.get("/")
    def versions() -> Response:
        with warehouse().connect() as connection:
            return _page(html.versions_page(all_versions(connection), card_page))

    @app.get("/models/{version}")
    def card(version: version_number) -> Response:
        with warehouse().connect() as connection:
            found = card_of(connection, version)
        return _page(html.card_page(found, versions=models_page()))

    @app.get("/models/{version}/plots/{name}.svg")
    def plot(version: version_number, name: str) -> Response:
        with warehouse().connect() as connection:
            panel = card_of(connection, version).panels.get(name)
        if panel is None:
            raise HTTPException(404)
        image, policy = html.panel_image(panel)
        return _page(image, policy=policy, media_type="image/svg+xml")

    @app.get("/scores/{as_of}", dependencies=[Depends(requires_access_dag("GET", param_dag_id="score_portfolio"))])
    def scores(as_of: date) -> Response:
        with warehouse().connect() as connection:
            return _page(summary_page(summarise_scores(connection, as_of)))

    _explain_errors(app)
    return app


def _explain_errors(app: "FastAPI") -> None:
    """Say in a sentence what is wrong; the API server's log says more."""
    from airflow.api_fastapi.app import get_auth_manager
    from fastapi import Request, Response
    from fastapi.exceptions import RequestValidationError
    from sqlalchemy.exc import InterfaceError, OperationalError
    from starlette.exceptions import HTTPException

    from motorisk.errors import DatabaseUnavailable, MotoriskError

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == 401:
            login = ("Log in", get_auth_manager().get_url_login(next_url=str(request.url)))
            return _notice(401, "Log in first", "Models are shown to people who are logged in to Airflow.", login)
        if error.status_code == 403:
            return _notice(403, "Not allowed", "You may not see models: ask for access to the DAG approve_model.")
        return _notice(error.status_code, "No such page", "There is nothing to see here.")

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> Response:
        if "as_of" in request.path_params:
            return _notice(404, "No such page", "Scores have a date, written YYYY-MM-DD.")
        return _notice(404, "Unknown model version", "There is no such model version.")

    @app.exception_handler(MotoriskError)
    def expected(request: Request, error: MotoriskError) -> Response:
        return _notice(error.status, error.title, str(error))

    @app.exception_handler(DatabaseUnavailable)
    @app.exception_handler(OperationalError)
    @app.exception_handler(InterfaceError)
    def away(request: Request, error: Exception) -> Response:
        return _notice(503, "Database unavailable", AWAY)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        return _notice(500, "Something went wrong", "The log of Airflow's API server says what.")


class Pages:
    """The pages' application, made when the first of them is asked for."""

    def __init__(self) -> None:
        self._application: FastAPI | None = None

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer a request."""
        if self._application is None:
            self._application = _application()
        await self._application(scope, receive, send)


def _told(ti_key: Any, teller: str) -> Any:
    """What a task of the run has returned; None before it has."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = XComModel.get_many(key="return_value", run_id=ti_key.run_id, dag_ids=ti_key.dag_id, task_ids=teller)
        found = session.execute(query.with_only_columns(XComModel.value)).first()
    return None if found is None else XComModel.deserialize_value(found)


class ModelCardLink(BaseOperatorLink):
    """From the tasks of runs about one version to the version's card."""

    name = "Model card"
    told_by: ClassVar[dict[str, str]] = {"approve_model": "card", "train_model": "fit"}
    """DAGs, and the task of each that returns the version."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Address of the card; empty, which shows no link, in other DAGs and before the version is known."""
        teller = self.told_by.get(ti_key.dag_id)
        if teller is None:
            return ""
        told = _told(ti_key, teller)
        version = told.get("version") if isinstance(told, dict) else told
        return card_page(version) if isinstance(version, int) else ""


class ScoreSummaryLink(BaseOperatorLink):
    """From the tasks of a scoring run to the summary of the date's scores."""

    name = "Score summary"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Address of the summary; empty, which shows no link, in other DAGs and before the scores are published."""
        told = _told(ti_key, "publish") if ti_key.dag_id == "score_portfolio" else None
        return scores_page(told["as_of"]) if isinstance(told, dict) and "as_of" in told else ""


class MotoriskModels(AirflowPlugin):
    """What Airflow's UI gets from Motorisk."""

    name = "motorisk_models"
    fastapi_apps: ClassVar[list[Any]] = [{"app": Pages(), "url_prefix": PREFIX, "name": "Motorisk models"}]
    external_views: ClassVar[list[Any]] = [
        {"name": "Motorisk models", "href": models_page(), "destination": "nav", "url_route": "motorisk-models"}
    ]
    global_operator_extra_links: ClassVar[list[Any]] = [ModelCardLink(), ScoreSummaryLink()]
