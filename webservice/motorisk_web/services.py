"""What the blueprints work with, wired once an app."""

from dataclasses import dataclass

from motorisk.errors import DatabaseUnavailable
from motorisk.quoting.champion import Champion
from motorisk.quoting.database import Database
from motorisk.quoting.ledger import Ledger
from motorisk.quoting.refresher import Refresher
from motorisk.quoting.service import QuoteService
from motorisk.settings import Settings
from motorisk_web.drift_gauges import DriftGauges
from motorisk_web.measurements import Measurements


@dataclass(frozen=True, slots=True)
class Services:
    """One process's quote service. Nothing is connected and no thread runs before `refresher.start()`."""

    quoting: QuoteService
    measurements: Measurements
    drift_gauges: DriftGauges
    refresher: Refresher

    @classmethod
    def from_settings(cls, settings: Settings) -> "Services":
        """Wire everything that the settings ask for."""
        measurements = Measurements()
        database = Database(settings)
        ledger = Ledger(database)
        champion = Champion(database, on_swap=measurements.model_swapped, on_failure=measurements.refresh_failed)
        return cls(
            quoting=QuoteService(database, champion, ledger),
            measurements=measurements,
            drift_gauges=DriftGauges(
                database,
                is_database_away=lambda: isinstance(champion.failure, DatabaseUnavailable),
                on_failure=measurements.database_failed,
            ),
            refresher=Refresher(champion, ledger),
        )
