"""Keyed pseudonyms: the same for the same id and key, and of no use to whoever has not got the key."""

import hashlib
import hmac

MIN_KEY_LENGTH = 32
LENGTH = 32
"""Hexadecimal digits: 128 bits, so that no two of a portfolio's ids meet."""


def pseudonym(key: str, kind: str, value: str) -> str:
    """HMAC-SHA256 of an id; `kind` (customer, policy) keeps ids of two kinds apart that are spelled alike."""
    return hmac.new(key.encode(), f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()[:LENGTH]


def key_mark(key: str) -> str:
    """Tells keys apart without telling them: the beginning of a digest."""
    return pseudonym(key, "mark", "")[:8]
