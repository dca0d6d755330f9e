"""A reader's terminal: a fresh copy of the checkout, a home and ports of its own."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import httpx
from tests.docs.pages import ROOT, Block

from motorisk.ports import free_port
from motorisk.settings import PREFIX

BLOCK_SECONDS = 600
READY_SECONDS = 300
PORTS = {8000: "MOTORISK_QUOTE_PORT", 8001: "MOTORISK_DRIFT_UI_PORT"}
_OWN = (*PORTS.values(), "MOTORISK_TRAINING_CONFIG", "PYTHONPATH", " OLDPWD")


class Terminal:
    """Runs the blocks of one page; what they export, and where they go, lasts until the page ends."""

    def __init__(self, folder: Path, after: "Terminal | None" = None) -> None:
        self._folder = folder
        self._checkout = folder / "motorisk"
        self._state = folder / "state"
        self._background: list[subprocess.Popen[bytes]] = []
        self._ports = {port: free_port() for port in PORTS}
        if after is None:
            _copy_checkout(self._checkout)
            self._state.write_text(f"cd {self._checkout}\n")
        else:
            # Postgres runs as another user where we are root: its files have to remain its own.
            subprocess.run(["cp", "-a", f"{after._folder}/.", folder], check=True)
            kept = [line for line in after._state.read_text().splitlines() if not any(map(line.__contains__, _OWN))]
            self._state.write_text("\n".join(kept).replace(str(after._folder), str(folder)) + "\n")
        training = folder / "training.yaml"
        training.write_text("candidates: [rules, gam, trend_gam]\nsearch_trials: 0\n")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment = {
            **inherited,
            "PATH": f"{ROOT / '.venv' / 'bin'}:{inherited['PATH']}",
            "PYTHONPATH": f"{self._checkout / 'include'}:{self._checkout / 'webservice'}",
            "COLUMNS": "160",
            "MOTORISK_TRAINING_CONFIG": str(training),
            "MOTORISK_USER": "tess",
            **{PORTS[port]: str(free) for port, free in self._ports.items()},
        }

    def run(self, block: Block) -> str:
        """Run a block as if it was typed; return what it printed. `AssertionError` where it ends as it should not."""
        script = f". {self._state}\nset -e\n{self._with_own_ports(block.commands)}\n"
        if block.background_until:
            self._start(script, block)
            return ""
        script += f"{{ declare -px; declare -f; echo cd \"'$PWD'\"; }} >{self._state}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            env=self.environment,
            cwd=self._checkout,
            capture_output=True,
            text=True,
            timeout=BLOCK_SECONDS,
            check=False,
        )
        printed = done.stdout + done.stderr
        expected = 1 if block.fails else 0
        assert done.returncode == expected, f"{block.where}: exit status {done.returncode}\n{block.commands}\n{printed}"
        return printed

    def _start(self, script: str, block: Block) -> None:
        log = self._folder / f"background-{len(self._background)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", script],
                env=self.environment,
                cwd=self._checkout,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._background.append(process)
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and process.poll() is None:
            try:
                if httpx.get(self._with_own_ports(block.background_until or ""), timeout=5).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"{block.where}: {block.background_until} does not answer\n{log.read_text()}")

    def address(self, port: int) -> str:
        """Where what a page calls 127.0.0.1:PORT is."""
        return f"http://127.0.0.1:{self._ports[port]}"

    def _with_own_ports(self, text: str) -> str:
        for port, free in self._ports.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
        return text

    def close(self) -> None:
        """End what goes on in the background, and the database."""
        for process in self._background:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(60)
        stop = f". {self._state}; motorisk db stop"
        subprocess.run(["bash", "-c", stop], env=self.environment, capture_output=True, timeout=120, check=False)


def _copy_checkout(folder: Path) -> None:
    """What a clone would have, and the environment, which is already there."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")


def missing(prints: str, output: str) -> list[str]:
    """The lines of `prints` that are not in an output, figures, frames and spaces aside; `…` stands for anything."""
    printed = _words(output)
    return [line for line in prints.splitlines() if line.strip() and not _pattern(line).search(printed)]


def _words(text: str) -> str:
    return " ".join(re.sub(r"[\d.,:+-]*\d", "#", re.sub(r"[─-╿]", " ", text)).split())


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*?".join(re.escape(_words(part)) for part in line.split("…")))
