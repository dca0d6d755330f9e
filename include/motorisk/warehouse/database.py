"""Where the database is, and one pool of connections to it."""

from functools import lru_cache

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from motorisk.errors import DatabaseUnavailable, MotoriskError, SettingsError
from motorisk.settings import Settings
from motorisk.warehouse.embedded import EmbeddedPostgres
from motorisk.warehouse.failures import explain, unreachable
from motorisk.warehouse.schema import current_revision

DATABASE = "motorisk"
RETRY_SECONDS = 5


def embedded_server(settings: Settings) -> EmbeddedPostgres:
    """The embedded server under `MOTORISK_HOME` (not started)."""
    return EmbeddedPostgres(settings.home / "postgres")


def server_url(settings: Settings, database: str) -> URL:
    """Address of a database on the platform's server, which is started where it is the embedded one."""
    if settings.database_url is None:
        return make_url(embedded_server(settings).ensure_running().format(database=database))
    try:
        url = make_url(settings.database_url.get_secret_value())
    except (ArgumentError, ValueError):  # ValueError: a port that is no number; it names what it got
        raise SettingsError("MOTORISK_DATABASE_URL is not a database address (postgresql://…)") from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise SettingsError(f"MOTORISK_DATABASE_URL must be a postgresql:// address, got {url.drivername}://")
    url = url.set(drivername="postgresql+psycopg2")
    return url if database == DATABASE else url.set(database=database)


@retry(
    retry=retry_if_exception_type(DatabaseUnavailable),
    wait=wait_exponential_jitter(initial=0.1, max=1),
    stop=stop_after_delay(RETRY_SECONDS),
    reraise=True,
)
def _reach(engine: Engine) -> None:
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except (OperationalError, ProgrammingError) as error:  # ProgrammingError: an address that libpq does not take
        raise unreachable(error) from None


def ensure_database(settings: Settings, database: str) -> URL:
    """Create a database on the platform's server unless it is there; return its address.

    Only where it is not there does the login have to be one that reaches the database `postgres` and makes others.
    """
    address = server_url(settings, database)
    if _is_there(address):
        return address
    maintenance = create_engine(server_url(settings, "postgres"), isolation_level="AUTOCOMMIT")
    try:
        with maintenance.connect() as connection:
            if not connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": database}):
                name = maintenance.dialect.identifier_preparer.quote(database)
                try:
                    connection.execute(text(f"CREATE DATABASE {name}"))
                except DBAPIError as error:
                    if "already exists" not in str(error.orig):  # else somebody was quicker
                        raise
    finally:
        maintenance.dispose()
    return address


def _is_there(address: URL) -> bool:
    engine = create_engine(address, poolclass=NullPool)
    try:
        with engine.connect():
            return True
    except OperationalError:  # the attempt to make it tells why
        return False


@lru_cache(maxsize=4)
def pool_of(url: str) -> Engine:
    """The process's pool of connections to an address; what an operator can mend is raised as an error of ours."""
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_timeout=10,
        hide_parameters=True,  # they hold policies and customers, which have no place in logs
        connect_args={"connect_timeout": 10, "application_name": "motorisk", "options": "-c timezone=UTC"},
    )
    event.listen(engine, "handle_error", _explained)
    return engine


def _explained(context: ExceptionContext) -> MotoriskError | None:
    """What is raised instead of a failure that an operator can mend; None: the failure itself."""
    return explain(context.original_exception)


def open_warehouse(settings: Settings) -> Engine:
    """The pool of connections to the platform's database, shared by the process.

    The embedded server is started, and its database created and migrated at the first use; another database
    has to be there. `DatabaseUnavailable` where it cannot be reached within a few seconds, `SettingsError` where it
    never will be.
    """
    if settings.database_url is None:
        engine = pool_of(ensure_database(settings, DATABASE).render_as_string(hide_password=False))
        if current_revision(engine) is None:
            from motorisk.warehouse.migrate import upgrade

            upgrade(engine)
        return engine
    engine = pool_of(server_url(settings, DATABASE).render_as_string(hide_password=False))
    _reach(engine)
    return engine
