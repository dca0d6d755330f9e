"""Backup and restore of the platform's databases: its own and Airflow's.

A backup is a folder: a dump a database (pg_dump's directory format) and `manifest.json` with the versions, the rows of
every table and the SHA-256 of every file. Both databases are seen as of one moment, milliseconds apart.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.pool import NullPool

from motorisk.errors import BackupRefused, DatabaseUnavailable, SettingsError
from motorisk.settings import Settings
from motorisk.warehouse.database import DATABASE, ensure_database, server_url
from motorisk.warehouse.dumping import Programs, group_owners, row_counts, server_major
from motorisk.warehouse.failures import first_line
from motorisk.warehouse.roles import ensure_groups

AIRFLOW = "airflow"
AIRFLOW_ADDRESS = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
MANIFEST = "manifest.json"

Tell = Callable[[str], None]
"""Told what is done next."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseDump(_Frozen):
    """One database of a backup: its server's major version, its migration, rows by table, and group roles' tables."""

    server: int
    migration: str | None
    rows: dict[str, int]
    owners: dict[str, str]


class Manifest(_Frozen):
    """What a backup holds."""

    format: Literal[1] = 1
    made_at: datetime
    motorisk: str
    databases: dict[str, DatabaseDump]
    files: dict[str, str]
    """SHA-256 by path within the folder."""


def silent(what: str) -> None:
    """Nobody watches."""


def addresses(settings: Settings) -> dict[str, URL]:
    """Both databases; Airflow's is that of `AIRFLOW__DATABASE__SQL_ALCHEMY_CONN`, else `airflow` on our server."""
    told = os.environ.get(AIRFLOW_ADDRESS)
    try:
        airflow = make_url(told).set(drivername="postgresql+psycopg2") if told else server_url(settings, AIRFLOW)
    except ArgumentError:
        raise SettingsError(f"{AIRFLOW_ADDRESS} is not a database address (postgresql://…)") from None
    return {DATABASE: server_url(settings, DATABASE), AIRFLOW: airflow}


def back_up(settings: Settings, folder: Path, *, jobs: int = 2, tell: Tell = silent) -> Manifest:
    """Dump both databases into a new folder; a server without Airflow's has only ours.

    `BackupRefused` where the folder has something in it. It appears when it is complete, readable by its owner alone.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupRefused(f"{folder} is there already: a backup needs a folder of its own")
    programs = Programs(settings)
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    try:
        dumps = _dump(programs, addresses(settings), unfinished, jobs, tell)
        files = {str(file.relative_to(unfinished)): _sha256(file) for file in _files(unfinished)}
        manifest = Manifest(made_at=datetime.now(UTC), motorisk=version("motorisk"), databases=dumps, files=files)
        (unfinished / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return manifest


def _dump(
    programs: Programs, databases: Mapping[str, URL], folder: Path, jobs: int, tell: Tell
) -> dict[str, DatabaseDump]:
    with ExitStack() as stack:
        seen = {}
        for name, address in databases.items():
            engine = create_engine(address, poolclass=NullPool, isolation_level="REPEATABLE READ")
            try:
                connection = stack.enter_context(engine.connect())
            except OperationalError as error:
                reason = first_line(error.orig or error)
                if name == AIRFLOW and f'database "{address.database}" does not exist' in reason:
                    tell(f"no database {address.database} on the server: without Airflow's")
                    continue
                raise DatabaseUnavailable(f"cannot reach the database {address.database}: {reason}") from None
            programs.require(server_major(connection))
            seen[name] = connection, str(connection.scalar(text("SELECT pg_export_snapshot()")))
        found = {}
        for name, (connection, snapshot) in seen.items():
            tell(f"dumping {databases[name].database}")
            programs.dump(databases[name], folder / name, snapshot, jobs)
            found[name] = DatabaseDump(
                server=server_major(connection),
                migration=_migration(connection),
                rows=row_counts(connection),
                owners=group_owners(connection),
            )
        return found


def _migration(connection: Connection) -> str | None:
    if connection.scalar(text("SELECT to_regclass('public.alembic_version')")) is None:
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM public.alembic_version"))
    return revision


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored: rows by database."""

    made_at: datetime
    migration: str | None
    rows: dict[str, int]


def restore(settings: Settings, folder: Path, *, replace: bool = False, tell: Tell = silent) -> Restored:
    """Put a backup in the place of the databases, each in one transaction; what is wrong changes nothing.

    `BackupRefused` where a file is not what was written, a server is older than the dump, or a database holds tables
    and `replace` is not set. Databases that are not there are made.
    """
    manifest = verify(folder, tell)
    programs = Programs(settings)
    targets = {name: address for name, address in addresses(settings).items() if name in manifest.databases}
    for name, address in targets.items():
        if address.render_as_string() == server_url(settings, address.database or name).render_as_string():
            ensure_database(settings, address.database or name)
        _require_target(programs, address, manifest.databases[name], replace=replace)
    for name, address in targets.items():
        tell(f"restoring {address.database}")
        dump = manifest.databases[name]
        programs.restore(address, folder / name, dump.rows, dump.owners)
    rows = {name: sum(dump.rows.values()) for name, dump in manifest.databases.items()}
    return Restored(manifest.made_at, manifest.databases[DATABASE].migration, rows)


def verify(folder: Path, tell: Tell = silent) -> Manifest:
    """The manifest of a backup whose files are all as they were written; else `BackupRefused`."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
    except OSError:
        raise BackupRefused(f"{folder} is no backup: there is no {MANIFEST}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BackupRefused(f"{folder / MANIFEST} cannot be read: {place}: {first['msg']}") from None
    tell("checking the files")
    for name, digest in manifest.files.items():
        file = folder / name
        if not file.is_file():
            raise BackupRefused(f"{file} is missing: the backup is not complete")
        if _sha256(file) != digest:
            raise BackupRefused(f"{file} is not what was written: its SHA-256 has changed")
    return manifest


def _require_target(programs: Programs, address: URL, dump: DatabaseDump, *, replace: bool) -> None:
    engine = create_engine(address, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            major = server_major(connection)
            held = row_counts(connection)
    except OperationalError as error:
        reason = first_line(error.orig or error)
        raise DatabaseUnavailable(f"cannot reach the database {address.database}: {reason}") from None
    programs.require(major)
    if major < dump.server:
        raise BackupRefused(f"the backup comes from PostgreSQL {dump.server}, the server is {major}: upgrade it first")
    if held and not replace:
        what = f"{len(held)} tables with {sum(held.values()):,} rows"
        raise BackupRefused(f"the database {address.database} holds {what}: --replace drops them")
    if dump.owners:
        with engine.begin() as connection:
            ensure_groups(connection)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
