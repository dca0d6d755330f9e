"""Who can reach the service, and whether they have to say who they are."""

import ipaddress
import os
import socket

from motorisk.settings import Settings

_FIRST_PASSED_DOWN = 3  # as systemd numbers them


def _passed_down() -> list[int]:
    """Descriptors of listening sockets that gunicorn takes over, from an earlier gunicorn or from systemd."""
    numbers = os.environ.get("GUNICORN_FD", "")
    if numbers:
        return [int(number) for number in numbers.split(",")]
    count = int(os.environ.get("LISTEN_FDS", "0"))
    return list(range(_FIRST_PASSED_DOWN, _FIRST_PASSED_DOWN + count))


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def _addresses(settings: Settings) -> list[str]:
    """Where the service listens; "" stands for what is no IP address."""
    descriptors = _passed_down()
    if not descriptors:
        try:
            found = socket.getaddrinfo(settings.quote_host, None, type=socket.SOCK_STREAM)
        except OSError:
            return [""]
        return [str(address[0]) for *_, address in found]
    found_names = []
    for descriptor in descriptors:
        with socket.socket(fileno=os.dup(descriptor)) as listener:
            name = listener.getsockname()
            found_names.append(name[0] if isinstance(name, tuple) else "")
    return found_names


def is_public(settings: Settings) -> bool:
    """Whether others than this machine's programs can reach the service; a proxy on this machine hides them."""
    return not all(map(_is_loopback, _addresses(settings)))


def has_page(settings: Settings) -> bool:
    """Whether people are shown the page, which asks for no key."""
    if settings.quote_page is not None:
        return settings.quote_page == "on"
    return not (is_public(settings) or are_keys_required(settings))


def are_keys_required(settings: Settings) -> bool:
    """Whether who asks for quotes has to send an API key."""
    return settings.quote_access == "keys" or (settings.quote_access == "auto" and is_public(settings))
