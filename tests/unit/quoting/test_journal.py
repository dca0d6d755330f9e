"""The journal's files: what a crash or a full disk leaves of them is never taken for a quote."""

import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from motorisk.quoting import journal
from motorisk.quoting.journal import (
    MAGIC,
    JournalReader,
    JournalWriter,
    claimed,
    journal_files,
    records_that_begin,
)

ROWS = [b"first", b"second " * 100, b"third"]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A journal of three records that nobody writes any more."""
    writer = JournalWriter(tmp_path)
    writer.append(ROWS[:2])
    writer.append(ROWS[2:])
    writer.close()
    (path,) = journal_files(tmp_path)
    return path


def read(path: Path) -> tuple[list[bytes], bytes]:
    with path.open("rb") as file:
        reader = JournalReader(file)
        return list(reader.records()), reader.rest()


def test_records_come_back_in_order(written: Path) -> None:
    assert read(written) == (ROWS, b"")


@pytest.mark.fault("corrupted journal")
def test_cut_anywhere_it_holds_the_records_that_are_whole(written: Path) -> None:
    content = written.read_bytes()
    ends = [len(MAGIC)]
    for row in ROWS:
        ends.append(ends[-1] + 8 + len(row))
    assert ends[-1] == len(content)
    for length in range(len(content)):
        written.write_bytes(content[:length])
        whole = sum(end <= length for end in ends[1:])
        records, rest = read(written)
        assert records == ROWS[:whole]
        assert rest == content[:length][ends[whole] if length >= ends[0] else 0 :]


@pytest.mark.fault("corrupted journal")
def test_a_changed_byte_ends_what_is_read(written: Path) -> None:
    content = bytearray(written.read_bytes())
    content[len(MAGIC) + 8 + len(ROWS[0]) + 8 + 3] ^= 1
    written.write_bytes(content)
    records, rest = read(written)
    assert records == ROWS[:1]
    assert len(rest) == len(content) - len(MAGIC) - 8 - len(ROWS[0])


@pytest.mark.fault("corrupted journal")
@pytest.mark.parametrize("tail", [b"\0" * 100, b"\xff" * 100, b"\x05\0\0\0\0\0\0\0wrong"])
def test_what_a_crash_leaves_at_the_end_is_no_record(written: Path, tail: bytes) -> None:
    with written.open("ab") as file:
        file.write(tail)
    assert read(written) == (ROWS, tail)


@pytest.mark.fault("corrupted journal")
def test_a_file_of_something_else_has_no_records(tmp_path: Path) -> None:
    other = tmp_path / "other.journal"
    other.write_bytes(b"something else entirely, and long enough for a header")
    assert read(other) == ([], other.read_bytes())


@pytest.mark.fault("two at once")
def test_nobody_gets_a_file_that_is_being_written(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(ROWS)
    (path,) = journal_files(tmp_path)
    with claimed(path) as file:
        assert file is None
    writer.close()
    with claimed(path) as file:
        assert file is not None
        with claimed(path) as second:
            assert second is None


@pytest.mark.fault("two at once")
def test_a_file_that_was_carried_over_meanwhile_is_nobodys(written: Path) -> None:
    with claimed(written) as file:
        assert file is not None
        written.unlink()
    with claimed(written) as file:
        assert file is None


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(ROWS[:1])
    (path,) = journal_files(tmp_path)
    with path.open("rb") as file:
        reader = JournalReader(file)
        assert list(reader.records()) == ROWS[:1]
        writer.append(ROWS[1:])
        assert list(reader.records()) == ROWS[1:]


@pytest.fixture
def small_disk() -> Iterator[None]:
    """A disk that takes no file of more than 1,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.fault("disk full")
def test_a_disk_that_takes_no_more_leaves_whole_records_of_what_was_taken(tmp_path: Path, small_disk: None) -> None:
    writer = JournalWriter(tmp_path)
    taken = []
    for number in range(100):
        records = [b"%d" % number * 50, b"end of %d" % number]
        with suppress(OSError):
            writer.append(records)
            taken += records
    writer.close()
    files = journal_files(tmp_path)
    found = [record for path in files for record in read(path)[0]]
    assert len(taken) < 200
    assert len(files) > 1  # after a failure nothing is appended to the file any more
    assert all(read(path)[1] == b"" for path in files)
    assert found == taken


def test_a_file_that_has_become_large_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_FILE_BYTES", 100)
    writer = JournalWriter(tmp_path)
    for number in range(4):
        writer.append([b"%d" % number * 45])
    writer.close()
    assert [len(read(path)[0]) for path in journal_files(tmp_path)] == [2, 2]


@pytest.mark.parametrize("block", [40, 41, 47, 64, 1 << 20])
def test_records_are_found_by_their_beginning_wherever_blocks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(journal, "_READ_BYTES", block)
    rows = [b'{"line":"%03d\\t%s"}' % (number, b"x" * (number * 7 % 90)) for number in range(100)]
    decoy = b'a record that quotes another: {"line":"042\\t'
    writer = JournalWriter(tmp_path)
    writer.append([decoy, *rows])
    writer.close()
    (path,) = journal_files(tmp_path)
    for row in rows:
        with path.open("rb") as file:
            assert list(records_that_begin(file, row[:14])) == [row]
    with path.open("rb") as file:
        assert list(records_that_begin(file, b'{"line":"100\\t')) == []
    path.write_bytes(path.read_bytes()[:-1])
    with path.open("rb") as file:
        assert list(records_that_begin(file, rows[-1][:14])) == []  # torn: never answered
