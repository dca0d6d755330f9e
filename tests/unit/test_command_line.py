"""`motorisk` before it does anything."""

import subprocess
import sys


def test_help_waits_for_no_library_that_only_some_command_needs() -> None:
    heavy = {"numpy", "pandas", "scipy", "sklearn", "pyarrow", "evidently", "airflow", "matplotlib", "flask"}
    program = f"import sys, motorisk.cli; print(*({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert found.strip() == ""
