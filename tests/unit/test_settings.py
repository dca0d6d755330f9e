"""Settings: read once from the environment, refused where they are wrong."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from motorisk.errors import SettingsError
from motorisk.settings import Settings, settings

ADDRESS = "postgresql://insurer:geheim@db.example:5432/motorisk"


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Let `settings()` read the test's environment, and nobody else's afterwards."""
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_nothing_needs_to_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "ada")
    found = Settings.from_environment()
    assert found.model_dump() == {
        "home": tmp_path / ".motorisk",
        "database_url": None,
        "user": "ada",
        "approval": "human",
        "training_config": None,
        "image_tag": None,
        "drift_min_rows": 300,
        "drift_thresholds": "calibrated",
        "drift_false_alarm_windows": 240,
        "drift_workspace": None,
        "drift_ui_host": "127.0.0.1",
        "drift_ui_port": 8001,
        "score_partition_rows": 1_000_000,
        "score_max_quarantined": 0.01,
        "score_renewal_cap": None,
        "score_keep_months": 24,
        "score_archive": None,
        "quote_host": "127.0.0.1",
        "quote_port": 8000,
        "quote_workers": 2,
        "quote_threads": 16,
        "quote_access": "auto",
        "quote_rate": None,
        "quote_admin_port": None,
        "quote_access_log": True,
        "log_format": "auto",
        "quote_page": None,
        "api_key": None,
        "alertmanager_url": None,
        "statsd": None,
        "pseudonym_key": None,
        "prometheus_port": 9090,
        "airflow_port": 8080,
    }


def test_every_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "home": "/srv/motorisk",
        "database_url": ADDRESS,
        "user": "grace",
        "approval": "auto",
        "training_config": "/etc/motorisk/training.yaml",
        "image_tag": "2026-11",
        "drift_min_rows": "50",
        "drift_thresholds": "fixed",
        "drift_false_alarm_windows": "1200",
        "drift_workspace": "/srv/evidently",
        "drift_ui_host": "0.0.0.0",  # noqa: S104 - only read, nobody listens
        "drift_ui_port": "8011",
        "score_partition_rows": "250000",
        "score_max_quarantined": "0.05",
        "score_renewal_cap": "0.15",
        "score_keep_months": "36",
        "score_archive": "/srv/archive",
        "quote_host": "0.0.0.0",  # noqa: S104 - only read, nobody listens
        "quote_port": "8001",
        "quote_workers": "4",
        "quote_threads": "12",
        "quote_access": "keys",
        "quote_rate": "12.5",
        "quote_admin_port": "8002",
        "quote_access_log": "False",
        "log_format": "json",
        "quote_page": "off",
        "api_key": "mtr_secret",
        "alertmanager_url": "http://alertmanager:9093",
        "statsd": "localhost:9125",
        "pseudonym_key": "k" * 64,
        "prometheus_port": "9091",
        "airflow_port": "8081",
    }
    assert values.keys() == Settings.model_fields.keys()
    for name, value in values.items():
        monkeypatch.setenv(f"MOTORISK_{name.upper()}", value)
    found = Settings.from_environment()
    assert found.database_url is not None
    assert found.database_url.get_secret_value() == ADDRESS
    assert found.api_key is not None
    assert found.api_key.get_secret_value() == "mtr_secret"
    secrets = {"database_url", "api_key", "pseudonym_key"}
    assert {name: str(getattr(found, name)) for name in values.keys() - secrets} == {
        name: values[name] for name in values.keys() - secrets
    }
    assert (found.drift_min_rows, found.quote_port) == (50, 8001)


@pytest.mark.fault("wrong setting")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MOTORISK_QUOTE_PROT", "unknown setting MOTORISK_QUOTE_PROT; did you mean MOTORISK_QUOTE_PORT?"),
        ("MOTORISK_DATABASEURL", "unknown setting MOTORISK_DATABASEURL; did you mean MOTORISK_DATABASE_URL?"),
        ("motorisk_hme", "unknown setting motorisk_hme; did you mean MOTORISK_HOME?"),
    ],
)
def test_an_unknown_variable_is_refused_with_what_was_probably_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment()
    assert str(refusal.value) == message


@pytest.mark.fault("wrong setting")
def test_a_variable_that_resembles_none_is_refused_without_a_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTORISK_ZZZZZZZZZZZZZZZZZZZZZZZZ", "1")
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment()
    assert str(refusal.value) == "unknown setting MOTORISK_ZZZZZZZZZZZZZZZZZZZZZZZZ"


