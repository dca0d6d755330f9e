"""Files under a digest of their own."""

import stat
from pathlib import Path

import pytest

from motorisk.quoting.sealed import seal, unseal, write_whole


@pytest.mark.parametrize("content", [b"", b"one", b"two\nlines\n"])
def test_what_was_sealed_comes_back(content: bytes) -> None:
    assert unseal(seal(content)) == content


@pytest.mark.fault("corrupted rating plan")
@pytest.mark.parametrize("change", [lambda sealed: sealed[:-1], lambda sealed: sealed + b" ", lambda sealed: b""])
def test_what_was_changed_does_not(change: object) -> None:
    assert callable(change)
    assert unseal(change(seal(b"content"))) is None


def test_a_file_is_put_in_place_with_its_mode_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"two"):
        write_whole(path, content, mode=0o600)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
