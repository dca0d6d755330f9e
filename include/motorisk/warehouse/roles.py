"""The database's group roles, and logins that are members of them.

The roles belong to the cluster, their rights to each database: migration 0010 grants them. Nobody logs in as a role; a
login is a member of one or more. What each may is in docs/security.md.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from psycopg2 import errors
from psycopg2.extensions import encrypt_password
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from motorisk.errors import InvalidData, PermissionMissing


class Role(StrEnum):
    """What a login is for; its group role is `motorisk_` and the name."""

    PIPELINE = "pipeline"
    """Trains, decides, scores and watches: Airflow."""
    REGISTRY = "registry"
    """Decides about versions, and nothing else: an approver at the command line."""
    QUOTING = "quoting"
    """The quote service."""
    READING = "reading"
    """Analysts and dashboards: everything but who the customers are."""
    IMPORTING = "importing"
    """Adds policies and outcomes."""

    @property
    def group(self) -> str:
        """Name of the group role."""
        return f"motorisk_{self.value}"


@dataclass(frozen=True, slots=True)
class Granted:
    """A login and all its roles; `created`: it was not there before, `password_set`: it has a new password."""

    login: str
    roles: list[str]
    created: bool
    password_set: bool


_LOGIN = re.compile("[A-Za-z_][A-Za-z0-9_.@-]{0,62}")
_EXISTS = text("SELECT 1 FROM pg_roles WHERE rolname = :name")
_IS_MEMBER = text("SELECT pg_has_role(current_user, :name, 'USAGE')")


def ensure_groups(connection: Connection) -> None:
    """Make the group roles that the cluster does not have; databases of one cluster may do so at once.

    `PermissionMissing`, saying what an administrator has to run, where this login may not.
    """
    me = connection.scalar(text("SELECT current_user"))
    for role in Role:
        _create(connection, f"CREATE ROLE {role.group} NOLOGIN", role.group)
    # What scoring makes belongs to this role, so that whoever migrates has to be a member of it.
    group = Role.PIPELINE.group
    if not connection.scalar(_IS_MEMBER, {"name": group}):
        _attempt(
            connection,
            f"GRANT {group} TO CURRENT_USER",
            f"{me} is no member of {group}: an administrator has to run GRANT {group} TO {me}",
        )


def _create(connection: Connection, statement: str, name: str) -> bool:
    """Create a role unless it is there; answers whether it was made."""
    if connection.scalar(_EXISTS, {"name": name}):
        return False
    try:
        _attempt(
            connection,
            statement,
            f"the role {name} is missing and this login may not create roles: an administrator has to run " + statement,
        )
    except DBAPIError as error:
        # Another database of the cluster was quicker.
        if isinstance(error.orig, errors.DuplicateObject | errors.UniqueViolation):
            return False
        raise
    return True


def _attempt(connection: Connection, statement: str, refusal: str) -> None:
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except PermissionMissing as error:  # of the platform's own pool of connections
        raise PermissionMissing(refusal) from error
    except ProgrammingError as error:
        if isinstance(error.orig, errors.InsufficientPrivilege):
            raise PermissionMissing(refusal) from error
        raise


def grant(connection: Connection, login: str, roles: Collection[Role], password: str | None = None) -> Granted:
    """Make a login a member of roles, creating it where it is not there; granting again changes nothing.

    The server is sent the password's SCRAM verifier, never the password. `InvalidData` for a name that cannot be a
    login's, or one whose rights no role limits; `PermissionMissing` where this login may not.
    """
    if not _LOGIN.fullmatch(login) or login.startswith(("pg_", "motorisk_")):
        raise InvalidData(
            "a login's name is 1 to 63 letters, digits, dots, dashes, underscores and @, begins with a letter, and not "
            f"with pg_ or motorisk_; got {login!r}"
        )
    name = connection.dialect.identifier_preparer.quote_identifier(login)
    created = _create(connection, f"CREATE ROLE {name} LOGIN", login)
    is_unlimited = text("SELECT rolsuper OR rolname = current_user FROM pg_roles WHERE rolname = :name")
    if connection.scalar(is_unlimited, {"name": login}):
        raise InvalidData(f"{login} is an administrator of the database: roles would not limit it")
    refusal = f"this login may not grant roles to {login}: an administrator has to run `motorisk db grant`"
    if password is not None:
        driver: Any = connection.connection.driver_connection
        verifier = encrypt_password(password, login, scope=driver, algorithm="scram-sha-256")
        _attempt(connection, f"ALTER ROLE {name} LOGIN PASSWORD '{verifier}'", refusal)
    for role in roles:
        is_member = text("SELECT pg_has_role(:login, :group, 'MEMBER')")
        if not connection.scalar(is_member, {"login": login, "group": role.group}):
            _attempt(connection, f"GRANT {role.group} TO {name}", refusal)
    return Granted(login, roles_of(connection, login), created, password is not None)


def roles_of(connection: Connection, login: str) -> list[str]:
    """Names of the roles that a login has."""
    has = text("SELECT pg_has_role(:login, :group, 'MEMBER')")
    return [role.value for role in Role if connection.scalar(has, {"login": login, "group": role.group})]
