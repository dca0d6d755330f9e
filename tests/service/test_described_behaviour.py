"""The service against its own description: Schemathesis asks what the OpenAPI document allows, and what it does not.

`SCHEMATHESIS_EXAMPLES=2000` in the environment asks more.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "150")
FEWEST_CASES = 1000

# A date before the first tariff and a key that came with another body fit the description, and are refused for
# what the database holds.
EXCLUDED = "positive_data_acceptance"


@pytest.mark.bad_input("HTTP request")
def test_no_request_makes_the_service_fail_or_answer_otherwise_than_described(service: Any, tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "schemathesis"
    done = subprocess.run(
        [
            program, "run", f"{service.url}/openapi.json", "--checks=all", f"--exclude-checks={EXCLUDED}",
            "--phases=examples,coverage,fuzzing", f"--max-examples={EXAMPLES}", "--workers=1", "--seed=1",
            "--continue-on-failure", "--suppress-health-check=all", "--no-color",
        ],
        cwd=tmp_path,  # it keeps what it found in a folder
        capture_output=True,
        text=True,
        timeout=270,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in service.log.read_text()
    cases = re.search(r"(\d[\d,]*) generated", done.stdout)
    assert cases is not None, done.stdout
    assert int(cases[1].replace(",", "")) >= FEWEST_CASES
    assert "Operations:       9 selected / 9 total" in done.stdout


def test_a_quote_that_was_made_can_be_read_by_the_link_of_its_description(service: Any, tmp_path: Path) -> None:
    """Requests that follow from each other's answers, in orders that Schemathesis makes up."""
    program = Path(sys.executable).parent / "schemathesis"
    done = subprocess.run(
        [
            program, "run", f"{service.url}/openapi.json", "--checks=all", f"--exclude-checks={EXCLUDED}",
            "--phases=stateful", "--max-examples=10", "--workers=1", "--seed=1", "--suppress-health-check=all",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    links = re.search(r"API Links:\s+(\d+) covered / (\d+) selected", done.stdout)
    assert links is not None, done.stdout
    assert int(links[1]) >= 1
