"""Ports that programs are to listen on."""

import socket

import pytest

from motorisk.errors import PortTaken, SettingsError
from motorisk.ports import free_port, require_free_port

NAMES = ("drift reports", "MOTORISK_DRIFT_UI_PORT")


@pytest.mark.fault("port taken")
def test_a_taken_port_is_named_with_the_variable_that_changes_it() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"^port {port} for drift reports .*: set MOTORISK_DRIFT_UI_PORT to"):
            require_free_port("127.0.0.1", port, *NAMES, host_variable="MOTORISK_DRIFT_UI_HOST")


@pytest.mark.fault("wrong setting")
@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_where_the_host_is_wrong_its_variable_is_named_and_not_the_port_s(host: str) -> None:
    with pytest.raises(
        SettingsError, match=rf"^drift reports cannot listen on {host} .*: set MOTORISK_DRIFT_UI_HOST to"
    ):
        require_free_port(host, free_port(), *NAMES, host_variable="MOTORISK_DRIFT_UI_HOST")


def test_a_free_port_passes() -> None:
    require_free_port("127.0.0.1", free_port(), *NAMES)
