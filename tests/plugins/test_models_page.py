"""Model versions and their cards in Airflow's UI: for people who are logged in, on a real API server."""

import json
import os
import re
import subprocess
import sys
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import text

from motorisk.modelling.card.html import content_security_policy, frame_script
from motorisk.pipelines.score import score_portfolio

PLUGINS = Path(__file__).parents[2] / "plugins"
HEAVY = {"fastapi", "flask", "jinja2", "matplotlib", "numpy", "pandas", "psycopg2", "pydantic_settings", "scipy"}
PAGES = (
    "/motorisk/",
    "/motorisk/models",
    "/motorisk/models/1",
    "/motorisk/models/99",
    "/motorisk/models/1/plots/term-age.svg",
    "/motorisk/scores/2024-03-15",
    "/motorisk/drift?dag_id=report_drift&run_id=manual",
    "/motorisk/drift?dag_id=train_model&run_id=manual",
    "/motorisk/drift/2024-03-15",
    "/motorisk/drift/2024-03-15/report",
)


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_models_without_logging_in(platform: Any, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Cookie": "_token=nonsense"}):
        answer = platform.client().get(path, headers=headers)
        assert answer.status_code in (401, 403)
        assert "1500" not in answer.text
        assert "1,500" not in answer.text
    login = re.search(r'<a href="([^"]+)">Log in</a>', platform.client().get(path).text)
    assert login is not None
    assert platform.client().get(unescape(login[1]), follow_redirects=True).is_success


def test_an_underwriter_sees_the_versions_and_their_cards(platform: Any) -> None:
    uma = platform.client("uma")
    versions = uma.get("/motorisk/models")
    assert versions.status_code == 200
    assert f'<a href="/motorisk/models/{platform.offered}">Version {platform.offered}</a>' in versions.text
    card = uma.get(f"/motorisk/models/{platform.offered}")
    assert f"<h1>Model version {platform.offered}</h1>" in card.text
    assert "tess &lt;script&gt;alert(1)&lt;/script&gt;" in card.text
    policy = content_security_policy(script=frame_script())
    for answer in (versions, card):
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.text.count("<script") == 1
        assert f"<script>{frame_script()}</script>" in answer.text
        assert answer.headers["Content-Security-Policy"] == f"{policy}; frame-ancestors 'self'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_plots_are_images_under_the_same_roof(platform: Any) -> None:
    answer = platform.client("uma").get(f"/motorisk/models/{platform.offered}/plots/trend-training.svg")
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert ET.fromstring(answer.text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  our own


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize(
    "path",
    [
        "/motorisk/models/99",
        "/motorisk/models/0",
        "/motorisk/models/-1",
        "/motorisk/models/99999999999999999999",
        "/motorisk/models/one",
        "/motorisk/models/1/plots/term-shoe.svg",
        "/motorisk/models/1/plots/..%2F..%2Fpage.svg",
        "/motorisk/nothing",
        "/motorisk/?until=2024-13",
        "/motorisk/drift",
        "/motorisk/drift/yesterday",
        "/motorisk/drift/2024-03-15/report",
        "/motorisk/drift/..%2F..%2Fsecrets/report",
        "/motorisk/docs",
        "/motorisk/openapi.json",
    ],
)
def test_what_is_not_there_is_a_sentence(platform: Any, path: str) -> None:
    answer = platform.client("uma").get(path)
    assert answer.status_code == 404
    assert "<h1>" in answer.text
    assert 'href="/motorisk/"' in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.fault("Postgres stopped")
def test_a_database_that_is_away_is_a_sentence(platform: Any) -> None:
    uma = platform.client("uma")
    database = platform.warehouse.url.database
    with platform.maintenance.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false"))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :d"), {"d": database}
        )
    try:
        away = uma.get("/motorisk/models/1")
    finally:
        with platform.maintenance.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS true"))
    assert away.status_code == 503
    assert "does not answer" in away.text
    assert database not in away.text
    assert uma.get("/motorisk/models/1").status_code == 200


@pytest.mark.fault("corrupted rating plan")
def test_a_plan_that_was_changed_is_a_sentence(platform: Any) -> None:
    change = text("UPDATE motorisk.model_version SET plan = replace(plan, 'trend_gam', :to) WHERE version = :version")
    with platform.warehouse.begin() as connection:
        before = connection.scalar(text("SELECT plan FROM motorisk.model_version WHERE version = 2"))
        connection.execute(change, {"to": "gam", "version": 2})
    answer = platform.client("uma").get("/motorisk/models/2")
    with platform.warehouse.begin() as connection:
        connection.execute(text("UPDATE motorisk.model_version SET plan = :plan WHERE version = 2"), {"plan": before})
    assert answer.status_code == 500
    assert "changed after training" in answer.text
    assert "Traceback" not in answer.text


def test_the_navigation_leads_to_the_page(platform: Any) -> None:
    plugins = platform.client("admin").get("/api/v2/plugins").json()["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "motorisk_pages"]
    assert [(view["name"], view["href"], view["destination"]) for view in ours["external_views"]] == [
        ("Motorisk", "/motorisk/", "nav"),
        ("Drift", "/motorisk/drift?dag_id={DAG_ID}&run_id={RUN_ID}", "dag_run"),
    ]
    assert platform.client("admin").get("/api/v2/plugins/importErrors").json()["import_errors"] == []


def test_every_component_reads_the_plugin_at_no_cost(platform: Any) -> None:
    """In a fresh process, without a database to connect to."""
    program = f"""
import json, runpy, socket, sys
import airflow.plugins_manager, airflow.sdk
airflow.sdk.BaseOperatorLink
before = set(sys.modules)
def refuse(*arguments, **options):
    raise AssertionError("the plugin connects while it is read")
socket.socket.connect = refuse
runpy.run_path({str(PLUGINS / "motorisk_pages.py")!r})
print(json.dumps(sorted({{module.partition(".")[0] for module in set(sys.modules) - before}})))
"""
    environment = {**os.environ, "MOTORISK_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    environment |= {name: value for name, value in platform.environment.items() if name.startswith("AIRFLOW")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_the_summary_of_scores_is_a_page_for_people_who_are_logged_in(platform: Any) -> None:
    with platform.warehouse.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO insurance.policy SELECT '<b>' || n, NULL, '2024-01-01', '2025-01-01', false, 40, true, "
                "40, 90, 20 FROM generate_series(1, 1234) n"
            )
        )
    for day in ("2024-03-14", "2024-03-15"):
        score_portfolio(platform.warehouse, date.fromisoformat(day))
        with platform.warehouse.begin() as connection:
            connection.execute(text("UPDATE insurance.policy SET miles = 90 WHERE policy_id = '<b>7'"))
    page = "/motorisk/scores/2024-03-15"
    assert platform.client().get(page).status_code == 401
    found = platform.client("uma").get(page)
    assert found.status_code == 200
    assert "<h1>Scores as of 2024-03-15</h1>" in found.text
    assert "<dd>1,234</dd>" in found.text
    assert "Biggest movers since 2024-03-14" in found.text
    assert "&lt;b&gt;7" in found.text
    assert "<b>" not in found.text
    for missing, status, sentence in (
        ("2024-03-16", 422, "no scores of 2024-03-16 were published"),
        ("yesterday", 404, "Nights have a date"),
    ):
        answer = platform.client("uma").get(f"/motorisk/scores/{missing}")
        assert answer.status_code == status
        assert sentence in answer.text
