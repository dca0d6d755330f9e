"""What the pods run is what there is: commands parse, settings are known, and the service does what its probes ask."""

import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, make_url
from typer.main import get_command

from motorisk.cli import app
from motorisk.ports import free_port
from motorisk.registry import transitions
from motorisk.registry.clients import add_key
from motorisk.settings import PREFIX, Settings

Manifest = dict[str, Any]


def _commands(container: Any) -> Iterator[list[str]]:
    yield container.spec["command"]
    stop = container.spec.get("lifecycle", {}).get("preStop")
    if stop is not None:
        yield stop["exec"]["command"]


def _parse(arguments: list[str]) -> str:
    """The full name of the command that arguments call, which must accept them all."""
    command: Any = get_command(app)
    context = command.make_context("motorisk", list(arguments))
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)
    return str(context.command_path)


def test_every_command_is_one_of_ours(manifests: list[Manifest], containers: Any) -> None:
    called = {
        _parse(command[1:])
        for container in containers(manifests)
        for command in _commands(container)
        if command[0] == "motorisk"
    }
    usual = {
        "motorisk serve",
        "motorisk quote drain",
        "motorisk monitor",
        "motorisk drift-ui",
        "motorisk db upgrade",
    }
    makes_addresses = any(each["kind"] == "Secret" for each in manifests)
    assert called == (usual | {"motorisk db grant"} if makes_addresses else usual)


def test_every_setting_is_known_and_good(
    manifests: list[Manifest], containers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for container in containers(manifests):
        with monkeypatch.context() as patch:
            for name, value in container.environment.items():
                if name.startswith(PREFIX):
                    patch.setenv(name, value if isinstance(value, str) else "postgresql://someone@somewhere/motorisk")
            Settings.from_environment()


def _environment(container: Any, inherited: dict[str, str], **own: str) -> dict[str, str]:
    """A container's variables on this machine: secrets and the cluster's names are `own`."""
    plain = {name: value for name, value in container.environment.items() if isinstance(value, str)}
    return {**{name: value for name, value in inherited.items() if not name.startswith(PREFIX)}, **plain, **own}


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """Without certificates: reading them takes longer than all else."""
    with httpx.Client(timeout=30, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)) as client:
        yield client


def _probe(client: httpx.Client, container: Any, name: str) -> int:
    asked = container.spec[name]["httpGet"]
    (port,) = [each["containerPort"] for each in container.spec["ports"] if each["name"] == asked["port"]]
    try:
        return client.get(f"http://127.0.0.1:{port}{asked['path']}").status_code
    except httpx.TransportError:
        return 0


def _wait_for(what: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_the_quote_service_does_what_its_pod_says(
    render: Any,
    containers: Any,
    named: Any,
    warehouse: Engine,
    server_environment: dict[str, str],
    offer: Any,
    client: httpx.Client,
    tmp_path: Path,
) -> None:
    http, admin = free_port(), free_port()
    ports = f"quotes.containerPort={http},quotes.adminPort={admin},quotes.workers=1,tests.apiKeySecret=test-key"
    manifests = render("values.yaml", "--set", ports)
    found = {container.spec["name"]: container for container in containers(manifests)}
    owner = make_url(server_environment["MOTORISK_DATABASE_URL"])
    generated = named(manifests, "Secret", "motorisk-database")["stringData"]
    login = make_url(generated["quotes-url"])
    quotes_url = owner.set(username=login.username, password=login.password).render_as_string(hide_password=False)
    own = {"MOTORISK_HOME": str(tmp_path / "home"), "MOTORISK_QUOTE_HOST": "127.0.0.1"}
    environment = _environment(found["quotes"], server_environment, MOTORISK_DATABASE_URL=quotes_url, **own)

    def run(command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
        """A container's command, with the library of this checkout."""
        program = [sys.executable, *(command[1:] if command[0] == "python" else ["-m", *command])]
        return subprocess.run(
            program, env={**environment, **more}, capture_output=True, text=True, timeout=60, check=False
        )

    as_owner = {"MOTORISK_DATABASE_URL": server_environment["MOTORISK_DATABASE_URL"]}
    for name in ("migrations", "login-quotes"):
        prepared = run(found[name].spec["command"], **as_owner, LOGIN_PASSWORD=generated["quotes-password"])
        assert prepared.returncode == 0, prepared.stderr
    log = tmp_path / "log"
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        command = [sys.executable, "-m", *found["quotes"].spec["command"]]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        _wait_for(lambda: _probe(client, found["quotes"], "startupProbe") == 200, log)
        assert _probe(client, found["quotes"], "readinessProbe") == 503, "no model is approved"
        assert _probe(client, found["quotes"], "livenessProbe") == 200

        version = offer(warehouse, 0.5)
        with warehouse.begin() as connection:
            transitions.approve(connection, version, by="uma")
            key = add_key(connection, "helm-test", by="uma")[1]
        _wait_for(lambda: _probe(client, found["quotes"], "readinessProbe") == 200, log)
        addresses = {"QUOTES_URL": f"http://127.0.0.1:{http}", "ADMIN_URL": f"http://127.0.0.1:{admin}"}
        asked = run(found["test"].spec["command"], **addresses, API_KEY=key)
        assert asked.returncode == 0, asked.stdout + asked.stderr
        assert "/v1/quotes without a key: 401" in asked.stdout
        assert "/v1/quotes: 201" in asked.stdout
        refused = run(found["test"].spec["command"], **addresses, API_KEY="mtr_wrong")
        assert (refused.returncode, refused.stderr.strip()) == (1, "no quote for a client with a key")

        monitor = named(manifests, "Service", "motorisk-quotes-admin")["spec"]["ports"][0]["port"]
        assert "motorisk_quote_journal_pending 0.0" in client.get(f"http://127.0.0.1:{monitor}/metrics/").text
        assert client.get(f"http://127.0.0.1:{http}/metrics/").status_code == 404

        stop = found["quotes"].spec["lifecycle"]["preStop"]["exec"]["command"]
        drained = run([argument for argument in stop if not argument.startswith("--after")])
        assert drained.returncode == 0, drained.stdout + drained.stderr
    assert process.returncode == 0, log.read_text()


def test_generated_addresses_are_addresses_whatever_the_password_is(render: Any, named: Any) -> None:
    password = "p@ss/w:rd +%&?#ä"
    manifests = render("values.yaml", "--set-string", f"database.users.quotes.password={password}")
    secret = named(manifests, "Secret", "motorisk-database")["stringData"]
    url = make_url(secret["quotes-url"])
    assert (url.username, url.password, url.host, url.database) == (
        "quote_service",
        password,
        "postgresql",
        "motorisk",
    )
    assert secret["quotes-password"] == password
    assert len({make_url(secret[f"{role}-url"]).password for role in ("owner", "quotes", "platform")}) == 3
