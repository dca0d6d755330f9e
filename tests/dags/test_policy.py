"""What every DAG of the project has to keep to."""

import ast
import json
import os
import runpy
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).parents[2] / "dags"
WRITTEN_FOR = DAGS / "motorisk_dags.py"
NAMES = sorted(path.stem for path in DAGS.glob("*.py") if path != WRITTEN_FOR)
HEAVY = {"pandas", "numpy", "sklearn", "scipy", "evidently", "pyarrow", "matplotlib"}


def test_the_inventory_is_the_dags_of_the_design(dag_bag: Any) -> None:
    assert dag_bag.import_errors == {}
    assert sorted(dag_bag.dags) == [
        "approve_model",
        "replay_quotes",
        "report_drift",
        "report_performance",
        "retain_scores",
        "score_portfolio",
        "shadow_quotes",
        "train_model",
        "watch_configuration",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_is_named_like_its_file_and_explains_itself(dag_bag: Any, name: str) -> None:
    dag = dag_bag.dags[name]
    runbook = ast.get_docstring(ast.parse((DAGS / f"{name}.py").read_text()), clean=False)
    assert dag.doc_md == runbook
    for heading in ("**When**", "**What**", "**If", "**Rerunning**"):
        assert heading in runbook, f"the runbook of {name} lacks {heading}"


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_refuses_a_wrong_library_before_it_imports_anything_of_it(name: str) -> None:
    imported = [
        node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.parse((DAGS / f"{name}.py").read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert next(module for module in imported if module.startswith("motorisk")) == "motorisk_dags"


def test_the_dags_were_written_for_this_library_and_refuse_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    runpy.run_path(str(WRITTEN_FOR))
    monkeypatch.setenv("MOTORISK_IMAGE_TAG", "2031-01")
    for other in ("0.0.9", "0.2.0"):
        monkeypatch.setattr("importlib.metadata.version", lambda name, other=other: other)
        with pytest.raises(ImportError, match=rf"written for motorisk .*0\.1.*, this image 2031-01 has {other}"):
            runpy.run_path(str(WRITTEN_FOR))


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_has_an_owner_tags_a_parameter_and_catches_nothing_up(dag_bag: Any, name: str) -> None:
    dag = dag_bag.dags[name]
    assert dag.owner == "motorisk"
    assert "motorisk" in dag.tags
    assert {"as_of", "version"} & set(dag.params)
    assert dag.catchup is False


@pytest.mark.parametrize("name", NAMES)
def test_people_are_told_of_a_failed_run_and_of_the_next_good_one(dag_bag: Any, name: str) -> None:
    dag = dag_bag.dags[name]
    assert dag.on_failure_callback.resolves is False
    assert dag.on_success_callback.resolves is True


@pytest.mark.parametrize("name", NAMES)
def test_every_task_retries_lost_connections_only(dag_bag: Any, name: str) -> None:
    from airflow.sdk import RetryAction
    from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse
    from sqlalchemy.exc import OperationalError

    from motorisk.errors import DatabaseUnavailable, GateFailed, NotEnoughData

    airflow_away = AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500}))
    for task in dag_bag.dags[name].tasks:
        assert task.retries >= 1
        assert task.execution_timeout is not None
        assert task.execution_timeout <= timedelta(hours=2)

        def action(error: Exception, task: Any = task) -> Any:
            return task.retry_policy.evaluate(error, try_number=1, max_tries=3).action

        assert action(DatabaseUnavailable("gone")) is RetryAction.RETRY
        assert action(airflow_away) is RetryAction.RETRY
        assert action(OperationalError("select 1", {}, Exception("server closed the connection"))) is RetryAction.RETRY
        for wrong in (NotEnoughData("nothing"), GateFailed("missed"), ValueError("bad"), KeyError("x")):
            assert action(wrong) is RetryAction.FAIL


def test_parsing_dags_imports_nothing_heavy_and_connects_nowhere(airflow: Path) -> None:
    """In a fresh process, without a database to connect to."""
    program = f"""
import json, runpy, socket, sys
sys.path.append({str(DAGS)!r})
import airflow.sdk
import airflow.sdk.definitions.decorators
before = set(sys.modules)
def refuse(*arguments, **options):
    raise AssertionError("a DAG file connects while it is parsed")
socket.socket.connect = refuse
new = {{}}
for name in {sorted(NAMES)!r}:
    runpy.run_path({str(DAGS)!r} + "/" + name + ".py")
    new[name] = sorted({{module.partition(".")[0] for module in set(sys.modules) - before}})
print(json.dumps(new))
"""
    environment = {**os.environ, "MOTORISK_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, modules in json.loads(done.stdout.splitlines()[-1]).items():  # the first of them is the one to blame
        assert not HEAVY & set(modules), name


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_file_only_wires(name: str) -> None:
    tree = ast.parse((DAGS / f"{name}.py").read_text())
    longest = max((node.end_lineno or 0) - node.lineno for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    assert longest < 20, "logic belongs in motorisk.pipelines"
    runbook = tree.body[0].end_lineno or 0
    assert sum(1 for _ in (DAGS / f"{name}.py").open()) - runbook < 110
