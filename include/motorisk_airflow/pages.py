"""Where Motorisk's pages in Airflow's UI are (`motorisk_airflow/site`), and Airflow's own that they lead to."""

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from motorisk.modelling.card.structure import Card

PREFIX = "/motorisk"


def _base() -> str:
    """The path that Airflow's addresses begin with; empty unless it is served under one."""
    from airflow.configuration import conf

    return urlsplit(str(conf.get("api", "base_url", fallback=""))).path.rstrip("/")


def overview_page() -> str:
    """Address of the overview, on Airflow's own server."""
    return f"{_base()}{PREFIX}/"


def models_page() -> str:
    """Address of the list of versions."""
    return f"{_base()}{PREFIX}/models"


def card_page(version: int) -> str:
    """Address of a version's card."""
    return f"{_base()}{PREFIX}/models/{version}"


def scores_page(as_of: str) -> str:
    """Address of the summary of a date's scores."""
    return f"{_base()}{PREFIX}/scores/{as_of}"


def drift_page(as_of: str) -> str:
    """Address of a night's drift."""
    return f"{_base()}{PREFIX}/drift/{as_of}"


def run_tab() -> str:
    """Address of what a run says of drift; Airflow puts the run into the braces."""
    return f"{_base()}{PREFIX}/drift?dag_id={{DAG_ID}}&run_id={{RUN_ID}}"


def run_page(dag_id: str, run_id: str) -> str:
    """Address of a run, in Airflow itself."""
    return f"{_base()}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def plot_page(version: int, name: str) -> str:
    """Address of one plot of a version's card, as an image."""
    return f"{card_page(version)}/plots/{quote(name)}.svg"


def form(card: "Card", version: int) -> str:
    """A card as Markdown for Airflow's forms, which show images of Airflow's own server and follow links there."""
    from motorisk.modelling.card.markdown import to_markdown

    return to_markdown(card, plots=lambda panel: plot_page(version, panel.name), page=card_page(version))


class AirflowAddresses:
    """The addresses as the library's pages ask for them."""

    def overview(self, until: str | None = None) -> str:
        """The overview; `until` is its newest month."""
        return overview_page() if until is None else f"{overview_page()}?until={until}"

    def versions(self) -> str:
        """The list of versions."""
        return models_page()

    def card(self, version: int) -> str:
        """A version's card."""
        return card_page(version)

    def scores(self, as_of: str) -> str:
        """The summary of a date's scores."""
        return scores_page(as_of)

    def drift(self, as_of: str, feature: str | None = None) -> str:
        """A night's drift, at a feature."""
        return drift_page(as_of) if feature is None else f"{drift_page(as_of)}#feature-{quote(feature)}"

    def full_report(self, as_of: str) -> str:
        """Evidently's page of a night."""
        return f"{drift_page(as_of)}/report"

    def run(self, dag_id: str, run_id: str) -> str:
        """A run in Airflow."""
        return run_page(dag_id, run_id)

    def required_actions(self) -> str:
        """What waits for an answer in Airflow."""
        return f"{_base()}/required_actions"
