"""docker-compose.yaml and Dockerfile, read without Docker: what every service and image has to have."""

import importlib.util
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
EXAMPLE = (PROJECT / ".env.example").read_text()
OURS = ("motorisk-airflow", "motorisk-webservice")
ONCE = {"migrate", "airflow-migrate", "simulate", "first-night"}

every_service = pytest.mark.parametrize("name", sorted(SERVICES))


@every_service
def test_a_service_is_pinned_and_held_in(name: str) -> None:
    service = SERVICES[name]
    image, _, tag = service["image"].rpartition(":")
    assert image
    assert "latest" not in tag
    assert image.startswith("motorisk-") or re.search(r"\d+\.\d+", tag), "another project's image is pinned"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), "published on loopback alone"


@every_service
def test_a_service_is_watched_and_comes_back_or_runs_once(name: str) -> None:
    service = SERVICES[name]
    if name in ONCE:
        assert service["restart"].startswith("on-failure")
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


def test_the_monitor_is_alive_where_it_goes_on_looking_as_in_the_chart() -> None:
    monitor = SERVICES["monitor"]
    (option,) = [argument for argument in monitor["command"] if argument.startswith("--heartbeat=")]
    heartbeat = option.partition("=")[2]
    shell, check = monitor["healthcheck"]["test"]
    assert (shell, heartbeat in check) == ("CMD-SHELL", True)
    assert Path(heartbeat).parent == Path(monitor["tmpfs"][0])
    chart = (PROJECT / "helm" / "motorisk" / "templates" / "monitor.yaml").read_text()
    assert check.replace("$$", "$") in chart


@every_service
def test_a_service_waits_for_what_it_needs_by_condition(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        condition = "service_completed_successfully" if needed in ONCE else "service_healthy"
        assert how == {"condition": condition}, needed
        assert set(SERVICES[needed].get("profiles", [])) <= set(SERVICES[name].get("profiles", [])), needed


@every_service
def test_nobody_is_root(name: str) -> None:
    service = SERVICES[name]
    image = service["image"].partition(":")[0]
    # The images of Grafana and Gitea (rootless) have users of their own.
    assert image in (*OURS, "grafana/grafana", "gitea/gitea") or service["user"] in ("nobody", "postgres", "redis")


def test_only_migrations_know_the_owner_of_the_tables_and_each_part_has_a_login_of_its_own() -> None:
    logins: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        url = (service.get("environment") or {}).get("MOTORISK_DATABASE_URL", "")
        found = re.match(r"postgresql://(\w+):", url)
        if found:
            logins.setdefault(found[1], set()).add(name)
    assert logins["motorisk"] == {"migrate"}
    assert logins["quoting"] == {"quotes"}
    assert logins["importing"] == {"simulate"}
    assert "monitor" in logins["pipeline"]
    assert set(logins) == {"motorisk", "quoting", "importing", "pipeline"}


def test_volumes_are_named_declared_and_used() -> None:
    mounted = [volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    named = {source for source in mounted if not source.startswith(".")}
    assert named == set(COMPOSE["volumes"])
    for source in mounted:
        assert not source.startswith(".") or (PROJECT / source).exists(), source


def test_every_variable_is_explained_in_the_example() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", (PROJECT / "docker-compose.yaml").read_text())) - {"IMAGE_TAG"}
    told = set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", EXAMPLE, re.M))
    assert asked <= told
    assert told - asked == {"COMPOSE_PROFILES", "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"}
    secrets = set(re.findall(r"^([A-Z][A-Z0-9_]*)=$", EXAMPLE, re.M))
    assert {name for name in told if re.search("PASSWORD|SECRET|_KEY$", name)} == secrets, "no secret has a default"


def test_prometheus_finds_every_job_of_its_configuration_among_the_services() -> None:
    configuration = yaml.safe_load((PROJECT / "observability/prometheus/prometheus.yml").read_text())
    discovered = [*configuration["scrape_configs"], *configuration["alerting"]["alertmanagers"]]
    patterns = [pattern for job in discovered for sd in job["file_sd_configs"] for pattern in sd["files"]]
    folder = PROJECT / "docker/prometheus"
    for pattern in patterns:
        files = list(folder.glob(pattern))
        assert files, pattern
        for file in files:
            for group in yaml.safe_load(file.read_text()):
                for target in group["targets"]:
                    assert target.partition(":")[0] in {*SERVICES, "localhost"}, target


def test_images_are_built_from_pinned_bases_and_locked_requirements() -> None:
    base = re.findall(r"^ARG PYTHON_IMAGE=(.+)$", DOCKERFILE, re.M)
    assert len(base) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base[0])
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.M | re.S))
    assert all(
        source == "${PYTHON_IMAGE}" or source in stages for source in re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    )
    assert "docker/install.sh libraries web\n" in stages["webservice-libraries"]
    for name in ("airflow", "webservice"):
        assert re.findall(r"^USER (.+)$", stages[name], re.M) == ["10001:10001"]
        assert "org.opencontainers.image.revision" in stages[name]
        assert re.search(r'^CMD \["', stages[name], re.M), "exec form: signals reach the program"
    for file in re.findall(r"requirements/[a-z]+\.txt", DOCKERFILE):
        assert (PROJECT / file).exists(), file
    assert "--require-hashes" in (PROJECT / "docker/install.sh").read_text()


