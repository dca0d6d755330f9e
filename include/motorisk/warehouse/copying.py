"""Bulk copies between CSV and Postgres, within the transaction of a SQLAlchemy connection.

CSV as `COPY` defines it: no header line, an empty field is NULL, a quoted empty field is an empty text, UTF-8.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import IO, Any

import psycopg2
import psycopg2.extensions
from psycopg2 import sql
from sqlalchemy import Connection

from motorisk.errors import DatabaseUnavailable
from motorisk.warehouse.failures import explain

_CHUNK_BYTES = 1 << 20


def _cursor(connection: Connection) -> psycopg2.extensions.cursor:
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy does not see what its driver's cursor does; it would not commit it
    driver: Any = connection.connection.driver_connection
    cursor: psycopg2.extensions.cursor = driver.cursor()
    return cursor


@contextmanager
def _lost_connections_named(connection: Connection, cursor: psycopg2.extensions.cursor) -> Iterator[None]:
    """Raise `DatabaseUnavailable` where the server went away in the middle of a copy: trying again may help.

    The driver's own cursor is not SQLAlchemy's: what an operator can mend is told here, too.
    """
    try:
        yield
    # The driver's last words on a connection that breaks in the middle of a copy vary; SystemError is one of them.
    except (psycopg2.InterfaceError, psycopg2.DatabaseError, SystemError) as error:
        if cursor.connection.closed:
            connection.invalidate(error)  # SQLAlchemy does not see it, and would fail to roll back
            reason = " ".join(str(error).split())
            raise DatabaseUnavailable(f"the connection was lost during a copy: {reason}") from error
        explained = explain(error)
        if explained is not None:
            raise explained from error
        raise


def copy_in(connection: Connection, table: str, columns: Sequence[str], file: IO[bytes]) -> int:
    """Append a CSV file's rows to a table; return their number.

    `table` is a temporary table's name or `schema.table`. Like every statement, a failing copy ends the
    transaction: nothing of it stays.
    """
    command = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8')").format(
        sql.Identifier(*table.split(".")), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with closing(_cursor(connection)) as cursor, _lost_connections_named(connection, cursor):
        cursor.copy_expert(command, file, _CHUNK_BYTES)
        return cursor.rowcount


def copy_out(
    connection: Connection, query: str | sql.Composable, parameters: Mapping[str, Any] | None, file: IO[bytes]
) -> int:
    """Write a query's rows to a CSV file; return their number.

    `query` names its parameters as the driver does (`%(as_of)s`; with parameters, a percent sign is `%%`).
    """
    with closing(_cursor(connection)) as cursor:
        # COPY takes no parameters, hence the driver puts them in, quoted.
        selection = cursor.mogrify(query, parameters).decode()
        command = sql.SQL("COPY ({}) TO STDOUT WITH (FORMAT csv, ENCODING 'UTF8')").format(sql.SQL(selection))
        with _lost_connections_named(connection, cursor):
            cursor.copy_expert(command, file, _CHUNK_BYTES)
        return cursor.rowcount
