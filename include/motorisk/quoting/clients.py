"""The clients that this process knows, and whether a key is one of theirs.

All keys' hashes are held in memory and read again every second, with the champion; while Postgres is away the known
ones go on working. `MOTORISK_HOME/quoting/clients.json` keeps them, under a SHA-256 of its own, for a start without
Postgres.
"""

import hmac
import logging
import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from motorisk.domain.api_key import key_digest, key_id_of
from motorisk.errors import AccessRefused, DatabaseUnavailable, MotoriskError
from motorisk.quoting.database import Database
from motorisk.quoting.sealed import seal, unseal, write_whole
from motorisk.registry.clients import ClientKey, all_keys, used_today

_NOBODYS = "0" * 64
_log = logging.getLogger(__name__)

Refusal = Literal["missing", "unknown", "expired", "revoked"]


class KeyRefused(AccessRefused):
    """A request without a key, or with one that is not good; `reason` is for counting."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What is needed of a key to let a request in."""

    key_id: str
    client: str
    digest: str
    rate: float | None
    """Requests a second; None: as many as everybody; 0: any number."""
    good_until: float
    """Seconds since the epoch."""
    is_revoked: bool


class _CachedKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key_id: str
    client: str
    digest: str
    rate: float | None
    expires_on: date | None
    is_revoked: bool


class _CachedKeys(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[_CachedKey]


def _cached(key: ClientKey) -> _CachedKey:
    return _CachedKey(
        key_id=key.key_id,
        client=key.client,
        digest=key.digest,
        rate=key.rate,
        expires_on=key.expires_on,
        is_revoked=key.revoked_at is not None,
    )


def _end_of(day: date | None) -> float:
    if day is None:
        return math.inf
    return (datetime.combine(day, time_of_day(), UTC) + timedelta(days=1)).timestamp()


def _known(keys: Iterable[_CachedKey]) -> dict[str, KnownKey]:
    return {
        key.key_id: KnownKey(key.key_id, key.client, key.digest, key.rate, _end_of(key.expires_on), key.is_revoked)
        for key in keys
    }


class Clients:
    """The known keys of one process; a change is one assignment."""

    def __init__(self, database: Database, folder: Path, *, on_failure: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._file = folder / "clients.json"
        self._on_failure = on_failure
        self._keys: dict[str, KnownKey] | None = None
        self._read: list[_CachedKey] | None = None
        self._is_cached = False
        self._reported = ""
        self._used: set[str] = set()
        self._told: set[str] = set()
        self._told_on = date.min

    def authenticate(self, text: str) -> KnownKey:
        """The known key that a text is; `KeyRefused` where it is none that is good.

        Only whoever has the secret learns that a key has expired or was revoked. `DatabaseUnavailable` as long as
        nobody could say which keys there are.
        """
        keys = self._keys
        if keys is None:
            raise DatabaseUnavailable("API keys cannot be checked yet; try again in a few seconds")
        key = keys.get(key_id_of(text) or "")
        # Compared also where there is no such key: the time to refuse tells nothing of the others.
        is_equal = hmac.compare_digest(key_digest(text), key.digest if key else _NOBODYS)
        if key is None or not is_equal:
            raise KeyRefused("unknown", "this API key is not known")
        if key.is_revoked:
            raise KeyRefused("revoked", "this API key was revoked")
        if time.time() >= key.good_until:
            raise KeyRefused("expired", "this API key has expired")
        self._used.add(key.key_id)
        return key

    def remember(self) -> None:
        """Know the keys that were known before this process started, until the database has told more; never raise."""
        try:
            content = unseal(self._file.read_bytes())
            if content is None:
                raise ValueError("it was changed after it was written")
            keys = _CachedKeys.model_validate_json(content).keys
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            reason = "it is of another version" if isinstance(error, ValidationError) else error
            _log.error("no API keys are known from %s: %s", self._file, reason)
            return
        self._keys = _known(keys)
        _log.info("starting with %d API keys from the cache until the database can be read", len(keys))

    def refresh(self) -> None:
        """Read all keys, and tell which were used today; where that fails, go on with what is known and never raise."""
        try:
            with self._database.probe() as connection:
                read = [_cached(key) for key in all_keys(connection)]
        except Exception as error:
            self._failed("the API keys cannot be read", error)
            return
        if read != self._read:
            self._keys, self._read, self._is_cached = _known(read), read, False
            _log.info(
                "%d API keys are known, %d of them not revoked", len(read), sum(not key.is_revoked for key in read)
            )
        if not self._is_cached:
            self._cache(read)
        if self._database.is_away:  # the breaker is open still: the use is told a second later
            return
        try:
            self._tell_used()
        except Exception as error:
            self._failed("the day on which API keys were used cannot be written", error)
            return
        if self._reported:
            _log.info("the API keys can be read again, and their use written")
            self._reported = ""

    def _cache(self, keys: list[_CachedKey]) -> None:
        """Keep what is known for a start without Postgres; a disk that does not take it stops nothing."""
        with suppress(OSError):  # the champion's cache lies in the same folder and complains already
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, seal(_CachedKeys(keys=keys).model_dump_json().encode()), mode=0o600)
            self._is_cached = True

    def _tell_used(self) -> None:
        """Write the day of last use, at most once a key and day; the next time where that fails."""
        today = datetime.now(UTC).date()
        if today != self._told_on:
            self._told, self._told_on = set(), today
        new = self._used - self._told
        if new:
            with self._database.statements() as connection:
                used_today(connection, sorted(new))
            self._told |= new
            self._used -= new

    def _failed(self, what: str, error: Exception) -> None:
        reason = f"{what} ({error if isinstance(error, MotoriskError) else type(error).__name__})"
        if reason != self._reported:  # else it is said already: this runs every second
            _log.error("%s; those that are known go on working", reason)
            self._reported = reason
        self._on_failure()
