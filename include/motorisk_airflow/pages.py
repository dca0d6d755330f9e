"""Where the pages of the plugin are that shows models and scores; the plugin itself is `plugins/motorisk_models.py`."""

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from motorisk.modelling.card.structure import Card

PREFIX = "/motorisk"


def _base() -> str:
    """The path that Airflow's addresses begin with; empty unless it is served under one."""
    from airflow.configuration import conf

    return urlsplit(str(conf.get("api", "base_url", fallback=""))).path.rstrip("/")


def models_page() -> str:
    """Address of the list of versions, on Airflow's own server."""
    return f"{_base()}{PREFIX}/"


def card_page(version: int) -> str:
    """Address of a version's card."""
    return f"{_base()}{PREFIX}/models/{version}"


def scores_page(as_of: str) -> str:
    """Address of the summary of a date's scores."""
    return f"{_base()}{PREFIX}/scores/{as_of}"


def plot_page(version: int, name: str) -> str:
    """Address of one plot of a version's card, as an image."""
    return f"{card_page(version)}/plots/{quote(name)}.svg"


def form(card: "Card", version: int) -> str:
    """A card as Markdown for Airflow's forms, which show images of Airflow's own server and follow links there."""
    from motorisk.modelling.card.markdown import to_markdown

    return to_markdown(card, plots=lambda panel: plot_page(version, panel.name), page=card_page(version))
