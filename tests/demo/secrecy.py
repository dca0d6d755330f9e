"""What a night shows, searched for its secrets."""

import json
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from motorisk.settings import Settings
from motorisk.warehouse.database import server_url


def command_lines(demo: subprocess.Popen[str]) -> str:
    """What everybody on the machine can see of the demo and its descendants."""
    lines = []
    for process in (psutil.Process(demo.pid), *psutil.Process(demo.pid).children(recursive=True)):
        with suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    assert len(lines) > 5
    return "\n".join(lines)


def no_secret_is_shown(home: Path, told: set[str], texts: dict[str, str]) -> None:
    """Neither in what a night has printed and logged, nor in what Airflow's tables hold of its tasks."""
    kept = [json.loads((home / "airflow" / name).read_text()) for name in ("passwords.json", "secrets.json")]
    secrets = {*told, *kept[0].values(), *kept[1].values()}
    logs = list(home.rglob("*.log"))
    assert len(logs) > 10
    texts |= {str(path): path.read_text(errors="replace") for path in logs}
    assert any("Alertmanager was not told" in text for text in texts.values()), "the secret address was used"
    texts["the mark of a migration"] = (home / "airflow" / "migrated").read_text()
    engine = create_engine(server_url(Settings(home=home), "airflow"), poolclass=NullPool)
    with engine.connect() as connection:
        for table in ("xcom", "rendered_task_instance_fields", "dag_run", "log", "task_instance", "serialized_dag"):
            rows = connection.scalars(text(f"SELECT to_jsonb(t)::text FROM {table} t")).all()
            texts[f"Airflow's table {table}"] = "\n".join(rows)
    assert texts["Airflow's table xcom"]
    found = [(secret, place) for place, words in texts.items() for secret in secrets if secret in words]
    assert found == []
