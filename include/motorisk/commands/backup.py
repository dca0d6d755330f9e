"""`motorisk db backup` and `motorisk db restore`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from motorisk.commands.output import JsonOption, console, notices, print_json
from motorisk.settings import settings
from motorisk.warehouse.schema import LATEST_REVISION

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The backup's folder.")]


def _teller(quiet: bool) -> Callable[[str], None]:
    def tell(what: str) -> None:
        if not quiet:
            notices.print(f"{what[0].upper()}{what[1:]}", highlight=False)

    return tell


def backup(
    folder: FolderArgument,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=64, help="Tables dumped at a time.")] = 2,
    json: JsonOption = False,
) -> None:
    """Write the platform's database and Airflow's into a new folder, both as of one moment.

    Airflow's is that of AIRFLOW__DATABASE__SQL_ALCHEMY_CONN, else `airflow` on the platform's server. The services may
    go on meanwhile. What is in no database is not in it: the files under MOTORISK_HOME (journals of quotes, snapshots,
    archived scores), and Airflow's Fernet key, without which its connections cannot be read.
    """
    from motorisk.pipelines.backup import back_up

    made = back_up(settings(), folder.absolute(), jobs=jobs, tell=_teller(json))
    rows = {name: sum(dump.rows.values()) for name, dump in made.databases.items()}
    if json:
        facts = {"folder": folder, "made_at": made.made_at, "rows": rows, "files": len(made.files)}
        print_json({**facts, "migration": made.databases["motorisk"].migration})
    else:
        told = ", ".join(f"{name} {count:,} rows" for name, count in rows.items())
        console.print(f"Backup in {folder}: {told}.", highlight=False)


def restore(
    folder: FolderArgument,
    replace: Annotated[bool, typer.Option("--replace", help="Drop what the databases hold now.")] = False,
    json: JsonOption = False,
) -> None:
    """Put a backup in the place of the databases; stop the services before.

    Its files are checked first, and each database changes in one transaction that counts every table's rows: what goes
    wrong leaves it as it was. A database that holds tables is refused without --replace.
    """
    from motorisk.pipelines.backup import restore as run

    done = run(settings(), folder.absolute(), replace=replace, tell=_teller(json))
    if json:
        print_json({"folder": folder, "made_at": done.made_at, "rows": done.rows, "migration": done.migration})
        return
    told = ", ".join(f"{name} {count:,} rows" for name, count in done.rows.items())
    console.print(f"Restored the backup of {done.made_at:%Y-%m-%d %H:%M} UTC: {told}.", highlight=False)
    if done.migration != LATEST_REVISION:
        console.print(
            f"It is at migration {done.migration}, this version needs {LATEST_REVISION}: `motorisk db upgrade`."
        )
