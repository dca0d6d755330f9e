"""Who can reach the service."""

import os
import socket
from pathlib import Path

import pytest

from motorisk.settings import Settings
from motorisk_web.exposure import are_keys_required, is_public


def at(host: str, access: str = "auto") -> Settings:
    return Settings.model_validate({"quote_host": host, "quote_access": access})


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("127.0.0.1", False),
        ("127.8.9.10", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),  # noqa: S104
        ("::", True),
        ("192.0.2.1", True),
        ("nowhere.invalid", True),  # what nobody knows is not taken for private
    ],
)
def test_loopback_alone_is_private(host: str, public: bool) -> None:
    assert is_public(at(host)) == public
    assert are_keys_required(at(host)) == public
    assert are_keys_required(at(host, "keys"))
    assert not are_keys_required(at(host, "open"))


def test_a_socket_that_is_handed_down_counts_instead_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as private, socket.socket() as public:
        private.bind(("127.0.0.1", 0))
        public.bind(("0.0.0.0", 0))  # noqa: S104
        monkeypatch.setenv("GUNICORN_FD", str(private.fileno()))
        assert not is_public(at("0.0.0.0"))  # noqa: S104
        monkeypatch.setenv("GUNICORN_FD", f"{private.fileno()},{public.fileno()}")
        assert is_public(at("127.0.0.1"))
        os.fstat(public.fileno())  # still open


def test_a_unix_socket_has_a_proxy_before_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        monkeypatch.setenv("GUNICORN_FD", str(listener.fileno()))
        assert is_public(at("127.0.0.1"))
