"""`motorisk clients`: who may ask for quotes."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from motorisk.commands.opening import warehouse
from motorisk.commands.options import parse_day
from motorisk.commands.output import JsonOption, console, notices, print_json
from motorisk.registry import clients as registry
from motorisk.registry.clients import ClientKey
from motorisk.settings import settings

app = typer.Typer(no_args_is_help=True, help="Clients of the quote service and their API keys.")


def _state(key: ClientKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    expired = key.expires_on is not None and key.expires_on < datetime.now(UTC).date()
    return "expired" if expired else "good"


def _as_json(key: ClientKey) -> dict[str, Any]:
    """What is told of a key: neither the key nor its hash."""
    return {
        "client": key.client,
        "id": key.key_id,
        "state": _state(key),
        "rate": key.rate,
        "created_by": key.created_by,
        "created_at": key.created_at,
        "expires_on": key.expires_on,
        "revoked_by": key.revoked_by,
        "revoked_at": key.revoked_at,
        "last_used_on": key.last_used_on,
    }


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The client's name; another key where it has some.")],
    expires: Annotated[
        date | None,
        typer.Option("--expires", parser=parse_day, metavar="YYYY-MM-DD", help="The last day on which it is good."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0, help="Requests a second; 0: any number. Default: as everybody.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Give a client a key and print it, once: only its hash is kept."""
    with warehouse().begin() as connection:
        key, text = registry.add_key(connection, name, by=settings().user, expires_on=expires, rate=rate)
    if json:
        print_json(_as_json(key) | {"key": text})
    else:
        notices.print(f"The key of {key.client} (id {key.key_id}); it is shown this once:", highlight=False)
        typer.echo(text)


@app.command()
def revoke(
    name_or_id: Annotated[
        str, typer.Argument(metavar="NAME|ID", help="A client, with all of its keys, or one key by its id.")
    ],
    json: JsonOption = False,
) -> None:
    """Take keys back; services refuse them within five seconds."""
    with warehouse().begin() as connection:
        keys = registry.revoke(connection, name_or_id, by=settings().user)
    if json:
        print_json({"revoked": [_as_json(key) for key in keys]})
    else:
        for key in keys:
            console.print(f"Revoked {key.key_id} of {key.client}.", highlight=False)


@app.command("list")
def list_keys(json: JsonOption = False) -> None:
    """List all keys, also those that are good no more; never the keys themselves."""
    with warehouse().connect() as connection:
        keys = registry.all_keys(connection)
    if json:
        print_json([_as_json(key) for key in keys])
        return
    table = Table("client", "id", "state", "requests a second", "created", "by", "good until", "last used")
    for key in keys:
        rate = "as everybody" if key.rate is None else f"{key.rate:g}" if key.rate else "any"
        days = [str(day or "") for day in (key.expires_on, key.last_used_on)]
        created = key.created_at.date().isoformat()
        table.add_row(key.client, key.key_id, _state(key), rate, created, key.created_by, *days)
    console.print(table)
