"""The champion that this process serves, followed in the registry.

A change is one assignment of a new `Serving`: a request that took the former one finishes with it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Connection

from motorisk.domain.tariff import Tariff
from motorisk.errors import DatabaseUnavailable, MotoriskError, NoChampion, PlanRefused
from motorisk.quoting.cache import ServingCache
from motorisk.quoting.database import Database
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.smoke import smoke_test
from motorisk.registry.tariffs import tariffs
from motorisk.registry.versions import ModelVersion, find_champion, load_plan

_log = logging.getLogger(__name__)

RefreshFailure = Literal["database", "plan", "cache", "other"]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """An approved version with its rating plan made ready to price."""

    version: ModelVersion
    pricer: Pricer


@dataclass(frozen=True, slots=True)
class Serving:
    """Everything that a request is priced with, from one look at the registry."""

    model: ServedModel | None
    tariffs: list[Tariff]


def _ignore(_: object) -> None:
    """Nobody listens."""


class Champion:
    """Holds what is served; `refresh` makes it what the registry says."""

    def __init__(
        self,
        database: Database,
        cache: ServingCache,
        *,
        on_swap: Callable[[ServedModel | None], None] = _ignore,
        on_failure: Callable[[RefreshFailure], None] = _ignore,
        on_plan_refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._cache = cache
        self._on_swap = on_swap
        self._on_failure = on_failure
        self._on_plan_refused = on_plan_refused
        self._serving = Serving(model=None, tariffs=[])
        self._is_cached = True
        self._failure: MotoriskError | None = DatabaseUnavailable("the database has not been reached yet")
        self._reported = ""

    @property
    def serving(self) -> Serving:
        """What is served now; take it once a request."""
        return self._serving

    @property
    def failure(self) -> MotoriskError | None:
        """Why the last look at the registry failed, in words for customers; None where it did not."""
        return self._failure

    def require(self, serving: Serving) -> ServedModel:
        """The model of what is served; without one `NoChampion`, or why the registry could not be read."""
        if serving.model is not None:
            return serving.model
        failure = self._failure
        if failure is None:
            raise NoChampion("no model is approved yet")
        if isinstance(failure, PlanRefused):
            raise NoChampion("the approved model's rating plan was refused") from failure
        raise type(failure)(str(failure)) from failure

    def remember(self) -> None:
        """Serve what was served before this process started, until the registry has told more; never raise."""
        try:
            found = self._cache.load()
            if found is None:
                return
            version, plan, known = found
            pricer = Pricer(plan)
            smoke_test(pricer, known)
        except (PlanRefused, OSError) as error:
            _log.error("nothing is served from the cache: %s", error)
            self._on_failure("cache")
            return
        _log.info("starting with version %d from the cache until the registry can be read", version.version)
        self._serve(Serving(ServedModel(version, pricer), known))

    def refresh(self) -> bool:
        """Look into the registry; where that fails, go on with what is served and never raise.

        Answers whether the database could be read, whatever it said.
        """
        try:
            with self._database.probe() as connection:
                self._follow(connection)
        except PlanRefused as error:
            self._failed("plan", error, error)
        except DatabaseUnavailable as error:
            self._failed("database", error, error)
        except MotoriskError as error:
            self._failed("other", error, error)
        except Exception as error:
            self._failed("other", error, DatabaseUnavailable("the registry cannot be read"))
        else:
            if self._reported:
                _log.info("the registry can be read again")
            self._failure, self._reported = None, ""
        return self._failure is None or isinstance(self._failure, PlanRefused)

    def _follow(self, connection: Connection) -> None:
        served = self._serving
        current = tariffs(connection)
        if current != served.tariffs:
            self._serving = replace(served, tariffs=current)
        found = find_champion(connection)
        model = served.model
        if found != (model.version if model else None):
            model = None if found is None else self._load(connection, found, current)
        if served.model is model and current == served.tariffs and self._is_cached:
            return
        self._serve(Serving(model, current))
        self._cache_served()

    def _load(self, connection: Connection, version: ModelVersion, known: list[Tariff]) -> ServedModel:
        pricer = Pricer(load_plan(connection, version.version))
        smoke_test(pricer, known)
        return ServedModel(version, pricer)

    def _serve(self, serving: Serving) -> None:
        """Swap, in one assignment."""
        former, self._serving = self._serving, serving
        model = serving.model
        if model is former.model:
            return
        if model is None:
            _log.warning("the registry has no champion any more: no quotes until one is approved")
        else:
            _log.info("serving version %d, digest %s…", model.version.version, model.version.digest[:12])
        self._on_swap(model)

    def _cache_served(self) -> None:
        """Keep what is served for a start without Postgres; a disk that does not take it stops nothing."""
        model, known = self._serving.model, self._serving.tariffs
        try:
            if model is None:
                self._cache.forget()
            else:
                self._cache.store(model.version, model.pricer.plan, known)
            self._is_cached = True
        except OSError as error:
            if self._is_cached:
                _log.error("cannot cache what is served, a start without Postgres would serve the former: %s", error)
            self._is_cached = False

    def _failed(self, kind: RefreshFailure, error: Exception, failure: MotoriskError) -> None:
        self._failure = failure
        reason = " ".join(str(error.__cause__ or error).split())
        if reason != self._reported:  # else it is said already: this runs every second
            served = self._serving.model
            meanwhile = (
                f"version {served.version.version} goes on"
                if served
                else "no model is served, and MOTORISK_HOME has none"
            )
            trace = error if kind == "other" and not isinstance(error, MotoriskError) else None
            _log.error("cannot follow the champion (%s); %s", reason, meanwhile, exc_info=trace)
            self._reported = reason
            if kind == "plan":
                self._on_plan_refused()
        self._on_failure(kind)
