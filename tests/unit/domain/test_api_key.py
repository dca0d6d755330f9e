"""API keys: their form, and what is kept of them."""

import hashlib
import re

import pytest

from motorisk.domain.api_key import key_digest, key_id_of, new_key


def test_keys_are_urlsafe_long_enough_and_all_different() -> None:
    keys = [new_key() for _ in range(200)]
    assert len({key.text for key in keys}) == 200
    for key in keys:
        assert re.fullmatch(r"mtr_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", key.text)  # 43 characters of 6 bits: 256 bits
        assert key_id_of(key.text) == key.key_id


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text + "A", lambda text: text[:-1], lambda text: " " + text]
)
def test_nothing_else_is_taken_for_a_key(change: object) -> None:
    assert callable(change)
    assert key_id_of(change(new_key().text)) is None


def test_the_digest_is_the_keys_sha256() -> None:
    # printf mtr_x | sha256sum
    assert key_digest("mtr_x") == "56ab2940eecf64e53c2e06dc921996fc762d47bb9f6b0508dd9fa593336c87fc"


def test_text_that_is_no_unicode_is_no_key_and_has_a_digest_all_the_same() -> None:
    assert key_id_of("mtr_\ud800") is None
    assert key_digest("\ud800") == hashlib.sha256(b"\xed\xa0\x80").hexdigest()
