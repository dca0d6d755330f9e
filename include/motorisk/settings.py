"""The settings: environment variables `MOTORISK_*`, read once, frozen, unknown ones refused."""

import difflib
import getpass
import os
import re
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from motorisk.errors import SettingsError

PREFIX = "MOTORISK_"


def _current_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return f"uid-{os.getuid()}"


def _without_password(value: Any) -> Any:
    """An address without the user and password that may be in it; anything else as it is."""
    return re.sub(r"//[^/\s]*@", "//***@", value) if isinstance(value, str) else value


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:  # the home of an unknown user
        raise ValueError(str(error)) from None
    except FileNotFoundError:
        raise ValueError("the working directory is gone: change to another, or set an absolute path") from None


class Settings(BaseSettings):
    """Where things are and how the platform behaves. An empty variable counts as unset."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    home: Path = Field(
        default=Path(".motorisk"),
        description="Folder of everything that the platform keeps on disk: embedded Postgres, snapshots, reports, logs",
        validate_default=True,
    )
    database_url: SecretStr | None = Field(
        default=None, description="Postgres to use; unset means the embedded server under MOTORISK_HOME"
    )
    user: str = Field(
        default_factory=_current_user,
        json_schema_extra={"default_is": "your login"},
        min_length=1,
        description="Who trains: recorded with every version",
    )
    approval: Literal["auto", "human"] = Field(
        default="human",
        description="`human`: somebody who did not train a version approves it; `auto`: its gates do, as in the demo",
    )
    training_config: Path | None = Field(
        default=None, description="YAML file with candidates, knots and gates; unset means the library's defaults"
    )
    image_tag: str | None = Field(
        default=None,
        min_length=1,
        description="Tag of the image that the library comes from: recorded with every version",
    )
    drift_min_rows: int = Field(
        default=300, ge=1, description="Fewest policies a month needs to be compared with the reference"
    )
    drift_thresholds: Literal["calibrated", "fixed"] = Field(
        default="calibrated",
        description="`calibrated`: by sample size, from the reference itself, with evidence of many windows; "
        "`fixed`: Evidently's 0.1 for every size, for comparison",
    )
    drift_false_alarm_windows: int = Field(
        default=240,
        ge=36,
        description="Windows of a world that stands still in which one false drift alarm is allowed, all features "
        "together; 240 months are twenty years",
    )
    drift_workspace: str | None = Field(
        default=None,
        min_length=1,
        description="Evidently workspace of the drift reports: a folder, or an address that fsspec knows; unset means "
        "MOTORISK_HOME/evidently",
    )
    drift_ui_host: str = Field(default="127.0.0.1", description="Address that the page of the drift reports listens on")
    drift_ui_port: int = Field(default=8001, ge=1, le=65535, description="Port of the page of the drift reports")
    score_partition_rows: int = Field(
        default=1_000_000, ge=1, description="Policies that one scoring task prices, about"
    )
    score_max_quarantined: float = Field(
        default=0.01, ge=0, le=1, description="Largest share of a portfolio that may be impossible to price"
    )
    score_renewal_cap: Decimal | None = Field(
        default=None,
        ge=0,
        le=10,
        decimal_places=4,
        description="Largest change of a net premium at renewal, up or down, as a share (0.15); unset: no cap",
    )
    score_keep_months: int = Field(
        default=24,
        ge=0,
        le=1200,
        description="Months for which scores stay in the database before they go to the archive",
    )
    score_archive: Path | None = Field(
        default=None, description="Folder for scores that left the database; unset means MOTORISK_HOME/archive/scores"
    )
    quote_host: str = Field(default="127.0.0.1", description="Address that the quote service listens on")
    quote_port: int = Field(default=8000, ge=1, le=65535, description="Port of the quote service")
    quote_workers: int = Field(default=2, ge=1, le=64, description="Worker processes of the quote service")
    quote_threads: int = Field(default=16, ge=1, le=256, description="Threads of each worker of the quote service")
    quote_access: Literal["auto", "keys", "open"] = Field(
        default="auto",
        description="Who may ask for quotes: `keys`: whoever has an API key; `open`: everybody; `auto`: everybody as "
        "long as the service listens on loopback alone",
    )
    quote_rate: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Requests a second that a client may send; 0: any number; unset: 500, and any number without a key",
    )
    quote_admin_port: int | None = Field(
        default=None, ge=1, le=65535, description="Port of metrics and health on their own; unset: the service's port"
    )
    quote_access_log: bool = Field(default=True, description="Whether the quote service logs a line a request")
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="The quote service's log lines; `auto`: text on a terminal, else JSON"
    )
    quote_page: Literal["on", "off"] | None = Field(
        default=None,
        description="The quote service's page for people, at `/`: it needs no API key, so that it is off by default "
        "where API keys are required or the service does not listen on loopback alone",
    )
    api_key: SecretStr | None = Field(
        default=None, description="Key with which `replay-quotes --api-key-from-env` asks a quote service"
    )
    pseudonym_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Secret behind the pseudonyms of exports, kept away from the database and from whoever gets them",
    )
    alertmanager_url: str | None = Field(
        default=None,
        pattern="^https?://",
        description="Alertmanager that is told of failed DAG runs; unset: nobody is",
    )
    statsd: str | None = Field(
        default=None,
        pattern=r"^[^\s:/]+:\d{1,5}$",
        description="HOST:PORT of a StatsD exporter that the demo's Airflow sends its metrics to; unset: nowhere",
    )
    prometheus_port: int = Field(default=9090, ge=1, le=65535, description="Port of Prometheus in the demo")
    airflow_port: int = Field(default=8080, ge=1, le=65535, description="Port of Airflow's UI and API in the demo")

    @field_validator("home", "training_config", "score_archive")
    @classmethod
    def _absolute(cls, place: Path | None) -> Path | None:
        return None if place is None else _absolute(place)

    @field_validator("drift_workspace")
    @classmethod
    def _absolute_folder(cls, place: str | None) -> str | None:
        return place if place is None or "://" in place else str(_absolute(Path(place)))

    @field_validator("statsd")
    @classmethod
    def _with_a_port(cls, address: str | None) -> str | None:
        if address is not None and not 1 <= int(address.rpartition(":")[2]) <= 65535:
            raise ValueError("a port lies between 1 and 65535")
        return address

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings; raise `SettingsError` for an unknown variable or a malformed value."""
        known = {f"{PREFIX}{name}".upper() for name in cls.model_fields}
        for name in sorted(os.environ):
            if name.upper().startswith(PREFIX) and name.upper() not in known:
                close = difflib.get_close_matches(name.upper(), known, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise SettingsError(f"unknown setting {name}{hint}")
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = f"{PREFIX}{'_'.join(str(part) for part in first['loc'])}".upper()
            is_secret = "Secret" in str(cls.model_fields[str(first["loc"][0])].annotation) if first["loc"] else False
            got = "" if is_secret else f", got {_without_password(first['input'])!r}"
            raise SettingsError(f"{name}: {first['msg']}{got}") from None

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """What `repr` and `str` show: addresses without user and password."""
        return [(name, _without_password(value)) for name, value in super().__repr_args__()]


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read from the environment at the first call."""
    return Settings.from_environment()
