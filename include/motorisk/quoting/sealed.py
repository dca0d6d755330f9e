"""Files that are whole or not there, under a SHA-256 of their own."""

import hashlib
import os
from pathlib import Path

from motorisk.quoting.journal import sync_folder


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put a file in place whole, or not at all."""
    unborn = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with unborn.open("wb") as file:
            unborn.chmod(mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unborn.replace(path)
    except OSError:
        unborn.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def seal(content: bytes) -> bytes:
    """Content under its SHA-256."""
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def unseal(sealed: bytes) -> bytes | None:
    """What `seal` was given; None where it was changed since."""
    digest, _, content = sealed.partition(b"\n")
    return content if hashlib.sha256(content).hexdigest().encode() == digest else None
