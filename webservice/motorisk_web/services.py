"""What the blueprints work with, wired once an app."""

from dataclasses import dataclass

from motorisk.quoting.backlog import Backlog
from motorisk.quoting.cache import ServingCache
from motorisk.quoting.champion import Champion
from motorisk.quoting.clients import Clients
from motorisk.quoting.database import Database
from motorisk.quoting.ledger import Ledger
from motorisk.quoting.recorder import Recorder
from motorisk.quoting.refresher import Refresher
from motorisk.quoting.service import QuoteService
from motorisk.settings import Settings
from motorisk_web.access import Access
from motorisk_web.drift_gauges import DriftGauges
from motorisk_web.measurements import Measurements
from motorisk_web.night_gauges import NightGauges


@dataclass(frozen=True, slots=True)
class Services:
    """One process's quote service. Nothing is connected and no thread runs before `refresher.start()`."""

    quoting: QuoteService
    access: Access
    measurements: Measurements
    drift_gauges: DriftGauges
    night_gauges: NightGauges
    backlog: Backlog
    recorder: Recorder
    refresher: Refresher

    @classmethod
    def from_settings(cls, settings: Settings) -> "Services":
        """Wire everything that the settings ask for."""
        measurements = Measurements()
        database = Database(settings)
        cache = ServingCache(settings.home / "quoting")
        champion = Champion(
            database,
            cache,
            on_swap=measurements.model_swapped,
            on_failure=measurements.refresh_failed,
            on_plan_refused=measurements.plan_refused,
        )
        clients = Clients(database, settings.home / "quoting", on_failure=measurements.database_failed)
        ledger = Ledger(database)
        backlog = Backlog(settings.home / "journal")
        recorder = Recorder(
            database,
            backlog,
            on_database_failure=measurements.database_failed,
            on_committed=measurements.rows_committed,
            on_journalled=measurements.rows_journalled,
        )
        return cls(
            quoting=QuoteService(database, champion, cache, ledger, recorder, backlog),
            access=Access(settings, clients, measurements),
            measurements=measurements,
            drift_gauges=DriftGauges(database, on_failure=measurements.database_failed),
            night_gauges=NightGauges(database, on_failure=measurements.database_failed),
            backlog=backlog,
            recorder=recorder,
            refresher=Refresher(database, champion, clients, ledger, recorder, backlog),
        )
