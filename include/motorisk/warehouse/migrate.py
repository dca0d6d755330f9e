"""Bring the database's tables to this code's version, or back."""

from collections.abc import Callable
from pathlib import Path

from alembic import command, op
from alembic.config import Config
from alembic.util import CommandError
from psycopg2.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random_exponential

from motorisk.errors import SchemaOutdated
from motorisk.warehouse.locks import LOCK_SECONDS, PATIENCE_SECONDS, exclusively
from motorisk.warehouse.schema import current_revision, require_not_newer

_FOLDER = Path(__file__).parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    return config


def run_script(name: str) -> None:
    """Execute a packaged SQL file on the migration's connection (called from migrations)."""
    script = (_FOLDER / "versions" / name).read_text(encoding="utf-8")
    # The driver's own cursor: no bind parameters, so that "%" in the script is just a character.
    op.get_bind().connection.cursor().execute(script)


def _is_about_locks(error: BaseException) -> bool:
    return isinstance(getattr(error, "orig", error), DeadlockDetected | LockNotAvailable)


@retry(
    retry=retry_if_exception(_is_about_locks),
    wait=wait_random_exponential(multiplier=0.5, max=5),
    stop=stop_after_delay(PATIENCE_SECONDS),
    reraise=True,
)
def _attempt(engine: Engine, migrate: Callable[[Config, str], None], revision: str) -> None:
    """Go on from the last migration that is done, each in one transaction.

    Quotes go on meanwhile and lock tables in an order of their own. Whoever waits for an exclusive lock keeps them
    waiting too, so that it is asked for only for so long, and again a moment later.
    """
    with engine.connect() as connection:
        connection.detach()  # the setting ends with it
        connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_SECONDS:.0f}s'")
        connection.commit()
        migrate(_config(connection), revision)


def _run(engine: Engine, migrate: Callable[[Config, str], None], revision: str) -> None:
    # Two upgrades at once: the second waits, then finds nothing to do.
    with exclusively(engine, "migration"):
        require_not_newer(current_revision(engine))
        try:
            _attempt(engine, migrate, revision)
        except CommandError as error:
            raise SchemaOutdated(f"no way leads to migration {revision}: {error}") from None


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Migrate up to `revision`; nothing happens where the database is there already."""
    _run(engine, command.upgrade, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Migrate down to `revision` (`base`: drop everything, data included)."""
    _run(engine, command.downgrade, revision)
