"""Readings of a night's drift alarms: what each probably means, what to do, what it costs, and where it is.

All of it as of the night's date, with the champion's own prices and only outcomes known by then; of millions of
policies by a sample that is the same each time.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from sqlalchemy import Connection, delete, func, insert, select

from motorisk.domain.calendar import first_of_month
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.tariff import Tariff
from motorisk.errors import NoTariff
from motorisk.modelling.snapshot import Snapshot
from motorisk.monitoring.columns import Range
from motorisk.monitoring.concentration import segments_of
from motorisk.monitoring.drift import FeatureDrift
from motorisk.monitoring.effect import effect_of, importances, priced, share_outside
from motorisk.monitoring.reading import Findings
from motorisk.monitoring.realised import FEWEST, Outcomes, Realised, realised
from motorisk.monitoring.telling import Portfolio, Reading, told
from motorisk.pipelines.drift_months import Month
from motorisk.pipelines.performance import CAUSE as BROKEN_PROMISE
from motorisk.pipelines.performance import evidence_against
from motorisk.pipelines.served import ServedPolicies, read_served
from motorisk.registry.tariffs import in_force, tariffs
from motorisk.registry.versions import ModelVersion, ever_approved, load_plan
from motorisk.warehouse.tables import alarm, drift_reading, policy

NEWEST_POLICIES = 10_000
OUTCOMES = 100_000
REFERENCE_POLICIES = 10_000
"""Samples are about as large as this, at most: more would make no interval narrower that anybody acts on."""


@dataclass(frozen=True, slots=True)
class _Night:
    """What the readings of a night have in common."""

    as_of: date
    model: ModelVersion
    plan: RatingPlan
    tariff: Tariff
    portfolio: Portfolio
    day: date
    """On which all policies are priced: a trend of the version is no drift of a feature."""
    newest: ServedPolicies
    matured: ServedPolicies
    learned: ServedPolicies
    broke_before: bool
    """Whether a version before the champion broke its promise."""


def read_alarms(
    connection: Connection,
    model: ModelVersion,
    snapshot: Snapshot,
    month: Month,
    as_of: date,
    features: Mapping[str, FeatureDrift],
) -> dict[str, Reading]:
    """A reading of each drifting feature of a night's newest month; `snapshot` is the champion's reference.

    None of any where no tariff is in force: there are no prices then.
    """
    drifting = [name for name, drift in features.items() if drift.drifted]
    if not drifting:
        return {}
    try:
        night = _night(connection, model, snapshot, month, as_of)
    except NoTariff:
        return {}
    return {name: _reading(night, name, features[name]) for name in drifting}


def store_readings(connection: Connection, as_of: date, readings: Mapping[str, Reading]) -> None:
    """Replace what a date's night said."""
    connection.execute(delete(drift_reading).where(drift_reading.c.as_of == as_of))
    rows = [
        {
            "as_of": as_of,
            "feature": name,
            "version": reading.version,
            "action": reading.action,
            "says": reading.says,
            "reading": reading.as_json(),
        }
        for name, reading in readings.items()
    ]
    if rows:
        connection.execute(insert(drift_reading), rows)


def _night(connection: Connection, model: ModelVersion, snapshot: Snapshot, month: Month, as_of: date) -> _Night:
    tariff = in_force(tariffs(connection), as_of)
    written = connection.scalar(select(func.count()).where(policy.c.effective_date <= as_of)) or 0
    current = (policy.c.effective_date <= as_of) & (policy.c.expiry_date > as_of)
    policies = connection.scalar(select(func.count()).where(current)) or 0
    newest = read_served(connection, as_of, since=month.first, every=_every(month.rows, NEWEST_POLICIES))
    newest = newest.where(newest.effective_dates <= np.datetime64(month.last))
    served = read_served(connection, as_of, every=_every(written, OUTCOMES))
    known = min(len(snapshot), REFERENCE_POLICIES)
    rows = np.random.default_rng(0).choice(len(snapshot), known, replace=False)
    return _Night(
        as_of=as_of,
        model=model,
        plan=load_plan(connection, model.version),
        tariff=tariff,
        portfolio=Portfolio(policies, month.first, tariff.name, tariff.currency),
        day=min(as_of, month.last),
        newest=newest,
        matured=served.where(served.matured & ~served.known_by(model.as_of)),
        learned=ServedPolicies(
            effective_dates=snapshot.effective_dates[rows],
            features={name: values[rows] for name, values in snapshot.features.items()},
            risk=snapshot.risk[rows],
            known_on=np.full(known, np.datetime64(model.as_of, "D")),
        ),
        broke_before=_broke_before(connection, model, as_of),
    )


def _every(rows: int, wanted: int) -> int:
    return math.ceil(rows / wanted) or 1


def _broke_before(connection: Connection, model: ModelVersion, as_of: date) -> bool:
    """Whether the champion's predecessor had broken its promise, as known on a date, when the champion was trained."""
    before = [version.version for version in ever_approved(connection) if version.as_of < model.as_of][-1:]
    return bool(
        connection.scalar(
            select(func.count()).where(
                alarm.c.cause == BROKEN_PROMISE,
                alarm.c.version.in_(before),
                alarm.c.as_of <= min(as_of, model.as_of),
            )
        )
    )


def _reading(night: _Night, feature: str, drift: FeatureDrift) -> Reading:
    plan, newest, reference = night.plan, night.newest, night.learned.features
    dates = np.full(len(newest), np.datetime64(night.day, "D"))
    importance = importances(plan, reference, np.full(len(night.learned), np.datetime64(night.day, "D")))
    tolerated = Range.around(reference[feature])
    findings = Findings(
        feature=feature,
        version=night.model.version,
        since=drift.since,
        importance=importance[feature],
        rank=1 + sum(share > importance[feature] for share in importance.values()),
        effect=effect_of(feature, plan, night.tariff, newest.features, dates, reference[feature]),
        realised=_realised(night, feature, drift),
        outside=share_outside(feature, plan, newest.features),
        more_missing=drift.more_missing,
        outliers=drift.outliers / max(drift.rows, 1),
        repeated=night.broke_before,
        segments=tuple(segments_of(feature, reference, newest.features, (tolerated.lower, tolerated.upper))),
    )
    net = float(priced(plan, night.tariff, newest.features, dates)[:, 0].mean())
    return told(findings, night.portfolio, net)


def _realised(night: _Night, feature: str, drift: FeatureDrift) -> Realised:
    """Judge by the policies that began since the feature drifts, as far as their outcomes are known."""
    matured = night.matured
    if drift.since is not None:
        matured = matured.where(matured.effective_dates >= np.datetime64(drift.since, "D"))
    known_from = _known_from(night, drift.since) if len(matured) < FEWEST else None
    return realised(
        feature,
        night.plan,
        night.tariff,
        Outcomes(matured.features, matured.effective_dates, matured.risk),
        evidence_against(night.plan, matured, night.learned),
        night.newest.features[feature],
        night.learned.features[feature],
        known_from,
    )


def _known_from(night: _Night, since: date | None) -> date | None:
    """The month in which outcomes of policies since then become known, by how long others took; None: nobody knows."""
    if since is None or not len(night.matured):
        return None
    delay = np.median((night.matured.known_on - night.matured.effective_dates).astype(np.int64))
    return first_of_month(max(since + timedelta(days=int(delay)), night.as_of))
