"""Postgres' own pg_dump and pg_restore: a database into a folder and back, all of it or nothing."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile

from sqlalchemy import URL, Connection, text

from motorisk.errors import BackupRefused, DatabaseUnavailable
from motorisk.settings import Settings
from motorisk.warehouse.database import embedded_server

OLDEST_SERVER = 15
"""From 15 on the schema `public` belongs to the owner of the database."""
LOCK_SECONDS = 10


class Programs:
    """pg_dump, pg_restore and psql of one release: the newest of those in PATH and of the embedded Postgres."""

    def __init__(self, settings: Settings) -> None:
        found = [Path(path).parent for path in [shutil.which("pg_dump")] if path]
        with suppress(DatabaseUnavailable):  # the embedded Postgres is an extra
            found.append(embedded_server(settings).program("pg_dump").parent)
        if not found:
            raise BackupRefused("there is no pg_dump: install PostgreSQL's client programs, or the extra `embedded`")
        self.major, self._folder = max((_major(folder / "pg_dump"), folder) for folder in found)

    def require(self, server: int) -> None:
        """`BackupRefused` where a server is newer than the programs, or too old for us."""
        if server < OLDEST_SERVER:
            raise BackupRefused(f"the server is PostgreSQL {server}; backups need {OLDEST_SERVER} or newer")
        if server > self.major:
            raise BackupRefused(
                f"pg_dump {self.major} cannot work with PostgreSQL {server}: install the client programs of {server}"
            )

    def dump(self, address: URL, folder: Path, snapshot: str, jobs: int) -> None:
        """Write what an exported snapshot sees into a new folder."""
        arguments = ["--format=directory", f"--jobs={jobs}", f"--snapshot={snapshot}", f"--file={folder}"]
        target, environment = _libpq(address)
        command = [str(self._folder / "pg_dump"), *arguments, "--no-password", f"--dbname={target}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BackupRefused(f"pg_dump of {address.database} failed: {_said(done.stderr)}")

    def restore(self, address: URL, folder: Path, counts: Mapping[str, int], owners: Mapping[str, str]) -> None:
        """Put a dump in the place of all that a database holds, in one transaction that also counts its rows.

        Everything belongs to the address's login then, but for the relations with `owners`.
        """
        target, environment = _libpq(address)
        read = [str(self._folder / "pg_restore"), "--no-owner", "--file=-", str(folder)]
        write = [str(self._folder / "psql"), "--no-psqlrc", "--quiet", "--no-password", "--single-transaction"]
        steps = ["--set=ON_ERROR_STOP=1", f"--command={_empty()}", "--file=-"]
        steps += [f"--command={statement}" for statement in (*_given(owners), _check(counts))]
        with ExitStack() as stack:
            # A file, not a pipe: nobody reads it before the end, and a full pipe would hold pg_restore up for ever.
            complaints = stack.enter_context(TemporaryFile("w+"))
            reading = stack.enter_context(
                subprocess.Popen(read, env=environment, stdout=subprocess.PIPE, stderr=complaints, text=True)
            )
            command = [*write, *steps, f"--dbname={target}"]
            writing = subprocess.run(
                command,
                env=environment,
                stdin=reading.stdout,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            assert reading.stdout is not None  # noqa: S101  it is a pipe
            reading.stdout.close()
            reading.wait()
            complaints.seek(0)
            complaint = complaints.read()
        if writing.returncode:
            said = _said(writing.stderr)
            hint = ": stop the services that use it" if "lock timeout" in said else ""
            raise BackupRefused(f"{address.database} stays as it was: {said}{hint}")
        if reading.returncode:  # a dump that ended early would have been missed by the counts
            raise BackupRefused(f"pg_restore of {address.database} failed: {_said(complaint)}")


def server_major(connection: Connection) -> int:
    """The server's major version."""
    return int(connection.scalar(text("SELECT current_setting('server_version_num')::int / 10000")) or 0)


def row_counts(connection: Connection) -> dict[str, int]:
    """Rows of every table, as the transaction sees them; those of a partitioned one by its partitions."""
    user_tables = text(
        "SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE relkind = 'r' AND NOT (nspname = 'information_schema' OR starts_with(nspname, 'pg_')) ORDER BY 1"
    )
    tables = connection.scalars(user_tables).all()
    return {name: int(connection.scalar(text(f"SELECT count(*) FROM {name}")) or 0) for name in tables}  # noqa: S608


def group_owners(connection: Connection) -> dict[str, str]:
    """Owners of the relations that belong to one of the platform's group roles, not to whoever migrates."""
    found = connection.execute(
        text(
            "SELECT format('%I.%I', nspname, relname), quote_ident(rolname) FROM pg_class "
            "JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_roles r ON r.oid = relowner "
            "WHERE relkind IN ('r', 'p') AND NOT rolcanlogin AND starts_with(rolname, 'motorisk_') ORDER BY 1"
        )
    )
    return {str(row[0]): str(row[1]) for row in found}


def _given(owners: Mapping[str, str]) -> list[str]:
    return [f"ALTER TABLE {relation} OWNER TO {owner}" for relation, owner in owners.items()]


def _empty() -> str:
    """Drop everything; `public` is left as Postgres makes it, which is what dumps build upon."""
    return f"""
SET LOCAL lock_timeout = '{LOCK_SECONDS}s';
DO $$
DECLARE name name;
BEGIN
    FOR name IN
        SELECT nspname FROM pg_namespace WHERE NOT (nspname = 'information_schema' OR starts_with(nspname, 'pg_'))
    LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', name);
    END LOOP;
END
$$;
SET LOCAL lock_timeout = 0;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""  # noqa: S608 - constants


def _check(counts: Mapping[str, int]) -> str:
    expected = ", ".join(f"({_literal(name)}, {rows})" for name, rows in counts.items())
    if not expected:
        return "SELECT"
    return f"""DO $$
DECLARE expected record; found bigint;
BEGIN
    FOR expected IN SELECT * FROM (VALUES {expected}) AS v (name, rows) LOOP
        EXECUTE 'SELECT count(*) FROM ' || expected.name INTO found;
        IF found <> expected.rows THEN
            RAISE 'the backup has % rows of %, restored were %', expected.rows, expected.name, found;
        END IF;
    END LOOP;
END
$$"""  # noqa: S608 - of numbers and quoted names


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _libpq(address: URL) -> tuple[str, dict[str, str]]:
    """An address for Postgres' programs, the password apart: command lines are for everybody to read."""
    environment = {**os.environ, "PGOPTIONS": "-c timezone=UTC"}
    if address.password is not None:
        environment["PGPASSWORD"] = str(address.password)
    bare = URL.create("postgresql", address.username, None, address.host, address.port, address.database, address.query)
    return bare.render_as_string(hide_password=False), environment


def _major(program: Path) -> int:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)", told)
    return int(found[1]) if found else 0


def _said(output: str) -> str:
    lines: Iterable[str] = (line.strip() for line in output.splitlines())
    errors = [line for line in lines if "ERROR:" in line or "error:" in line or "FATAL:" in line]
    return (errors or output.strip().splitlines() or ["it said nothing"])[0][-500:]