def test_no_secret_can_get_into_an_image() -> None:
    """What a build may read is named file by file and folder by folder; nothing secret is in it, or told to a build."""
    rules = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    allowed = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    assert rules[0] == "*"
    files = [
        found
        for rule in allowed
        for match in PROJECT.glob(rule)
        for found in (match.rglob("*") if match.is_dir() else [match])
        if found.is_file() and "__pycache__" not in found.parts
    ]
    assert len(files) > 100
    assert [file for file in files if re.search(r"^\.env|passwords|secrets?\.json|\.(pem|key)$", file.name)] == []
    secret = re.compile(
        rb"mtr_[A-Za-z0-9_-]{43}|-----BEGIN [A-Z ]*PRIVATE KEY|://[^/\s:@{$]+:(?!password@)[^/\s:@{$]{8,}@"
    )
    assert [file for file in files if secret.search(file.read_bytes())] == []
    told = re.findall(r"^(?:ARG|ENV) +(\w+)|^ +(\w+)=", DOCKERFILE, re.M)
    assert len(told) > 10
    assert [name for pair in told for name in pair if re.search("PASSWORD|SECRET|TOKEN|_KEY$|CONN$", name)] == []


def test_env_is_written_once_completed_later_and_never_changed(tmp_path: Path) -> None:
    file = tmp_path / ".env"

    def make() -> dict[str, str]:
        command = [sys.executable, PROJECT / "scripts" / "make_env.py", file]
        subprocess.run(command, check=True, capture_output=True)
        lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
        assert len({line.partition("=")[0] for line in lines}) == len(lines)
        return dict(line.split("=", 1) for line in lines)

    first = make()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(first.values())
    secrets = [value for name, value in first.items() if "PASSWORD" in name]
    assert len(set(secrets)) == len(secrets) > 8
    assert make() == first
    file.write_text(re.sub("^(GRAFANA_PASSWORD|COMPOSE_PROFILES)=.*$", r"\1=", file.read_text(), flags=re.M))
    again = make()
    assert len(again["GRAFANA_PASSWORD"]) >= 32
    assert again == {**first, "GRAFANA_PASSWORD": again["GRAFANA_PASSWORD"], "COMPOSE_PROFILES": ""}
    file.write_text(
        re.sub("^QUOTE_PORT=.*\n", "", file.read_text(), flags=re.M).replace("AIRFLOW_PORT=8080", "AIRFLOW_PORT=1")
    )
    assert make() == {**again, "AIRFLOW_PORT": "1"}


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/away" else 200)
        self.end_headers()
        self.wfile.write(b'{"scheduler": {"status": "healthy"}, "triggerer": {"status": null}}')

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_health_check_tells_alive_from_away(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # a proxy of the engine's, which is not asked
    spec = importlib.util.spec_from_file_location("alive", PROJECT / "docker" / "alive.py")
    assert spec is not None
    assert spec.loader is not None
    alive = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alive)
    assert alive.main(f"{address}/health") is None
    assert alive.main(f"{address}/health", "scheduler") is None
    assert alive.main(f"{address}/health", "triggerer") == "triggerer: unknown"
    assert alive.main(f"{address}/health", "dag_processor") == "dag_processor: unknown"
    assert "503" in alive.main(f"{address}/away")
    monkeypatch.setenv("MOTORISK_QUOTE_PORT", "1")
    monkeypatch.setenv("MOTORISK_QUOTE_ADMIN_PORT", address.rpartition(":")[2])
    assert alive.main("quotes") is None
    monkeypatch.delenv("MOTORISK_QUOTE_ADMIN_PORT")
    assert "http://127.0.0.1:1/healthz" in alive.main("quotes")