def test_variables_of_others_are_let_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTORRISK_QUOTE_PORT", "1")
    monkeypatch.setenv("QUOTE_PORT", "1")
    assert Settings.from_environment().quote_port == 8000


@pytest.mark.fault("wrong setting")
@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("MOTORISK_QUOTE_PORT", "eighty", "valid integer"),
        ("MOTORISK_QUOTE_PORT", "0", "greater than or equal to 1"),
        ("MOTORISK_QUOTE_PORT", "65536", "less than or equal to 65535"),
        ("MOTORISK_QUOTE_WORKERS", "0", "greater than or equal to 1"),
        ("MOTORISK_QUOTE_THREADS", "257", "less than or equal to 256"),
        ("MOTORISK_DRIFT_MIN_ROWS", "2.5", "valid integer"),
        ("MOTORISK_SCORE_KEEP_MONTHS", "1201", "less than or equal to 1200"),
        ("MOTORISK_STATSD", "localhost:70000", "a port lies between 1 and 65535"),
        ("MOTORISK_STATSD", "localhost", "String should match pattern"),
        ("MOTORISK_APPROVAL", "robot", "'auto' or 'human'"),
        ("MOTORISK_APPROVAL", "auto\nhuman", "'auto' or 'human'"),
    ],
)
def test_a_malformed_value_is_refused_in_one_line_that_names_variable_and_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment()
    message = str(refusal.value)
    assert message.startswith(f"{name}: ")
    assert message.endswith(f", got {value!r}")
    assert part in message
    assert "\n" not in message


def test_settings_cannot_be_changed() -> None:
    found = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        found.quote_port = 1  # type: ignore[misc]


def test_code_cannot_make_up_settings() -> None:
    with pytest.raises(ValidationError, match="quote_prot"):
        Settings(quote_prot=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["home", "drift_workspace", "score_archive", "training_config"])
@pytest.mark.parametrize(
    ("value", "expected"), [("data", "{here}/data"), ("./data/x", "{here}/data/x"), ("~/data", "{there}/data")]
)
def test_places_are_made_absolute_so_that_they_survive_a_change_of_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, expected: str
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(there))
    monkeypatch.setenv(f"MOTORISK_{name.upper()}", value)
    found = Settings.from_environment()
    monkeypatch.chdir(tmp_path)
    assert str(getattr(found, name)) == expected.format(here=here, there=there)


def test_the_database_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTORISK_DATABASE_URL", ADDRESS)
    found = Settings.from_environment()
    for shown in (repr(found), str(found), str(found.model_dump()), found.model_dump_json()):
        assert "geheim" not in shown
    assert found.database_url == SecretStr(ADDRESS)

    monkeypatch.setenv("MOTORISK_QUOTE_PORT", "eighty")
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment()
    assert "geheim" not in str(refusal.value)
    assert refusal.value.__cause__ is None  # it would be printed in a traceback, inputs and all


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MOTORISK_ALERTMANAGER_URL", "https://ulf:geheim@alerts.example:9093"),
        ("MOTORISK_DRIFT_WORKSPACE", "s3://id:geheim@bucket/drift"),
        ("MOTORISK_API_KEY", "mtr_geheim"),
    ],
)
def test_no_password_in_any_address_is_shown(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    found = Settings.from_environment()
    assert "geheim" not in repr(found) + str(found)
    monkeypatch.setenv("MOTORISK_ALERTMANAGER_URL", "ftp://ulf:geheim@alerts.example")
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment()
    assert "geheim" not in str(refusal.value)
    assert "ftp://***@alerts.example" in str(refusal.value)


@pytest.mark.usefixtures("forgetful")
def test_the_process_reads_its_settings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTORISK_QUOTE_PORT", "8001")
    first = settings()
    monkeypatch.setenv("MOTORISK_QUOTE_PORT", "8002")
    assert settings() is first
    assert first.quote_port == 8001
    settings.cache_clear()
    assert settings().quote_port == 8002


def test_reading_the_settings_leaves_the_environment_and_the_disk_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    Settings.from_environment()
    assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("wrong setting")
def test_the_home_of_an_unknown_user_is_refused_like_any_malformed_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTORISK_HOME", "~nobody-has-this-name/motorisk")
    with pytest.raises(SettingsError, match="MOTORISK_HOME"):
        Settings.from_environment()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass on what is not set as empty text."""
    for name in ("MOTORISK_DATABASE_URL", "MOTORISK_HOME", "MOTORISK_USER", "MOTORISK_QUOTE_PORT"):
        monkeypatch.setenv(name, "")
    found = Settings.from_environment()
    assert (found.database_url, found.home.name, found.quote_port) == (None, ".motorisk", 8000)
    assert found.user
