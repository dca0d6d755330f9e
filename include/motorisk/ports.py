"""Ports that programs of the platform listen on."""

import errno
import socket

from motorisk.errors import PortTaken, SettingsError


def require_free_port(host: str, port: int, what: str, variable: str, *, host_variable: str | None = None) -> None:
    """Raise `PortTaken` where another program listens on a port, `SettingsError` where the host is not this machine.

    Both name the variable that changes it.
    """
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if host_variable is not None and error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            advice = f"set {host_variable} to an address of this machine"
            raise SettingsError(f"{what} cannot listen on {host} ({error.strerror}): {advice}") from None
        raise PortTaken(
            f"port {port} for {what} cannot be used ({error.strerror}): set {variable} to another port"
        ) from None


def authority(host: str, port: int) -> str:
    """Host and port as they stand in addresses: `127.0.0.1:8000`, `[::1]:8000`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def free_port() -> int:
    """A port of this machine's loopback that nobody listens on now: for benchmarks and tests."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
