"""Motorisk in Airflow's UI: a page in the navigation, a tab on runs, links from tasks.

The pages themselves are in `motorisk_airflow/site`. Airflow 3.3 shows a tab on the runs of every DAG or of none; on
those that measure no drift it says where to look.

Every component of Airflow imports this file when it starts: what is heavy waits until somebody opens a page.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink

from motorisk_airflow.pages import PREFIX, card_page, overview_page, run_tab, scores_page

if TYPE_CHECKING:
    from fastapi import FastAPI

Message = MutableMapping[str, Any]


class Pages:
    """The pages' application, made when the first of them is asked for."""

    def __init__(self) -> None:
        self._application: FastAPI | None = None

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer a request."""
        if self._application is None:
            from motorisk_airflow.site.application import application

            self._application = application()
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


class MotoriskPages(AirflowPlugin):
    """What Airflow's UI gets from Motorisk."""

    name = "motorisk_pages"
    fastapi_apps: ClassVar[list[Any]] = [{"app": Pages(), "url_prefix": PREFIX, "name": "Motorisk"}]
    external_views: ClassVar[list[Any]] = [
        {"name": "Motorisk", "href": overview_page(), "destination": "nav", "url_route": "motorisk"},
        {"name": "Drift", "href": run_tab(), "destination": "dag_run", "url_route": "motorisk-drift"},
    ]
    global_operator_extra_links: ClassVar[list[Any]] = [ModelCardLink(), ScoreSummaryLink()]
