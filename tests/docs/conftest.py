"""The site; and every page's commands, run once a session: pages that come after another go on where that one ends."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, read
from tests.docs.terminal import Terminal, missing

Follow = Callable[[Path], Terminal]


@pytest.fixture(scope="session")
def follow(tmp_path_factory: pytest.TempPathFactory) -> Follow:
    """Type what a page says, and compare what is seen; return the closed terminal. A second time: that of the first."""
    ended: dict[Path, Terminal] = {}

    def run(file: Path) -> Terminal:
        if file in ended:
            return ended[file]
        page = read(file)
        before = run(page.after) if page.after else None
        name = "-".join(file.relative_to(ROOT).with_suffix("").parts)
        terminal = Terminal(tmp_path_factory.mktemp(name), before)
        try:
            for block in page.blocks:
                if block.covered_by:
                    continue
                output = terminal.run(block)
                unseen = missing(block.prints, output)
                assert not unseen, f"{block.where} does not print {unseen}, but:\n{output}"
        finally:
            terminal.close()
        ended[file] = terminal
        return terminal

    return run


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site's folder, built without a warning."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        f"{folder}/doctrees",
        "docs",
        f"{folder}/html",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "html"
