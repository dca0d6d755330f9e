"""Performance: what the served models foretold against what came true, as outcomes mature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date

import numpy as np
from sqlalchemy import Connection, Engine, func, or_
from sqlalchemy.dialects.postgresql import insert

from motorisk.domain.calendar import add_months
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import PROBABILITY_UNITS, RISK_CLASSES, RiskClass
from motorisk.errors import NoChampion
from motorisk.modelling.evaluation import calibration_error, evaluate
from motorisk.monitoring.promise import ALPHA, Evidence, gather_evidence, promised_scores, tolerated_margin
from motorisk.pipelines.alarms import Alarm, Finding, raise_alarms
from motorisk.pipelines.served import ServedPolicies, read_served
from motorisk.registry.versions import ModelVersion, ever_approved, load_plan
from motorisk.scoring.pricing import Assessments, Dates, Floats, assess, predictive_spread, risk_classes
from motorisk.warehouse.locks import exclusively
from motorisk.warehouse.tables import performance

CAUSE = "performance"
CONVINCING = 1e9
"""Larger evidence is not worth its digits."""


@dataclass(frozen=True, slots=True)
class MonthlyPerformance:
    """How a version did on the policies written in a month whose outcomes it had not known when it was trained.

    `policies` are all of them. `estimated_accuracy` is the mean of the largest class probability where the version
    answers: its own certainty (a confidence-based estimate, CBPE), there before any outcome is. It stays high where
    the version is wrong, hence nothing is judged by it. `rows` are those whose outcome is known, `accuracy` and
    `log_loss` what customers got, by the version or by the rules. `by_model` are the rows that the version answered;
    `rmse`, `bias` (observed less expected risk index, in standard errors), `calibration_error`, and `actual` and
    `expected` policies by class are of these. What is not known is None.
    """

    month: date
    version: int
    as_of: date
    policies: int
    estimated_accuracy: float | None
    rows: int
    accuracy: float | None = None
    log_loss: float | None = None
    by_model: int = 0
    rmse: float | None = None
    bias: float | None = None
    calibration_error: float | None = None
    actual: Mapping[str, int] | None = None
    expected: Mapping[str, float] | None = None

    def actual_to_expected(self, risk_class: RiskClass) -> float | None:
        """Policies that turned out to be of a class over those that the version expected."""
        if self.actual is None or self.expected is None or not self.expected[risk_class]:
            return None
        return self.actual[risk_class] / self.expected[risk_class]


@dataclass(frozen=True, slots=True)
class Promise:
    """The evidence against a version: `e_value` to one that it does worse than it promised.

    An alarm where it has reached `threshold`; `since` is the first day on which it had.
    """

    version: int
    rows: int
    e_value: float
    threshold: float
    since: date | None


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """What is known on a date of all versions that served: months and promises, oldest first, and the alarms."""

    as_of: date
    months: list[MonthlyPerformance]
    promises: list[Promise]
    alarms: list[Alarm]

    @property
    def realised(self) -> list[MonthlyPerformance]:
        """The months with known outcomes."""
        return [figures for figures in self.months if figures.rows]


def version_of_month(versions: Sequence[ModelVersion], month: date) -> ModelVersion | None:
    """The version that knew most when the month began; else the first one made during the month."""
    before = [version for version in versions if version.as_of <= month]
    if before:
        return before[-1]
    during = [version for version in versions if version.as_of < add_months(month, 1)]
    return during[0] if during else None


def measure_month(
    served: ServedPolicies, month: date, as_of: date, model: ModelVersion, plan: RatingPlan
) -> MonthlyPerformance:
    """Compare what a version foretold of a month's policies with what is known of them."""
    assessed = assess(plan, served.features, served.effective_dates)
    certainty = assessed.probabilities[assessed.by_model].max(axis=1) / PROBABILITY_UNITS
    matured = served.matured
    figures = MonthlyPerformance(
        month=month,
        version=model.version,
        as_of=as_of,
        policies=len(served),
        estimated_accuracy=float(certainty.mean()) if len(certainty) else None,
        rows=int(matured.sum()),
    )
    if not figures.rows:
        return figures
    found = evaluate(assessed.probabilities[matured], risk_classes(served.risk[matured], plan.class_bounds))
    figures = replace(figures, accuracy=found.accuracy, log_loss=found.log_loss)
    return _where_the_version_answered(figures, served, plan, assessed)


def _where_the_version_answered(
    figures: MonthlyPerformance, served: ServedPolicies, plan: RatingPlan, assessed: Assessments
) -> MonthlyPerformance:
    rows = served.matured & assessed.by_model
    if not rows.any():
        return figures
    residuals = served.risk[rows] - assessed.expected_risk[rows]
    spread = predictive_spread(plan, served.effective_dates[rows])
    observed = risk_classes(served.risk[rows], plan.class_bounds)
    probabilities = assessed.probabilities[rows]
    actual = np.bincount(observed, minlength=len(RISK_CLASSES))
    expected = probabilities.sum(axis=0) / PROBABILITY_UNITS
    return replace(
        figures,
        by_model=int(rows.sum()),
        rmse=float(np.sqrt(np.mean(residuals**2))),
        bias=float(residuals.sum() / np.sqrt(np.sum(spread**2))),
        calibration_error=calibration_error(probabilities / PROBABILITY_UNITS, observed),
        actual={name.value: int(count) for name, count in zip(RISK_CLASSES, actual, strict=True)},
        expected={name.value: float(count) for name, count in zip(RISK_CLASSES, expected, strict=True)},
    )


