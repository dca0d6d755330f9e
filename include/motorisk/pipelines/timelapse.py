"""Timelapse: replay month by month what the platform would have known and done.

Before each month begins it trains on what was known then and approves by the gates; the month's new policies are
priced, drift is measured, and the classes foretold are compared with those that came true. Beside the platform run
a model trained once, plain monthly retraining and an oracle that sees outcomes at once. Nothing is registered.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from psycopg2 import sql
from sqlalchemy import Engine

from motorisk.domain.calendar import add_months, first_of_month, month_name, months_through
from motorisk.domain.risk import CLASS_BOUNDS
from motorisk.errors import NotEnoughData
from motorisk.modelling.candidates import CANDIDATES, PlanForecaster
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.evaluation import Evaluation, evaluate
from motorisk.modelling.fitting import compete, fit
from motorisk.modelling.snapshot import MIN_ROWS, Snapshot, read_matured
from motorisk.monitoring.drift import far_features
from motorisk.scoring.pricing import assess, risk_classes
from motorisk.warehouse.arrow import FEATURE_COLUMNS

ORACLE_MONTHS = 6
"""Newest months that the oracle learns from: all of them resemble tomorrow, and a trend shows."""

_QUERY = sql.SQL(
    """
    SELECT policy_id, effective_date, {features}, risk FROM insurance.policy JOIN insurance.outcome USING (policy_id)
    WHERE effective_date < %(end)s ORDER BY policy_id COLLATE "C"
    """
).format(features=FEATURE_COLUMNS)


@dataclass(frozen=True, slots=True)
class Frame:
    """One month of the timelapse; figures are None before there is a model.

    `champion` numbers the approved models of the replay, `candidate` says of which kind the champion is. The three
    other accuracies are of a model trained once, of plain monthly retraining, and of labels at once.
    """

    month: str
    champion: int | None
    candidate: str | None
    drifted: list[str]
    accuracy: float | None
    log_loss: float | None
    accuracy_once: float | None
    accuracy_monthly: float | None
    accuracy_oracle: float | None


@dataclass(frozen=True, slots=True)
class _Champion:
    number: int
    forecaster: PlanForecaster
    reference: Snapshot


def replay(
    engine: Engine,
    first: date,
    last: date,
    configuration: TrainingConfiguration,
    *,
    label_delay: int = 12,
    train_every: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Frame]:
    """The months from `first` to `last` (first days of months), one frame each.

    Outcomes become known `label_delay` months after the policy starts, but those of the warehouse's first month at
    once. `NotEnoughData` where the warehouse has no outcomes before the last month ends.
    """
    history = _load(engine, add_months(last, 1))
    world = _World(history, label_delay)
    champion: _Champion | None = None
    once: PlanForecaster | None = None
    months = months_through(first, last)
    for done, month in enumerate(months):
        progress(done, len(months))
        known = world.known_before(month)
        if done % train_every == 0 and known is not None:
            trained = fit(known, configuration, compete(known, configuration))
            if all(gate["passed"] for gate in trained.gates):
                number = 1 if champion is None else champion.number + 1
                reference = known.newest(configuration.window_months)
                champion = _Champion(number, PlanForecaster(trained.plan), reference)
                once = once or champion.forecaster
        yield _frame(world, month, champion, once, known, configuration)
    progress(len(months), len(months))


def _load(engine: Engine, end: date) -> Snapshot:
    with engine.connect() as connection:
        table = read_matured(connection, _QUERY, {"end": end})
    if table is None:
        raise NotEnoughData(f"no policy before {end} has an outcome: there is nothing to replay")
    return Snapshot.of_table(end, table)


class _World:
    """All policies, and from when on their outcomes are known."""

    def __init__(self, history: Snapshot, label_delay: int) -> None:
        self.history = history
        self._days = history.effective_dates
        distinct, where = np.unique(self._days, return_inverse=True)
        earliest = first_of_month(distinct[0].astype(object))
        known = [day if first_of_month(day) == earliest else add_months(day, label_delay) for day in distinct.tolist()]
        self._known = np.array(known, dtype="datetime64[D]")[where]

    def known_before(self, month: date) -> Snapshot | None:
        """What was known on the day before a month began; None where that is too little to train on."""
        day = np.datetime64(month - timedelta(days=1), "D")
        rows = (self._days <= day) & (self._known <= day)
        return self.history.where(rows, as_of=month - timedelta(days=1)) if rows.sum() >= MIN_ROWS else None

    def seen_by_oracle(self, month: date) -> Snapshot | None:
        """The newest months before a month, with all their outcomes."""
        rows = self._between(add_months(month, -ORACLE_MONTHS), month)
        return self.history.where(rows, as_of=month - timedelta(days=1)) if rows.sum() >= MIN_ROWS else None

    def written_in(self, month: date) -> Snapshot:
        """The policies of a month."""
        return self.history.where(self._between(month, add_months(month, 1)))

    def _between(self, start: date, end: date) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        return np.asarray((self._days >= np.datetime64(start, "D")) & (self._days < np.datetime64(end, "D")))


def _frame(
    world: _World,
    month: date,
    champion: _Champion | None,
    once: PlanForecaster | None,
    known: Snapshot | None,
    configuration: TrainingConfiguration,
) -> Frame:
    frame = Frame(month_name(month), None, None, [], None, None, None, None, None)
    new = world.written_in(month)
    if champion is not None:
        frame = replace(frame, champion=champion.number, candidate=champion.forecaster.plan.candidate)
    if not len(new):
        return frame
    if champion is not None:
        figures = _realised(champion.forecaster, new)
        drifted = far_features(new.features, champion.reference.features)
        frame = replace(frame, drifted=drifted, accuracy=figures.accuracy, log_loss=figures.log_loss)
    monthly = None if known is None else _additive("gam", known, configuration)
    oracle = world.seen_by_oracle(month)
    best = None if oracle is None else _additive("trend_gam", oracle, configuration)
    return replace(
        frame,
        accuracy_once=None if once is None else _realised(once, new).accuracy,
        accuracy_monthly=None if monthly is None else _realised(monthly, new).accuracy,
        accuracy_oracle=None if best is None else _realised(best, new).accuracy,
    )


def _additive(name: str, snapshot: Snapshot, configuration: TrainingConfiguration) -> PlanForecaster:
    found = CANDIDATES[name].fit(snapshot, configuration)
    if not isinstance(found, PlanForecaster):
        raise TypeError(f"{name} is not additive")
    return found


def _realised(forecaster: PlanForecaster, new: Snapshot) -> Evaluation:
    """As quotes would have been answered: the rules outside the model's experience."""
    assessed = assess(forecaster.plan, new.features, new.effective_dates)
    return evaluate(assessed.probabilities, risk_classes(new.risk, CLASS_BOUNDS))
