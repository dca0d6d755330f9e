"""Folders that somebody has to be able to write into."""

import getpass
import os
from pathlib import Path

from motorisk.errors import FolderNotWritable


def make_folder(folder: Path) -> None:
    """Make a folder unless it is there; `FolderNotWritable` where nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK | os.X_OK) else "Permission denied"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if reason:
        raise FolderNotWritable(f"{folder}: {reason}: let {_who()} write there, or set another folder (MOTORISK_HOME)")


def _who() -> str:
    try:
        return f"user {getpass.getuser()}"
    except (KeyError, OSError):
        return f"user id {os.getuid()}"
