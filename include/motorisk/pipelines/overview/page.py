"""The overview and a night's drift as pages, which look like the model cards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Protocol

from jinja2 import ChoiceLoader, Environment, PackageLoader

from motorisk.modelling.card.html import content_security_policy, frame_script, page_environment, page_style
from motorisk.modelling.card.wording import percent, said
from motorisk.pipelines.overview import chart
from motorisk.pipelines.overview.accuracy import Accuracy
from motorisk.pipelines.overview.drift_night import DriftNight
from motorisk.pipelines.overview.heat_map import MONTHS, HeatMap
from motorisk.pipelines.overview.nights import Night
from motorisk.registry.versions import ModelVersion

NEWEST_VERSIONS = 8
"""Versions that the overview shows beside those that wait to be decided."""


NIGHTLY: Mapping[str, str] = {
    "score_portfolio": "scoring",
    "report_drift": "drift report",
    "report_performance": "performance",
}
"""The DAGs that run every night, and what the overview calls them."""


class Addresses(Protocol):
    """Where pages are; those of Airflow itself are reached by leaving its frame."""

    def overview(self, until: str | None = None) -> str:
        """The overview; `until` is its newest month."""

    def versions(self) -> str:
        """The list of versions."""

    def card(self, version: int) -> str:
        """A version's card."""

    def scores(self, as_of: str) -> str:
        """The summary of a date's scores."""

    def drift(self, as_of: str, feature: str | None = None) -> str:
        """A night's drift, at a feature."""

    def full_report(self, as_of: str) -> str:
        """Evidently's page of a night."""

    def run(self, dag_id: str, run_id: str) -> str:
        """A run in Airflow."""

    def required_actions(self) -> str:
        """What waits for an answer in Airflow."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What the overview shows; what a reader may not see is None."""

    versions: Sequence[ModelVersion]
    heat_map: HeatMap | None
    accuracy: Accuracy | None
    nights: Sequence[Night] | None
    may_see_scores: bool = True

    @property
    def champion(self) -> ModelVersion | None:
        """The approved version."""
        return next((version for version in self.versions if version.state == "approved"), None)

    @property
    def waiting(self) -> list[ModelVersion]:
        """Versions that passed their gates and are not decided."""
        return [version for version in self.versions if version.state == "validated"]

    @property
    def shown(self) -> list[ModelVersion]:
        """The newest versions, and all that serve or wait."""
        newest = self.versions[:NEWEST_VERSIONS]
        return [version for version in self.versions if version in newest or version.state in ("approved", "validated")]


def overview_page(overview: Overview, addresses: Addresses) -> str:
    """The overview as one HTML file."""
    known = overview.accuracy.months if overview.accuracy else ()
    return (
        _environment()
        .get_template("overview.html")
        .render(overview=overview, address=addresses, chart=chart.accuracy_chart(known) if known else None)
    )


def drift_page(
    night: DriftNight, addresses: Addresses, *, others: Sequence[date] = (), has_full_report: bool = False
) -> str:
    """A night's drift; `others` are further dates that the same run has measured."""
    return (
        _environment()
        .get_template("drift.html")
        .render(night=night, address=addresses, others=others, has_full_report=has_full_report)
    )


def policy() -> str:
    """The Content-Security-Policy of these pages: nothing but their own style sheet and script."""
    return content_security_policy(_css(), frame_script())


@lru_cache(maxsize=1)
def _css() -> str:
    return page_style() + (files(__package__) / "templates" / "overview.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    loader = ChoiceLoader([PackageLoader("motorisk.pipelines.overview"), PackageLoader("motorisk.modelling.card")])
    environment = page_environment(loader, _css(), frame_script())
    environment.filters |= {"percent": percent, "said": said}
    environment.globals |= {"area": chart, "most_months": MONTHS, "nightly": NIGHTLY}
    return environment
