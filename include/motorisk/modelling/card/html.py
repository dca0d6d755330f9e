"""A card, and the pages around it, as HTML: files that need nothing else, safe to open anywhere.

They have no scripts but one that pages get which are shown in Airflow's frame.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from motorisk.modelling.card.plots import panel_svg
from motorisk.modelling.card.structure import Alarm, Card, Facts, Panel, Plots, Strong, Table, Text
from motorisk.modelling.card.wording import number, said, whole
from motorisk.registry.versions import ModelVersion

_FIGURE = re.compile(r"[+−-]?\d[\d.,]*( %)?( ± .*)?( \[.*\])?|–|")


def _file(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def page_style() -> str:
    """The style sheet of every page."""
    return _file("colours.css") + _file("page.css")


@lru_cache(maxsize=1)
def frame_script() -> str:
    """The script of pages in Airflow's frame: they take its theme, and their links to Airflow leave the frame."""
    return _file("frame.js")


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def content_security_policy(css: str | None = None, script: str = "") -> str:
    """Of a page: nothing but its own style sheet and script, known by their digests; by default a card's."""
    scripts = f" script-src {_digest(script)};" if script else ""
    style = _digest(page_style() if css is None else css)
    return f"default-src 'none'; style-src {style};{scripts} base-uri 'none'; form-action 'none'"


def page_environment(loader: BaseLoader, css: str, script: str = "") -> Environment:
    """Templates for pages with a style sheet and perhaps a script; everything that they are given is escaped."""
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"whole": whole, "number": number}
    environment.globals |= {
        "css": Markup(css),  # noqa: S704  our own
        "script": Markup(script),  # noqa: S704  our own
        "policy": content_security_policy(css, script),
    }
    return environment


@lru_cache(maxsize=2)
def _environment(script: str) -> Environment:
    environment = page_environment(PackageLoader("motorisk.modelling.card"), page_style(), script)
    kinds = {"text": Text, "facts": Facts, "table": Table, "plots": Plots, "strong": Strong, "alarm": Alarm}
    environment.tests |= {name: _is_a(kind) for name, kind in kinds.items()} | {"figures": _are_figures}
    environment.filters |= {"svg": lambda panel: Markup(panel_svg(panel))}  # noqa: S704  texts stay texts
    return environment


def _is_a(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kind)


def _are_figures(table: Table, column: int) -> bool:
    """Whether a column holds figures, which stand under each other at the right."""
    return any(row[column] for row in table.rows) and all(_FIGURE.fullmatch(row[column]) for row in table.rows)


def card_page(card: Card, *, versions: str | None = None, script: str = "") -> str:
    """A card as one file; `versions` is the address of the list that it leads back to."""
    return _environment(script).get_template("card.html").render(card=card, versions=versions)


def versions_page(
    versions: Sequence[ModelVersion],
    address: Callable[[int], str],
    link: tuple[str, str] | None = None,
    *,
    script: str = "",
) -> str:
    """All versions, each leading to the address of its card; `link` leads back: a text and its address."""
    return _environment(script).get_template("versions.html").render(versions=versions, address=address, link=link)


def notice_page(title: str, sentence: str, link: tuple[str, str] | None = None, *, script: str = "") -> str:
    """What went wrong, in a sentence, and where to go from there: a text and its address."""
    return _environment(script).get_template("notice.html").render(title=title, sentence=said(sentence), link=link)


def panel_image(panel: Panel) -> tuple[str, str]:
    """A panel as an SVG file of its own, with paper and colours, and its Content-Security-Policy."""
    css = _file("colours.css") + "svg { background: var(--paper); font-family: sans-serif; }"
    head, body = panel_svg(panel).split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{css}</style>{body}', content_security_policy(css)
