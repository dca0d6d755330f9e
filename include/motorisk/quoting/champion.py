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
from motorisk.quoting.database import Database
from motorisk.quoting.pricing import Pricer
from motorisk.registry.tariffs import tariffs
from motorisk.registry.versions import ModelVersion, find_champion, load_plan

_log = logging.getLogger(__name__)

RefreshFailure = Literal["database", "plan", "other"]


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
        *,
        on_swap: Callable[[ServedModel | None], None] = _ignore,
        on_failure: Callable[[RefreshFailure], None] = _ignore,
    ) -> None:
        self._database = database
        self._on_swap = on_swap
        self._on_failure = on_failure
        self._serving = Serving(model=None, tariffs=[])
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

    def refresh(self) -> None:
        """Look into the registry; where that fails, go on with what is served and never raise."""
        try:
            self._database.open()
            with self._database.statements() as connection:
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

    def _follow(self, connection: Connection) -> None:
        self._serving = replace(self._serving, tariffs=tariffs(connection))
        found = find_champion(connection)
        served = self._serving.model
        if found == (served.version if served else None):
            return
        model = None if found is None else ServedModel(found, Pricer(load_plan(connection, found.version)))
        self._serving = replace(self._serving, model=model)
        if model is None:
            _log.warning("the registry has no champion any more: no quotes until one is approved")
        else:
            _log.info("serving version %d, digest %s…", model.version.version, model.version.digest[:12])
        self._on_swap(model)

    def _failed(self, kind: RefreshFailure, error: Exception, failure: MotoriskError) -> None:
        self._failure = failure
        reason = " ".join(str(error.__cause__ or error).split())
        if reason != self._reported:  # else it is said already: this runs every second
            served = self._serving.model
            meanwhile = f"version {served.version.version} goes on" if served else "no model is served"
            trace = error if kind == "other" and not isinstance(error, MotoriskError) else None
            _log.error("cannot follow the champion (%s); %s", reason, meanwhile, exc_info=trace)
            self._reported = reason
        self._on_failure(kind)
