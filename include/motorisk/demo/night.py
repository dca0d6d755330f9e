"""The first night in an Airflow that is up: training and approval, scores, drift."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from sqlalchemy import Engine, func, select

from motorisk.demo.airflow import AirflowApi
from motorisk.errors import ComponentFailed
from motorisk.registry.versions import find_champion
from motorisk.warehouse.tables import drift_run, score_run

NIGHT_SECONDS = 900
PEOPLE_SECONDS = 7 * 24 * 3600
"""As long as `approve_model` waits for an answer."""
DAGS = (
    "train_model",
    "approve_model",
    "score_portfolio",
    "report_drift",
    "report_performance",
    "replay_quotes",
    "shadow_quotes",
    "retain_scores",
    "watch_configuration",
)


class FirstNight:
    """Lets the DAGs run by their own schedules, one after another because the first scores need a champion.

    `wait` waits until something is done, or fails with what is said otherwise after so many seconds; `step` surrounds
    what is to be seen as one step; `logs` says where people find what tasks said.
    """

    def __init__(
        self,
        api: AirflowApi,
        engine: Engine,
        *,
        by_people: bool,
        wait: Callable[[Callable[[], bool], str, float], None],
        step: Callable[[str], AbstractContextManager[None]],
        logs: str,
    ) -> None:
        self._api = api
        self._engine = engine
        self._by_people = by_people
        self._wait = wait
        self._step = step
        self._logs = logs

    @staticmethod
    def is_over(engine: Engine) -> bool:
        """Whether there are a champion, scores, and the drift of their date."""
        return _has_champion(engine) and _has_scores(engine) and _has_drift(engine)

    def run(self) -> None:
        """Unpause and wait, step by step; what was done before is not done again."""
        waits_for = f" (waits for yours: {self._api.url}/required_actions)"
        within = PEOPLE_SECONDS if self._by_people else NIGHT_SECONDS
        with self._step("Night: training and approval" + self._by_people * waits_for):
            self._api.unpause("approve_model")
            self._api.unpause("train_model")
            has_champion = partial(_has_champion, self._engine)
            self._wait_for_run("train_model", "approve_model", until=has_champion, within=within)
        with self._step("Night: scoring"):
            for dag_id in DAGS:
                self._api.unpause(dag_id)
            self._wait_for_run("score_portfolio", until=partial(_has_scores, self._engine))
        with self._step("Night: drift"):
            self._wait_for_run("report_drift", until=partial(_has_drift, self._engine))

    def _wait_for_run(self, *dag_ids: str, until: Callable[[], bool], within: float = NIGHT_SECONDS) -> None:
        """Wait for what runs of the first DAG, and of others that it starts, bring about; say so when one fails."""
        if until():
            return
        # An earlier try was stopped in the middle of them, or somebody has seen to their cause since.
        past = {run["dag_run_id"] for run in map(self._api.newest_run, dag_ids) if run and run["state"] == "failed"}
        first = self._api.newest_run(dag_ids[0])
        if first and first["dag_run_id"] in past:
            self._api.trigger(dag_ids[0])

        def finished() -> bool:
            if until():
                return True
            errors = self._api.import_errors()
            if errors:
                raise ComponentFailed(f"Airflow cannot read a DAG: {errors[0]}")
            for dag_id in dag_ids:
                run = self._api.newest_run(dag_id)
                if run and run["state"] == "failed" and run["dag_run_id"] not in past:
                    page = f"{self._api.url}/dags/{dag_id}/runs/{run['dag_run_id']}"
                    raise ComponentFailed(f"{dag_id} failed; its logs are {self._logs} ({page})")
            return False

        self._wait(finished, f"{' and '.join(dag_ids)} did not finish", within)


def _has_champion(engine: Engine) -> bool:
    with engine.connect() as connection:
        return find_champion(connection) is not None


def _has_scores(engine: Engine) -> bool:
    with engine.connect() as connection:
        return connection.scalar(select(func.max(score_run.c.as_of))) is not None


def _has_drift(engine: Engine) -> bool:
    newest_scores = select(func.max(score_run.c.as_of)).scalar_subquery()
    with engine.connect() as connection:
        return connection.scalar(select(drift_run.c.as_of).where(drift_run.c.as_of >= newest_scores)) is not None
