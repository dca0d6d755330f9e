"""The command line, from the Typer application."""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

from typer.core import TyperGroup
from typer.main import get_command

from generate.markdown import cell, code, table
from motorisk.cli import app

INTRODUCTION = """# Commands

Every command takes `--json`, which prints one object for programs (`timelapse`: one a line), and `--help`. Exit status:
0 done, 1 refused or failed with one clear line on standard error, 2 wrong usage. The commands lie in `.venv/bin`.

"""
PLACEHOLDERS = {"int": "N", "float": "NUMBER", "str": "TEXT", "Path": "FILE"}


def page() -> str:
    """The page: a section a command."""
    return INTRODUCTION + "\n".join(_sections("motorisk", get_command(app)))


def _sections(name: str, command: Any) -> Iterator[str]:
    if not isinstance(command, TyperGroup):
        yield _section(name, command)
        return
    if command.invoke_without_command:
        yield _section(name, command)
    for part in command.commands.values():
        yield from _sections(f"{name} {part.name}", part)


def _section(name: str, command: Any) -> str:
    text = f"## `{name}`\n\n{_plain(command.help or '')}\n"
    rows = [_row(parameter) for parameter in command.params if parameter.name not in {"json", "help"}]
    return text + ("\n" + table(("parameter", "default", "meaning"), rows) + "\n" if rows else "")


def _row(parameter: Any) -> tuple[str, str, str]:
    is_flag = getattr(parameter, "is_flag", False)
    is_option = parameter.opts[0].startswith("-")
    words = [", ".join([*parameter.opts, *parameter.secondary_opts])] if is_option else []
    words += [] if is_flag else [_placeholder(parameter)]
    default = "" if is_flag or parameter.default is None else code(_shown(parameter.default))
    return code(" ".join(words)), "required" if parameter.required else default, cell(_plain(parameter.help or ""))


def _placeholder(parameter: Any) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    kind = parameter.type_descriptor.annotation
    kind = next(iter(get_args(kind)), kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(member.value) for member in kind)
    return PLACEHOLDERS[kind.__name__]


def _shown(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _plain(text: str) -> str:
    """Help texts are paragraphs, wrapped for a terminal."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))