def _errors(served: ServedPolicies, plan: RatingPlan) -> tuple[Floats, Dates]:
    """Errors, in stated spreads, on matured policies that the version answers, and when their outcomes became known."""
    assessed = assess(plan, served.features, served.effective_dates)
    rows = served.matured & assessed.by_model
    spread = predictive_spread(plan, served.effective_dates[rows])
    return (served.risk[rows] - assessed.expected_risk[rows]) / spread, served.known_on[rows]


def evidence_against(plan: RatingPlan, served: ServedPolicies, learned: ServedPolicies) -> Evidence:
    """Judge a version by the policies that it served; `learned` are the newest ones whose outcomes it knew."""
    errors, known_on = _errors(served, plan)
    at_first, _ = _errors(learned, plan)
    return gather_evidence(errors, known_on, promised_scores(at_first), tolerated_margin(len(at_first)))


def _learned(portfolio: ServedPolicies, model: ModelVersion) -> ServedPolicies:
    known = portfolio.where(portfolio.known_by(model.as_of) & (portfolio.effective_dates <= np.datetime64(model.as_of)))
    if not len(known):
        return known
    months = known.months.astype(np.int64)
    return known.where(months > months.max() - int(model.parameters["window_months"]))


def report_performance(engine: Engine, as_of: date) -> PerformanceReport:
    """How every version did that served, as of a date; stored, replacing earlier figures, with the alarms it raises.

    Months whose outcomes are not known yet have an estimate and no more; those of which the version knew every outcome
    are left out. `NoChampion` where no version was ever approved.
    """
    with engine.connect() as connection:
        versions = ever_approved(connection)
        if not versions:
            raise NoChampion("no model was ever approved: there is no performance to measure")
        report = _measure(connection, as_of, versions)
    with exclusively(engine, "alarms"), engine.begin() as connection:
        _store(connection, report.months)
        alarms = raise_alarms(connection, as_of, CAUSE, [_finding(found) for found in report.promises if found.since])
    return PerformanceReport(as_of, report.months, report.promises, alarms)


def _measure(connection: Connection, as_of: date, versions: Sequence[ModelVersion]) -> PerformanceReport:
    portfolio = read_served(connection, as_of)
    served_by: dict[int, list[date]] = {}
    for month in np.unique(portfolio.months).astype("datetime64[D]").tolist():
        model = version_of_month(versions, month)
        if model is not None:
            served_by.setdefault(model.version, []).append(month)
    months: list[MonthlyPerformance] = []
    promises: list[Promise] = []
    for model in (version for version in versions if version.version in served_by):
        plan = load_plan(connection, model.version)
        own = np.isin(portfolio.months, np.array(served_by[model.version], dtype="datetime64[M]"))
        served = portfolio.where(own & ~portfolio.known_by(model.as_of))
        for month in served_by[model.version]:
            part = served.where(served.months == np.datetime64(month, "M"))
            if len(part):
                months.append(measure_month(part, month, as_of, model, plan))
        if served.matured.any():
            evidence = evidence_against(plan, served, _learned(portfolio, model))
            rows = int(served.matured.sum())
            promises.append(Promise(model.version, rows, evidence.e_value, 1 / ALPHA, evidence.since()))
    return PerformanceReport(as_of, sorted(months, key=lambda figures: figures.month), promises, [])


def describe(promise: Promise) -> str:
    """What a broken promise means, in one plain line."""
    weight = f"1 : {promise.e_value:,.0f}" if promise.e_value < CONVINCING else f"more than 1 : {CONVINCING:,.0f}"
    return f"version {promise.version} does worse than it promised since {promise.since} (evidence {weight})"


def _finding(promise: Promise) -> Finding:
    if promise.since is None:
        raise ValueError(f"version {promise.version} keeps its promise")
    reason = describe(promise)
    return Finding(promise.version, CAUSE, promise.since, reason, promise.e_value, promise.threshold)


def _store(connection: Connection, months: Sequence[MonthlyPerformance]) -> None:
    names = [field.name for field in fields(MonthlyPerformance)]
    for figures in months:
        statement = insert(performance).values({name: getattr(figures, name) for name in names})
        replaced = {name: statement.excluded[name] for name in names if name not in ("month", "version")}
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["month", "version"],
                set_=replaced | {"measured_at": func.now()},
                # A night for a past date knew less than what is stored, unless somebody had looked into the future.
                where=or_(performance.c.as_of <= statement.excluded.as_of, performance.c.as_of > func.current_date()),
            )
        )
