"""What a model was made with: recorded with every version, so that it can be made again."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("motorisk", "numpy", "scipy", "scikit-learn", "pyarrow")
BY_HAND = "by hand"


def checkout_commit(file: Path) -> str | None:
    """The commit of the checkout that a file belongs to; None for one that only lies in it, as an installed library."""
    tracked = _git(file.parent, "ls-files", "--error-unmatch", file.name)
    return None if tracked is None else _git(file.parent, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        found = subprocess.run(
            ["git", *arguments],  # noqa: S607
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _library_versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def provenance(
    bundle_version: str | None = None, reason: str = BY_HAND, image_tag: str | None = None
) -> dict[str, object]:
    """Why it was trained, versions of Python and the libraries, and where the code came from.

    That is the DAG bundle's commit for DAGs and configuration, and for the library the image's tag or the checkout's
    commit; None for what there is not.
    """
    return {
        "reason": reason,
        "python": platform.python_version(),
        "libraries": _library_versions(),
        "git_commit": checkout_commit(Path(__file__)),
        "image_tag": image_tag,
        "bundle_version": bundle_version,
    }
