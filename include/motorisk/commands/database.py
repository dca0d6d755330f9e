"""`motorisk db`: the database's address, server and tables."""

import os
import shutil
from typing import Annotated

import typer
from sqlalchemy.engine import URL

from motorisk.commands import backup
from motorisk.commands.opening import warehouse
from motorisk.commands.output import JsonOption, console, print_json
from motorisk.errors import DatabaseUnavailable, SettingsError
from motorisk.settings import settings
from motorisk.warehouse.database import DATABASE, embedded_server, open_warehouse, server_url
from motorisk.warehouse.roles import Role, grant
from motorisk.warehouse.schema import LATEST_REVISION, current_revision

app = typer.Typer(no_args_is_help=True, help="The database's address, server and tables.")
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)


@app.command("upgrade")
def upgrade_command(json: JsonOption = False) -> None:
    """Bring the tables to this version; nothing happens where they are there already."""
    from motorisk.warehouse.migrate import upgrade

    engine = open_warehouse(settings())
    before = current_revision(engine)
    upgrade(engine)
    after = current_revision(engine)
    if json:
        print_json({"before": before, "after": after})
    else:
        console.print(f"The database is at migration {after}" + ("." if before == after else f" (was {before})."))


@app.command("downgrade")
def downgrade_command(
    revision: Annotated[str, typer.Argument(help="Migration to go back to; `base` drops everything.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; data of dropped tables are lost.")] = False,
    json: JsonOption = False,
) -> None:
    """Take the tables back to an earlier migration; data of the tables that go are lost."""
    from motorisk.warehouse.migrate import downgrade

    engine = open_warehouse(settings())
    if not yes:
        typer.confirm(f"Go back to {revision}? Data of dropped tables are lost.", abort=True, err=True)
    before = current_revision(engine)
    downgrade(engine, revision)
    if json:
        print_json({"before": before, "after": current_revision(engine)})
    else:
        console.print(f"The database is at migration {current_revision(engine) or 'base'} (was {before}).")


@app.command("grant")
def grant_command(
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="The login; it is made where it is not there.")],
    roles: Annotated[list[Role], typer.Option("--role", help="What it is for; may be given several times.")],
    password_from_env: Annotated[
        str | None,
        typer.Option("--password-from-env", metavar="VAR", help="Environment variable with its (new) password."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a login a member of roles, which limit what it may; granting again changes nothing."""
    password = None
    if password_from_env is not None:
        password = os.environ.get(password_from_env)
        if not password:
            raise SettingsError(f"the environment variable {password_from_env} holds no password")
    with warehouse().begin() as connection:
        granted = grant(connection, login, roles, password)
    if json:
        print_json(granted)
    else:
        how = "was made and " if granted.created else ""
        console.print(f"{login} {how}has the roles: {', '.join(granted.roles)}.", markup=False, highlight=False)


@app.command("url")
def url(json: JsonOption = False) -> None:
    """Print the database's address, with its password."""
    open_warehouse(settings())
    address = server_url(settings(), DATABASE).set(drivername="postgresql").render_as_string(hide_password=False)
    if json:
        print_json({"url": address})
    else:
        typer.echo(address)


@app.command("shell")
def shell(json: JsonOption = False) -> None:
    """Open psql on the database."""
    if json:
        raise SettingsError("`motorisk db shell` is for people; take `motorisk db url --json`")
    open_warehouse(settings())
    url = server_url(settings(), DATABASE).set(drivername="postgresql")
    program = shutil.which("psql") or str(embedded_server(settings()).program("psql"))
    # Everybody on the machine sees command lines, the environment nobody but the same user.
    password = {"PGPASSWORD": str(url.password)} if url.password else {}
    address = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, url.query)
    os.execve(program, [program, address.render_as_string()], {**os.environ, **password})  # noqa: S606


@app.command("status")
def status(json: JsonOption = False) -> None:
    """Tell whether the database is up and its tables are those that this version needs."""
    embedded = settings().database_url is None
    running = embedded_server(settings()).is_running() if embedded else _reachable()
    revision = current_revision(open_warehouse(settings())) if running else None
    if json:
        print_json({"running": running, "embedded": embedded, "migration": revision, "needed": LATEST_REVISION})
    else:
        where = "embedded Postgres" if embedded else "Postgres of MOTORISK_DATABASE_URL"
        state = f"running at migration {revision} (needed: {LATEST_REVISION})" if running else "not running"
        console.print(f"{where}: {state}.")


def _reachable() -> bool:
    try:
        open_warehouse(settings())
    except DatabaseUnavailable:
        return False
    return True


@app.command("stop")
def stop(json: JsonOption = False) -> None:
    """Stop the embedded Postgres; the next command that needs it starts it again."""
    if settings().database_url is not None:
        raise SettingsError("MOTORISK_DATABASE_URL is set: that server is not Motorisk's to stop")
    stopped = embedded_server(settings()).stop()
    if json:
        print_json({"stopped": stopped})
    else:
        console.print("Stopped." if stopped else "It was not running.")
