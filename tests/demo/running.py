"""`motorisk demo` as a process: started, listened to, and what it leaves."""

import json
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

PROGRAM = Path(sys.executable).parent / "motorisk"


def processes_of(home: Path) -> list[str]:
    """Command lines of the living processes that work on a home folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = process.environ().get("MOTORISK_HOME") == str(home) or str(home) in " ".join(process.cmdline())
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found


def start_demo(environment: dict[str, str], log: Path, *arguments: str) -> subprocess.Popen[str]:
    with log.open("w") as progress:
        command = [PROGRAM, "demo", "--json", *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=progress, text=True)


def facts_of(demo: subprocess.Popen[str], log: Path, seconds: float = 600) -> dict[str, Any]:
    assert demo.stdout is not None
    told, _, _ = select.select([demo.stdout], [], [], seconds)
    line = demo.stdout.readline() if told else ""
    assert line, log.read_text()
    return dict(json.loads(line))
