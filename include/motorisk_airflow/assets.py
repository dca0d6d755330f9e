"""The assets by which DAGs wake each other."""

from airflow.sdk import Asset

VALIDATED = Asset(name="motorisk_validated", uri="motorisk://registry/validated")
"""A version passed its gates and waits for a person; the event's extra: `version`."""

CHAMPION = Asset(name="motorisk_champion", uri="motorisk://registry/champion")
"""A version became champion; the event's extra: `version`, `as_of`."""

SCORES = Asset(name="motorisk_scores", uri="motorisk://warehouse/score")
"""A date's scores were published; the event's extra: `as_of`, `version`, `rows`."""

RETRAINING = Asset(name="motorisk_retraining", uri="motorisk://registry/retraining")
"""An alarm asks for a training; the event's extra: `reason`, `as_of`."""
