"""Where the platform keeps files under `MOTORISK_HOME`."""

from datetime import date
from pathlib import Path

from motorisk.settings import Settings


def snapshots(settings: Settings) -> Path:
    """Training snapshots, named by their digests."""
    return settings.home / "snapshots"


def backtests(settings: Settings) -> Path:
    """What candidates bring to the competition, by the digest of the snapshot."""
    return settings.home / "backtests"


def drift_workspace(settings: Settings) -> str:
    """Evidently's workspace with the drift reports of every night: a folder, or an address that fsspec knows."""
    return settings.drift_workspace or str(settings.home / "evidently")


def score_archive(settings: Settings) -> Path:
    """Scores that left the database, a Parquet file a date."""
    return settings.score_archive or settings.home / "archive" / "scores"


def score_reports(settings: Settings, as_of: date) -> Path:
    """What the scores of one as-of date say to people."""
    return settings.home / "reports" / "scores" / as_of.isoformat()
