"""`motorisk`: the platform on the command line.

Exit codes: 0 done, 1 refused or failed (one clear line on standard error), 2 wrong usage.
"""

import errno
import sys
from typing import NoReturn

import typer
from rich.markup import escape
from sqlalchemy.exc import InterfaceError, OperationalError

from motorisk.commands import (
    audit,
    clients,
    data,
    database,
    demo,
    drift_ui,
    first_night,
    models,
    monitor,
    nights,
    privacy,
    quotes,
    scores,
    service,
    shadow,
    timelapse,
    traffic,
)
from motorisk.commands.output import notices
from motorisk.errors import MotoriskError
from motorisk.warehouse.failures import first_line

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train, approve, serve and watch a motor insurer's risk models.",
)
app.command()(demo.demo)
app.command("first-night")(first_night.first_night)
app.add_typer(database.app, name="db")
app.command()(data.simulate)
app.command("import")(data.import_files)
app.command()(models.train)
app.add_typer(models.app, name="models")
app.command()(models.approve)
app.command()(models.reject)
app.command()(models.rollback)
app.command()(nights.score)
app.add_typer(scores.app, name="scores")
app.command()(nights.drift)
app.command("drift-ui")(drift_ui.drift_ui)
app.command()(nights.performance)
app.command()(timelapse.timelapse)
app.add_typer(quotes.app, name="quote")
app.add_typer(clients.app, name="clients")
app.add_typer(audit.app, name="audit")
app.command()(privacy.erase)
app.command()(privacy.export)
app.add_typer(shadow.app, name="shadow")
app.command("replay-quotes")(traffic.replay_quotes)
app.command()(monitor.monitor)
app.command()(service.serve)


def main() -> None:
    """Run the command line; expected failures print one line and exit with 1."""
    try:
        app()
    except MotoriskError as error:
        _fail(error.title, str(error))
    except (OperationalError, InterfaceError) as error:
        _fail("Database unavailable", f"{first_line(error.orig or error)}: try again")
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise  # no file's or disk's
        _fail("Not written or read", f"{error.filename or 'the disk'}: {error.strerror}")


def _fail(title: str, reason: str) -> NoReturn:
    notices.print(f"[red]{title}:[/] {escape(reason)}", soft_wrap=True, highlight=False)
    sys.exit(1)
