"""Who may see what: whoever may see the DAG that makes it."""

from collections.abc import Callable
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends


def for_readers_of(dag_id: str) -> Any:
    """A dependency of pages: 401 for who is not logged in, 403 for who may not see the DAG."""
    return Depends(requires_access_dag("GET", param_dag_id=dag_id))


def _may_see_runs(user: GetUserDep) -> Callable[[str], bool]:
    def allowed(dag_id: str) -> bool:
        return bool(
            get_auth_manager().is_authorized_dag(
                method="GET",
                access_entity=DagAccessEntity.RUN,
                details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)),
                user=user,
            )
        )

    return allowed


MaySeeRuns = Annotated[Callable[[str], bool], Depends(_may_see_runs)]
"""Says of a DAG whether the reader may see its runs."""
