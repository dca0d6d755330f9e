"""Where the code of a training came from."""

import subprocess
from pathlib import Path

from motorisk.pipelines.provenance import checkout_commit


def _git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=tess", "-c", "user.email=tess@example.com"]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_checkout_has_a_commit_and_a_library_installed_inside_of_another_project_has_none(tmp_path: Path) -> None:
    ours, installed = tmp_path / "library.py", tmp_path / "environment" / "library.py"
    installed.parent.mkdir()
    for file in (ours, installed):
        file.write_text("")
    assert checkout_commit(ours) is None
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", ours.name)
    _git(tmp_path, "commit", "--quiet", "--message", "a library")
    assert checkout_commit(ours) == _git(tmp_path, "rev-parse", "HEAD").strip()
    assert checkout_commit(installed) is None
