"""The training configuration that comes with the DAGs."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motorisk.modelling.configuration import TrainingConfiguration


def training_configuration(dags_folder: Path) -> "TrainingConfiguration":
    """`config/training.yaml` of the DAG bundle that the run came from; MOTORISK_TRAINING_CONFIG overrides it."""
    from motorisk.modelling.configuration import load_configuration
    from motorisk.settings import settings

    return load_configuration(settings().training_config or dags_folder / "config" / "training.yaml")
