"""Whether the database has the tables that this code needs (without loading the migrations' machinery)."""

import re

from sqlalchemy import Engine, text

from motorisk.errors import SchemaOutdated

LATEST_REVISION = "0013"
"""The newest migration; a test compares it with the files."""

_NUMBER = r"\d{4}"
_KNOWN = frozenset(f"{number:04d}" for number in range(1, int(LATEST_REVISION) + 1))


def current_revision(engine: Engine) -> str | None:
    """The migration that the database is at; None before the first."""
    with engine.connect() as connection:
        if connection.scalar(text("SELECT to_regclass('public.alembic_version')")) is None:
            return None
        revision: str | None = connection.scalar(text("SELECT version_num FROM public.alembic_version"))
        return revision


def require_current(engine: Engine, *, or_newer: bool = False) -> None:
    """Raise `SchemaOutdated`, saying what to do, unless the database has exactly this code's tables.

    `or_newer` is for the quote service. An upgrade migrates first and then replaces one instance after the other; one
    that starts again between keeps on quoting, because a migration leaves what the release before it reads and writes.
    """
    have, need = current_revision(engine), LATEST_REVISION
    if have == need or (or_newer and have is not None and re.fullmatch(_NUMBER, have) and have > need):
        return
    if have is None:
        raise SchemaOutdated(
            "the database has no tables yet: run `motorisk db upgrade`, if MOTORISK_DATABASE_URL names the right one"
        )
    require_not_newer(have)
    raise SchemaOutdated(f"the database is at migration {have}, this code needs {need}: run `motorisk db upgrade`")


def require_not_newer(have: str | None) -> None:
    """Raise `SchemaOutdated`, saying what to do, for a migration that this code does not know."""
    if have is None or have in _KNOWN:
        return
    if re.fullmatch(_NUMBER, have) is None:
        raise SchemaOutdated(
            f"the database has migration {have} of another program: let MOTORISK_DATABASE_URL name Motorisk's database"
        )
    raise SchemaOutdated(
        f"the database is at migration {have}, newer than this code's {LATEST_REVISION}: use the newer code, or go "
        "back with its `motorisk db downgrade`"
    )
