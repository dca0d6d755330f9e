"""What is in the journal and not yet in the ledger: appended while Postgres is away, carried over when it is back.

All processes on a machine share the folder. Carrying is idempotent, so that a crash half-way does no harm: rows and
keys that are there already stay as they are.
"""

import fcntl
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from motorisk.quoting.journal import (
    JournalReader,
    JournalWriter,
    claimed,
    journal_files,
    keep_aside,
    records_that_begin,
    remove,
)
from motorisk.quoting.ledger import REFUSED, Entry, KeyClaim, KeyHolder, LedgerSession
from motorisk.quoting.rows import completed

CARRIED_AT_ONCE = 1000
_KEYED = b'"key":'

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    """How far a file has been read for the index."""

    offset: int = 0
    rows: int = 0


def _payload(entry: Entry) -> bytes:
    document: dict[str, Any] = {"line": entry.line}
    if entry.claim is not None:
        claim = entry.claim
        document |= {
            "client": claim.client,
            "key": claim.key,
            "fingerprint": claim.fingerprint,
            "quote_id": str(claim.quote_id),
            "quoted_at": claim.quoted_at.isoformat(),
        }
    return json.dumps(document, separators=(",", ":")).encode()


def _claim(document: dict[str, Any]) -> KeyClaim | None:
    if "key" not in document:
        return None
    return KeyClaim(
        document["client"],
        document["key"],
        document["fingerprint"],
        UUID(document["quote_id"]),
        datetime.fromisoformat(document["quoted_at"]),
    )


def _entry(payload: bytes) -> Entry:
    document = json.loads(payload)
    return Entry(completed(document["line"]), _claim(document))


def _held(entry: Entry, known: dict[tuple[str, str], KeyHolder]) -> KeyHolder | None:
    """Who has an entry's key; nobody: the entry has it from now on."""
    claim = entry.claim
    if claim is None:
        return None
    mine = KeyHolder(claim.fingerprint, claim.quote_id, entry.line)
    holder = known.setdefault((claim.client, claim.key), mine)
    return None if holder is mine else holder


class Backlog:
    """The journal's folder as one process sees it; safe for threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = JournalWriter(folder)
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._seen: dict[Path, _Seen] = {}
        self._keys: dict[tuple[str, str], tuple[Path, KeyHolder]] = {}
        self.is_empty = False
        """Whether no rows waited when somebody last looked; may lag behind other processes by a second."""

    def append(self, entries: Sequence[Entry]) -> list[KeyHolder | None]:
        """Return when entries are on the disk; for those whose key is in the journal already, that quote instead.

        `OSError` where the disk does not take them: then none of them counts.
        """
        if all(entry.claim is None for entry in entries):
            self._write(entries)
            return [None] * len(entries)
        with self._keys_locked():
            with self._reading:
                self._look_at_files()
                known = {key: holder for key, (_, holder) in self._keys.items()}
            holders = [_held(entry, known) for entry in entries]
            fresh = [entry for entry, holder in zip(entries, holders, strict=True) if holder is None]
            if fresh:
                self._write(fresh)
        return holders

    def holder(self, claim: KeyClaim) -> KeyHolder | None:
        """The quote in the journal that has a key already."""
        with self._reading:
            self._look_at_files()
            found = self._keys.get((claim.client, claim.key))
        return found and found[1]

    def line(self, quote_id: UUID) -> str | None:
        """A quote's row in the journal of any process of this machine; None where it is not, or not any more.

        Files are searched, not kept in memory: an outage of hours writes more than a worker may hold. An unreadable
        file holds up no search, since the ledger may still know the quote.
        """
        for path in journal_files(self._folder):
            with suppress(OSError), path.open("rb") as file:  # carried over meanwhile, for one
                for payload in records_that_begin(file, f'{{"line":"{quote_id}\\t'.encode()):
                    return _entry(payload).line
        return None

    def pending(self) -> int:
        """Rows of all processes' journals that are not known to be in the ledger."""
        with self._reading:
            self._look_at_files()
            return sum(seen.rows for seen in self._seen.values())

    def carry(self, session: LedgerSession) -> int:
        """Carry every file that nobody writes any more, this process's own included, into the ledger.

        Answers the number of rows; raises what the session raises, and goes on where it stopped the next time. A file
        that cannot be read holds up no other: its `OSError` is raised at the end.
        """
        with self._writing:
            self._writer.close()
        rows = 0
        failure: OSError | None = None
        for path in journal_files(self._folder):
            try:
                with claimed(path) as file:
                    if file is not None:
                        rows += _carry(path, file, session)
            except OSError as error:
                failure = error
        with self._writing:
            self.is_empty = not journal_files(self._folder)
        if rows:
            _log.info("%d journalled rows are in the ledger", rows)
        if failure is not None:
            raise failure
        return rows

    def _write(self, entries: Sequence[Entry]) -> None:
        with self._writing:
            self.is_empty = False
            self._writer.append(map(_payload, entries))

    @contextmanager
    def _keys_locked(self) -> Iterator[None]:
        """Let one process of the machine at a time look for keys and append them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "keys.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _look_at_files(self) -> None:
        """Read what was appended to the files since the last look."""
        files = journal_files(self._folder)
        for gone in self._seen.keys() - set(files):
            del self._seen[gone]
            self._keys = {key: found for key, found in self._keys.items() if found[0] != gone}
        for path in files:
            seen = self._seen.setdefault(path, _Seen())
            try:
                if path.stat().st_size <= seen.offset:
                    continue
                with path.open("rb") as file:
                    reader = JournalReader(file, seen.offset)
                    for payload in reader.records():
                        seen.rows += 1
                        if _KEYED in payload:
                            entry = _entry(payload)
                            if entry.claim is not None:
                                holder = KeyHolder(entry.claim.fingerprint, entry.claim.quote_id, entry.line)
                                self._keys.setdefault((entry.claim.client, entry.claim.key), (path, holder))
                    seen.offset = reader.offset
            except FileNotFoundError:  # carried over meanwhile
                continue
            except OSError:  # nobody knows what it holds; whoever carries files over says why
                seen.rows = max(seen.rows, 1)
        if files:
            self.is_empty = False


def _carry(path: Path, file: BinaryIO, session: LedgerSession) -> int:
    reader = JournalReader(file)
    records = reader.records()
    rows = 0
    while payloads := list(islice(records, CARRIED_AT_ONCE)):
        rows += len(payloads)
        try:
            _merge(session, [_entry(payload) for payload in payloads])
        except REFUSED:
            for payload in payloads:
                _merge_or_keep_aside(path, payload, session)
    rest = reader.rest()
    if rest:
        aside = keep_aside(path, ".torn", rest)
        _log.warning("the journal %s ends in %d bytes that no crash-free write left; see %s", path, len(rest), aside)
    remove(path)
    return rows


def _merge(session: LedgerSession, entries: Sequence[Entry]) -> None:
    for claim in session.merge(entries):
        _log.warning("quote %s was journalled under a key that the ledger has for another quote", claim.quote_id)


def _merge_or_keep_aside(path: Path, payload: bytes, session: LedgerSession) -> None:
    try:
        _merge(session, [_entry(payload)])
    except REFUSED as error:
        aside = keep_aside(path, ".refused", payload + b"\n")
        # The error's text holds the row, and no input belongs into a log.
        _log.error("the ledger refuses a journalled row, kept in %s: %s", aside, type(error).__name__)
