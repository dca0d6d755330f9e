"""Make the README's pictures: a demo of its own in a temporary folder, its pages in Chromium, then nothing is left.

usage: make pictures

Writes docs/pictures/*.png, each of a page that a reader meets in `make demo`: Airflow's Motorisk page, a card, the
quote page, drift as it is told in Airflow, and the dashboard of the drift reports.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

from motorisk.ports import free_port

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SIZE = {"width": 1360, "height": 850}
PORTS = ("AIRFLOW_PORT", "QUOTE_PORT", "DRIFT_UI_PORT", "PROMETHEUS_PORT")
COLOURS = 128
"""Enough for pages that are mostly text and plots; a picture takes a third of the space."""


def _keep(shown: Page | Locator, name: str) -> None:
    path = FOLDER / f"{name}.png"
    shown.screenshot(path=path, animations="disabled")
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def _airflow(page: Page, facts: dict[str, Any]) -> None:
    page.goto(facts["airflow"])
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(facts["logins"]["admin"])
    page.locator("button[type=submit]").click()
    page.get_by_role("link", name="Motorisk", exact=True).click()
    frame = page.frame_locator("iframe[title=Motorisk]")
    frame.get_by_role("heading", name="Drift by feature and month").wait_for()
    page.wait_for_timeout(1000)
    _keep(page, "airflow")
    frame.get_by_role("link", name=f"Version {facts['version']}", exact=True).first.click()
    frame.get_by_role("heading", name="Price impact").wait_for()
    _keep(page, "card")
    page.goto(f"{facts['airflow']}/motorisk/")
    page.get_by_role("link", name=re.compile("^miles drifts in")).first.click()
    _keep(page.get_by_role("region", name="miles"), "drift")


def _quotes(page: Page, facts: dict[str, Any]) -> None:
    page.goto(facts["quotes"])
    page.locator("form button[type=submit]").first.click()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    _keep(page, "quote")


def _drift_reports(page: Page, facts: dict[str, Any]) -> None:
    page.goto(facts["drift_reports"])
    page.get_by_text("Drift of scores").first.click()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(3000)
    _keep(page, "drift-reports")


def main() -> None:
    """Start a demo, take the pictures, stop it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("chromium is not installed: scripts/install-system-parts.sh")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="motorisk-pictures-") as home:
        own = {"MOTORISK_HOME": home, **{f"MOTORISK_{name}": str(free_port()) for name in PORTS}}
        command = [Path(sys.executable).parent / "motorisk", "demo", "--json"]
        demo = subprocess.Popen(command, env={**os.environ, **own}, stdout=subprocess.PIPE, text=True)
        try:
            line = demo.stdout.readline() if demo.stdout else ""
            if not line:
                sys.exit("the demo did not come up; it has said why")
            facts = json.loads(line)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                page = browser.new_page(viewport=SIZE, color_scheme="light", locale="en-GB")
                page.set_default_timeout(60_000)
                for pictures in (_airflow, _quotes, _drift_reports):
                    pictures(page, facts)
                browser.close()
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.wait(60)


if __name__ == "__main__":
    main()
