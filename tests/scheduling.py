"""Which tests run on one worker, one after the other: those of a file, and of the folders that share what is dear."""

from xdist.scheduler import LoadFileScheduling

TOGETHER = ("tests/dags", "tests/plugins", "tests/helm", "tests/unit/monitoring")
"""Airflow's tables and imports, its API server, the rendered chart, and Evidently's import: once is enough."""


class Together(LoadFileScheduling):  # type: ignore[misc]  # it comes without types
    """As `--dist loadfile`, but for the folders `TOGETHER`."""

    def _split_scope(self, nodeid: str) -> str:
        for folder in TOGETHER:
            if nodeid.startswith(f"{folder}/"):
                return folder
        return str(super()._split_scope(nodeid))
