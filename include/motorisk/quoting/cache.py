"""What was served last, kept on the disk: quotes after a start without Postgres.

`MOTORISK_HOME/quoting/serving.json` holds the champion's registry entry and the tariffs under a SHA-256 of their
own, `MOTORISK_HOME/quoting/plans/DIGEST.json` the rating plans, each named by its digest.
"""

from datetime import date, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.tariff import Tariff
from motorisk.errors import PlanRefused
from motorisk.quoting.sealed import seal, unseal, write_whole
from motorisk.registry.versions import ModelVersion

KEPT_PLANS = 8


class _CachedVersion(BaseModel):
    """What answers and metrics tell of a version; gates, backtest and provenance stay in the registry."""

    model_config = ConfigDict(extra="forbid")

    version: int
    candidate: str
    as_of: date
    digest: str
    snapshot_digest: str
    rows: int
    metrics: dict[str, float]
    trained_by: str
    trained_at: datetime
    approved_by: str | None
    approved_at: datetime | None


class _CachedServing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: _CachedVersion
    tariffs: list[Tariff]


class ServingCache:
    """The cache of one machine; all processes write the same into it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "serving.json"
        self._plans = folder / "plans"

    def store(self, version: ModelVersion, plan: RatingPlan, tariffs: list[Tariff]) -> None:
        """Remember what is served; `OSError` where the disk does not take it."""
        self._plans.mkdir(parents=True, exist_ok=True)
        plan_file = self._plan_file(version.digest)
        if not plan_file.exists():
            write_whole(plan_file, plan.to_json().encode())
            self._forget_old_plans()
        told = _CachedVersion(**{name: getattr(version, name) for name in _CachedVersion.model_fields})
        content = _CachedServing(version=told, tariffs=tariffs).model_dump_json().encode()
        write_whole(self._file, seal(content))

    def forget(self) -> None:
        """Serve nothing after the next start without Postgres: the registry has no champion."""
        self._file.unlink(missing_ok=True)

    def load(self) -> tuple[ModelVersion, RatingPlan, list[Tariff]] | None:
        """What was served last; None where nothing was, `PlanRefused` where it is not as it was written."""
        try:
            content = unseal(self._file.read_bytes())
        except FileNotFoundError:
            return None
        if content is None:
            raise PlanRefused(f"{self._file} was changed after it was written")
        try:
            serving = _CachedServing.model_validate_json(content)
        except ValidationError as error:
            raise PlanRefused(f"{self._file} is of another version: {error.error_count()} fields do not fit") from None
        told = dict(serving.version)
        version = ModelVersion(**told, state="approved", gates=(), parameters={}, provenance={})
        return version, self.plan(version.digest), serving.tariffs

    def plan(self, digest: str) -> RatingPlan:
        """A remembered rating plan, verified; `PlanRefused` where it is not there or not the one of the digest."""
        try:
            text = self._plan_file(digest).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PlanRefused(f"the cached rating plan {digest[:12]}… cannot be read: {error}") from None
        return RatingPlan.from_json(text, digest=digest)

    def _plan_file(self, digest: str) -> Path:
        return self._plans / f"{digest}.json"

    def _forget_old_plans(self) -> None:
        plans = sorted(self._plans.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in plans[KEPT_PLANS:]:
            path.unlink(missing_ok=True)
