"""The tasks that the page about the ML Test Score names are tasks of the DAGs."""

from typing import Any

from tests.ml_test_score import named


def test_every_named_task_exists(dag_bag: Any) -> None:
    assert named("task") <= {f"{name}.{task}" for name, dag in dag_bag.dags.items() for task in dag.task_ids}
