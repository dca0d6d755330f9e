"""What Postgres refuses, told in one line that says what to do.

The driver tells what it was about, SQLAlchemy adds the statement with its parameters, policies among them: neither
helps an operator, and the parameters have no place in a log.
"""

from sqlalchemy.exc import DBAPIError

from motorisk.errors import DatabaseUnavailable, MotoriskError, PermissionMissing, SettingsError

ADDRESS = "MOTORISK_DATABASE_URL"

_REFUSED: dict[str, tuple[type[MotoriskError], str]] = {
    "25006": (
        DatabaseUnavailable,
        f"the database takes no writes now: wait until it does, or point {ADDRESS} to the primary if it is a standby",
    ),
    "42501": (
        PermissionMissing,
        f"let {ADDRESS} name a login that may, or have it granted (`motorisk db grant`)",
    ),
    "53100": (DatabaseUnavailable, "make room on the database's disk, then run it again: nothing was written"),
    "53300": (DatabaseUnavailable, "end connections that nobody uses (pg_stat_activity), or raise max_connections"),
    "XX001": (DatabaseUnavailable, "the database's files are damaged: stop it, look at its disk, restore a backup"),
    "XX002": (DatabaseUnavailable, "an index is damaged: look at the database's disk, then REINDEX"),
}
"""By SQLSTATE; what is not named here is not the operator's to mend, or is tried again."""

_WRONG: dict[str, str] = {
    "password authentication failed": f"check user and password in {ADDRESS}",
    "no password supplied": f"{ADDRESS} needs a password",
    "permission denied for database": f"let {ADDRESS} name a role that may connect, or have the right granted",
    "no pg_hba.conf entry": "let pg_hba.conf admit this machine, user and database",
    "does not exist": f"check user and database name in {ADDRESS}, or create what is missing",
    "invalid": f"correct {ADDRESS}",
}
_AWAY: dict[str, str] = {
    "could not translate host name": f"check the host in {ADDRESS}",
    "Connection refused": f"check that Postgres runs there, and host and port in {ADDRESS}",
    "too many clients": _REFUSED["53300"][1],
    "remaining connection slots": _REFUSED["53300"][1],
    "too many connections for": _REFUSED["53300"][1],
    "not currently accepting connections": "wait until the database is back: somebody has closed it",
}
"""By what the driver says where there is no connection, and no SQLSTATE; a server may say it in another language."""


def first_line(error: BaseException) -> str:
    """What a driver says first; further lines may hold a row."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def explain(error: BaseException | None) -> MotoriskError | None:
    """The failure of the driver (or of SQLAlchemy) that an operator can mend; None for any other."""
    if isinstance(error, DBAPIError):
        error = error.orig
    refused = _REFUSED.get(getattr(error, "pgcode", None) or "")
    if error is None or refused is None:
        return None
    kind, advice = refused
    return kind(f"{first_line(error)}: {advice}")


def unreachable(error: DBAPIError) -> DatabaseUnavailable | SettingsError:
    """Why there is no connection, and what to do about it: a `SettingsError` where waiting cannot help."""
    said = first_line(error.orig or error)
    for kind, known in ((DatabaseUnavailable, _AWAY), (SettingsError, _WRONG)):
        for words, advice in known.items():
            if words in said:
                return kind(f"cannot reach the database of {ADDRESS}: {said} ({advice})")
    return DatabaseUnavailable(f"cannot reach the database of {ADDRESS}: {said}")
