"""API keys: made at random, shown once, known by their hash.

`mtr_ID_SECRET`: the prefix tells people and scanners of leaked secrets what it is, the id finds the key, the secret
proves it.
"""

import hashlib
import re
import secrets
from typing import NamedTuple

PREFIX = "mtr_"
ID_BYTES = 6
SECRET_BYTES = 32
"""256 bits at random cannot be guessed, so that one SHA-256 keeps them; a slow hash is for what people make up."""

_FORM = re.compile("mtr_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


class NewKey(NamedTuple):
    """A key that nobody has yet."""

    key_id: str
    text: str


def new_key() -> NewKey:
    """Make a key at random."""
    key_id = secrets.token_hex(ID_BYTES)
    return NewKey(key_id, f"{PREFIX}{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}")


def key_id_of(text: str) -> str | None:
    """The public id of a key; None where the text is none."""
    found = _FORM.fullmatch(text)
    return found and found[1]


def key_digest(text: str) -> str:
    """What is kept of a key: its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
