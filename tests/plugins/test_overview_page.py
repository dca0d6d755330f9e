"""The overview and the drift of runs, on a night that Airflow ran for real; screenshots under `tests/artifacts/`."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from pydantic import SecretStr
from sqlalchemy import insert, text

from motorisk.domain.calendar import add_months
from motorisk.domain.policy import FEATURES
from motorisk.modelling.snapshot import extract_snapshot
from motorisk.pipelines.folders import snapshots
from motorisk.pipelines.overview.page import policy
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.registry.versions import all_versions
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import drift_metric, drift_run

ARTIFACTS = Path(__file__).parents[1] / "artifacts" / "airflow-pages"
DESK, PHONE = {"width": 1400, "height": 1000}, {"width": 390, "height": 800}
NASTY = '"><img src=x onerror=alert(1)>'
NIGHT = "2025-09-30"


@pytest.fixture(scope="module")
def world(platform: Any, offer: Callable[..., int]) -> None:
    """Policies with outcomes, a reference, a version that took over, and years of drift reports before them."""
    warehouse = platform.warehouse
    simulate_portfolio(
        warehouse, Simulation(start=date(2024, 4, 1), months=18, policies_a_month=400, label_delay_months=2)
    )
    database = SecretStr(warehouse.url.render_as_string(hide_password=False))
    settings = Settings(home=Path(platform.environment["MOTORISK_HOME"]), database_url=database)
    with warehouse.connect() as connection:
        snapshot = extract_snapshot(connection, date(2024, 7, 31), 12)
    snapshot.save(snapshots(settings))
    second = offer(warehouse, 3.0)
    with warehouse.begin() as connection:
        parameters = json.dumps({"window_months": 12, "history_months": 12})
        connection.execute(
            text("UPDATE motorisk.model_version SET snapshot_digest = :digest, parameters = parameters || :parameters"),
            {"digest": snapshot.digest, "parameters": parameters},
        )
        connection.execute(
            text(
                "UPDATE motorisk.model_version SET state = 'retired', as_of = '2025-02-28', approved_by = 'uma', "
                "approved_at = now() WHERE version = :version"
            ),
            {"version": second},
        )
        for ahead in range(40):
            month = add_months(date(2022, 4, 1), ahead)
            as_of = add_months(month, 1)
            connection.execute(
                insert(drift_run),
                {
                    "as_of": as_of,
                    "version": 1,
                    "month": month,
                    "rows": 1500,
                    "reference_rows": 1500,
                    "dataset_drift": ahead >= 30,
                    "drifted_share": 0.5,
                    "report": "report.html",
                },
            )
            speeds = dict(zip((*FEATURES, NASTY), (1, 9, 7, 2, 1, 16, 3), strict=True))
            connection.execute(
                insert(drift_metric),
                [
                    {
                        "as_of": as_of,
                        "feature": name,
                        "score": 0.02 + speed * ahead / 1500,
                        "threshold": 0.11,
                        "drifted": 0.02 + speed * ahead / 1500 >= 0.11,
                        "method": "distance",
                        "says": f"{name} has a score of {0.02 + speed * ahead / 1500:.3f}.",
                    }
                    for name, speed in speeds.items()
                ],
            )


@pytest.fixture(scope="module")
def night(platform: Any, world: None) -> Iterator[Callable[[], dict[str, str]]]:
    """Waits for the night, which runs beside the first tests: the run of each DAG, all of them green."""
    log = Path(platform.environment["AIRFLOW_HOME"]) / "night.log"
    command = [sys.executable, Path(__file__).with_name("nights.py"), NIGHT]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=platform.environment, stdout=output, stderr=subprocess.STDOUT)

    def runs() -> dict[str, str]:
        assert process.wait(180) == 0, log.read_text()[-3000:]
        found = [line.split() for line in log.read_text().splitlines() if line.startswith(("score_", "report_"))]
        runs = {dag_id: run_id for dag_id, run_id, state in found if state == "success"}
        assert runs.keys() == {"score_portfolio", "report_drift", "report_performance"}, found
        return runs

    yield runs
    process.kill()
    process.wait()


@pytest.mark.bad_input("names with markup")
@pytest.mark.usefixtures("night")
def test_hostile_names_are_text_and_the_policy_lets_nothing_in(platform: Any) -> None:
    uma = platform.client("uma")
    for path in ("/motorisk/?until=2025-07", "/motorisk/drift/2025-08-01"):
        answer = uma.get(path)
        assert answer.status_code == 200
        assert "&lt;img src=x onerror=alert(1)&gt;" in answer.text
        assert "<img" not in answer.text
        assert answer.headers["Content-Security-Policy"] == f"{policy()}; frame-ancestors 'self'"
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_overview_tells_of_the_night(platform: Any, night: Callable[[], dict[str, str]]) -> None:
    runs = night()
    note = platform.client("admin").patch(
        f"/api/v2/dags/score_portfolio/dagRuns/{runs['score_portfolio']}", json={"note": f"Checked. {NASTY}"}
    )
    assert note.is_success, note.text
    page = platform.client("uma").get("/motorisk/").text
    with platform.warehouse.connect() as connection:
        states = {version.version: version.state for version in all_versions(connection)}
    for version, state in states.items():  # which of them is the champion was decided by other tests
        assert (f'champion is <a href="/motorisk/models/{version}">' in page) == (state == "approved")
        assert (f"Version {version} waits to be decided" in page) == (state == "validated")
    assert "approved" in states.values()
    assert f'<a href="/motorisk/scores/{NIGHT}">4,800</a>' in page
    assert "Checked. &#34;&gt;&lt;img" in page
    assert f'href="/motorisk/drift/{NIGHT}#feature-miles"' in page
    # Both were trained as of one day; the later one serves the months after it, once somebody has approved it.
    first = platform.offered if states[platform.offered] == "approved" else platform.champion
    assert f"by version {first} had nobody trained again" in page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_navigation_leads_to_the_overview(
    night: Callable[[], dict[str, str]], uma: Callable[..., Page], scheme: str
) -> None:
    night()
    page = uma(color_scheme=scheme, viewport=DESK)
    page.goto("/")
    label = page.get_by_role("link", name="Motorisk", exact=True)
    assert label.evaluate("link => [...link.querySelectorAll('*')].every(e => e.scrollWidth <= e.clientWidth + 1)")
    label.click()
    frame = page.frame_locator("iframe[title=Motorisk]")
    expect(frame.get_by_role("heading", name="Drift by feature and month")).to_be_visible()
    assert (_brightness(frame.locator("body")) > 200) == (scheme == "light")
    page.screenshot(path=ARTIFACTS / f"overview-in-airflow-{scheme}.png")
    cell = frame.get_by_role("link", name="miles drifts in 2025-09").first
    assert "miles drifts since about" in (cell.get_attribute("title") or "")
    cell.click()
    expect(frame.get_by_role("heading", name=f"Drift as of {NIGHT}")).to_be_visible()
    expect(frame.get_by_role("heading", name="miles")).to_be_in_viewport()
    frame.get_by_role("link", name="Motorisk", exact=True).click()
    frame.get_by_role("link", name="4,800").click()
    expect(frame.get_by_role("heading", name=f"Scores as of {NIGHT}")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_read_by_everybody(
    night: Callable[[], dict[str, str]], uma: Callable[..., Page], scheme: str
) -> None:
    night()
    page = uma(color_scheme=scheme, viewport=DESK)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for name, path in (
        ("overview", "/motorisk/"),
        ("drift", f"/motorisk/drift/{NIGHT}"),
        ("years", "/motorisk/?until=2025-07"),
    ):
        page.goto(path)
        page.screenshot(path=ARTIFACTS / f"{name}-{scheme}.png", full_page=True)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.set_viewport_size(DESK)
    page.goto("/motorisk/")
    figures = page.locator("#accuracy ~ details")
    figures.locator("summary").click()
    expect(figures.get_by_role("rowheader", name="2025-03")).to_be_visible()
    page.screenshot(path=ARTIFACTS / f"figures-{scheme}.png", full_page=True)
    assert dialogs == []


@pytest.mark.parametrize(("system", "chosen"), [("light", "dark"), ("dark", "light")])
def test_the_frame_follows_what_was_chosen_in_airflow(uma: Callable[..., Page], system: str, chosen: str) -> None:
    page = uma(color_scheme=system, viewport=DESK)
    page.goto("/motorisk/")
    page.evaluate("chosen => localStorage.setItem('theme', chosen)", chosen)
    page.goto("/plugin/motorisk")
    frame = page.frame_locator("iframe[title=Motorisk]")
    expect(frame.get_by_role("heading", name="Motorisk")).to_be_visible()
    expect(page.locator("html")).to_have_class(re.compile(chosen))  # Airflow itself
    assert (_brightness(frame.locator("body")) > 200) == (chosen == "light")
    frame.get_by_role("link", name="Version 1", exact=True).click()
    expect(frame.get_by_role("heading", name="Model version 1")).to_be_visible()
    assert (_brightness(frame.locator("body")) > 200) == (chosen == "light")
    page.evaluate("system => localStorage.setItem('theme', system)", system)
    expect(frame.locator("html")).to_have_attribute("data-theme", system)
    assert (_brightness(frame.locator("body")) > 200) == (system == "light")


def test_a_link_to_a_run_leaves_the_frame(night: Callable[[], dict[str, str]], uma: Callable[..., Page]) -> None:
    run = night()["score_portfolio"]
    page = uma(viewport=DESK)
    page.goto("/plugin/motorisk")
    row = page.frame_locator("iframe[title=Motorisk]").get_by_role("row", name=NIGHT)
    row.get_by_role("link", name="success").first.click()
    page.wait_for_url(f"**/dags/score_portfolio/runs/{run.replace('+', '%2B').replace(':', '%3A')}**")
    expect(page.locator("iframe")).to_have_count(0)


def test_a_run_has_a_tab_with_its_drift(night: Callable[[], dict[str, str]], uma: Callable[..., Page]) -> None:
    runs = night()
    page = uma(viewport=DESK)
    page.goto(f"/dags/report_drift/runs/{runs['report_drift'].replace('+', '%2B')}")
    page.get_by_role("link", name="Drift", exact=True).click()
    frame = page.frame_locator("iframe[title=Drift]")
    expect(frame.get_by_role("heading", name=f"Drift as of {NIGHT}")).to_be_visible()
    expect(frame.get_by_role("row", name="miles ▲ drifts")).to_be_visible()
    page.screenshot(path=ARTIFACTS / "tab.png")
    frame.get_by_role("link", name="Evidently's report").click()
    # Evidently takes seconds to import, many more where other work is done.
    expect(frame.get_by_role("heading", name=f"Drift as of {NIGHT}")).to_have_count(0, timeout=180_000)
    expect(frame.get_by_text("braking_distance").first).to_be_visible()
    page.screenshot(path=ARTIFACTS / "full-report.png")
    page.goto(f"/dags/score_portfolio/runs/{runs['score_portfolio'].replace('+', '%2B')}/plugin/motorisk-drift")
    expect(page.frame_locator("iframe").get_by_role("link", name=f"Drift as of {NIGHT}")).to_be_visible()


def _brightness(body: Any) -> float:
    """Of a page's paper, from 0 to 255."""
    colour = body.evaluate("body => getComputedStyle(body).backgroundColor")
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")) / 3
