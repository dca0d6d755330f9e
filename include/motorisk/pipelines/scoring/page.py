"""A summary as a page of its own, which looks like the model cards."""

from motorisk.modelling.card.html import card_page
from motorisk.modelling.card.structure import Card, Facts, Section, Table
from motorisk.pipelines.scoring.summary import MOVER_HEADINGS, ScoreSummary, figures, lists, mover_rows


def summary_page(summary: ScoreSummary, *, script: str = "") -> str:
    """The summary as one HTML file, with the script of `card_page` or none."""
    sections = [
        Section(heading, (Table(MOVER_HEADINGS, tuple(mover_rows(movers))),))
        for heading, movers in lists(summary).items()
    ]
    title = f"Scores as of {summary.as_of}"
    return card_page(Card(title, Facts(tuple(figures(summary).items())), tuple(sections)), script=script)
