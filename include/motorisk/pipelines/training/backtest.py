"""Let the competitors foretell months whose outcomes are known."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from motorisk.errors import InvalidData
from motorisk.modelling.candidates import CANDIDATES
from motorisk.modelling.configuration import CHAMPION, TrainingConfiguration
from motorisk.modelling.tuning import Entry, as_champion, enter
from motorisk.pipelines.folders import backtests
from motorisk.pipelines.training.competing import present_champion
from motorisk.pipelines.training.snapshot import saved_snapshot
from motorisk.settings import Settings

Progress = Callable[[int, int], None]
"""Told how many fits of the backtests are done, of how many at most."""


def silent(done: int, total: int) -> None:
    """Nobody watches."""


def run_backtest(
    engine: Engine,
    settings: Settings,
    digest: str,
    competitor: str,
    configuration: TrainingConfiguration,
    progress: Progress = silent,
) -> Entry:
    """Let one competitor search its settings and run its backtest on a saved snapshot; keep what it brings."""
    snapshot = saved_snapshot(settings, digest)
    if competitor == CHAMPION:
        present = present_champion(engine)
        if present is None or present.recipe is None:
            raise InvalidData("the champion was replaced meanwhile by a version that does not compete: train again")
        entry = as_champion(enter(snapshot, CANDIDATES[present.model.candidate], present.recipe, progress))
    else:
        entry = enter(snapshot, CANDIDATES[competitor], configuration, progress)
    entry.save(entries_folder(settings, digest))
    return entry


def entries_folder(settings: Settings, digest: str) -> Path:
    """Where the competitors leave what they found on a snapshot."""
    return backtests(settings) / digest
