"""Telling in a task's log what shadows would have answered."""

from collections.abc import Iterable
from datetime import timedelta

from motorisk_airflow.opening import warehouse
from motorisk_airflow.runs import LOG

RECENT = timedelta(days=7)
"""So that a run takes as long after a year of shadowing as after a week."""


def log_reports(versions: Iterable[int]) -> None:
    """Write each shadow's report about recent quotes into the log."""
    from motorisk.pipelines.shadow.comparison import report
    from motorisk.pipelines.shadow.wording import to_markdown

    for version in versions:
        with warehouse().connect() as connection:
            LOG.info("%s", to_markdown(report(connection, version, recent=RECENT)))
