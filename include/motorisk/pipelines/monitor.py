"""Live windows: the quotes as they come, measured beside the service and never on a request's way.

Every row that enters the ledger also enters the inbox, in the same transaction; one that comes late through the journal
enters when it comes. Who closes a window takes the oldest rows out of the inbox and writes the window in one
transaction, one process at a time: so each quote is in exactly one window, whoever is killed and whenever.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Row,
    delete,
    func,
    insert,
    literal,
    select,
    text,
)

from motorisk.domain.policy import FEATURES
from motorisk.monitoring.drift import FeatureDrift, drifted_names, drifts_of
from motorisk.monitoring.reference import Reference
from motorisk.monitoring.verdict import Verdict, follow
from motorisk.monitoring.windows import Window
from motorisk.pipelines.drift import figures_of
from motorisk.pipelines.drift_reference import keep_thresholds, prepared, snapshot_of
from motorisk.registry.versions import ModelVersion, champion
from motorisk.settings import Settings
from motorisk.warehouse.tables import drift_inbox, drift_window, drift_window_metric, quote

WINDOW = 1500
TIMEOUT = timedelta(hours=24)
FEWEST = 30
"""A window that a timeout closes has at least so many rows: fewer say nothing about anything."""
FOLLOWED = 400
"""Windows of a version that evidence adds up, at most."""


@dataclass(frozen=True, slots=True)
class LiveWindow:
    """One window of quotes; times are those of its first and last quote."""

    window_id: int
    version: int
    first_quoted_at: datetime
    last_quoted_at: datetime
    rows: int
    dataset_drift: bool
    drifted_share: float
    features: dict[str, FeatureDrift]

    @property
    def drifted(self) -> list[str]:
        """The drifted features, the farthest first."""
        return drifted_names(self.features)


@dataclass(frozen=True, slots=True)
class _Followed:
    """A version's reference and its windows so far, kept between windows; `last` is the newest's id."""

    model: ModelVersion
    reference: Reference
    windows: tuple[Window, ...] = ()
    last: int = 0


class Monitor:
    """Closes windows of `size` quotes, or of fewer where the oldest has waited for `timeout`."""

    def __init__(self, engine: Engine, settings: Settings, size: int = WINDOW, timeout: timedelta = TIMEOUT) -> None:
        self._engine = engine
        self._settings = settings
        self._size = size
        self._timeout = timeout
        self._followed: _Followed | None = None

    def pending(self) -> int:
        """Quotes that are in no window yet."""
        with self._engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(drift_inbox)) or 0

    def close_window(self) -> LiveWindow | None:
        """Measure the oldest quotes and take them out of the inbox; None where there is no window to close yet.

        Raises `NoChampion`, and `InvalidData` where the champion's reference is gone: the quotes stay in the inbox.
        """
        with self._engine.connect() as connection:
            if not self._may_be_due(connection):
                return None
            self._followed = self._current(connection)
        with self._engine.begin() as connection:
            # Nobody else takes rows or adds a window until this transaction has ended, by whatever end.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('motorisk.monitor'))"))
            oldest = self._oldest(connection)
            if not self._is_due(oldest):
                return None
            followed = _caught_up(connection, self._followed)
            measured = _measured(followed.reference, _quotes(connection, oldest))
            windows = (*followed.windows, measured)[-FOLLOWED:]
            verdict = follow(followed.reference, windows)[-1]
            found = self._store(connection, followed, windows, verdict, oldest)
        self._followed = replace(followed, windows=windows, last=found.window_id)
        keep_thresholds(self._engine, followed.model, followed.reference)
        return found

    def _current(self, connection: Connection) -> _Followed:
        model = champion(connection)
        if self._followed is not None and self._followed.model.version == model.version:
            return self._followed
        snapshot = snapshot_of(connection, self._settings, model)
        return _Followed(model, prepared(connection, self._settings, model, snapshot))

    def _may_be_due(self, connection: Connection) -> bool:
        """Whether it is worth reading the inbox: asked every few seconds, so that no row is sent for it."""
        oldest = select(drift_inbox.c.arrived_at).order_by(drift_inbox.c.arrival).limit(self._size).subquery()
        rows, since = connection.execute(select(func.count(), func.min(oldest.c.arrived_at)).select_from(oldest)).one()
        return self._is_full(rows, since)

    def _oldest(self, connection: Connection) -> list[Row[tuple[int, UUID, datetime, datetime]]]:
        return list(connection.execute(select(drift_inbox).order_by(drift_inbox.c.arrival).limit(self._size)))

    def _is_due(self, oldest: list[Row[tuple[int, UUID, datetime, datetime]]]) -> bool:
        return self._is_full(len(oldest), oldest[0].arrived_at if oldest else None)

    def _is_full(self, rows: int, since: datetime | None) -> bool:
        if rows == self._size:
            return True
        return rows >= min(FEWEST, self._size) and since is not None and since < datetime.now(UTC) - self._timeout

    def _store(
        self,
        connection: Connection,
        followed: _Followed,
        windows: tuple[Window, ...],
        verdict: Verdict,
        oldest: list[Row[tuple[int, UUID, datetime, datetime]]],
    ) -> LiveWindow:
        features = drifts_of(followed.reference, windows, verdict, by_month=False)
        row = {
            "version": followed.model.version,
            "first_quoted_at": min(one.quoted_at for one in oldest),
            "last_quoted_at": max(one.quoted_at for one in oldest),
            "rows": len(oldest),
            "dataset_drift": verdict.dataset_drift,
            "drifted_share": verdict.share,
        }
        kept = {"size": self._size, "figures": windows[-1].as_json(), "quote_ids": [one.quote_id for one in oldest]}
        window_id = connection.execute(
            insert(drift_window).returning(drift_window.c.window_id), row | kept
        ).scalar_one()
        connection.execute(
            insert(drift_window_metric),
            [{"window_id": window_id, "feature": name, **figures_of(drift)} for name, drift in features.items()],
        )
        connection.execute(delete(drift_inbox).where(_arrived(oldest)))
        return LiveWindow(window_id=window_id, features=features, **row)


def _caught_up(connection: Connection, followed: _Followed) -> _Followed:
    """With the windows that others have added meanwhile."""
    rows = connection.execute(
        select(
            drift_window.c.window_id,
            drift_window.c.first_quoted_at,
            drift_window.c.last_quoted_at,
            drift_window.c.figures,
        )
        .where(drift_window.c.version == followed.model.version, drift_window.c.window_id > followed.last)
        .order_by(drift_window.c.window_id.desc())
        .limit(FOLLOWED)
    ).all()
    if not rows:
        return followed
    new = [Window.of_json(row.first_quoted_at.date(), row.last_quoted_at.date(), row.figures) for row in reversed(rows)]
    return replace(followed, windows=(*followed.windows, *new)[-FOLLOWED:], last=rows[0].window_id)


def _arrived(oldest: list[Row[tuple[int, UUID, datetime, datetime]]]) -> ColumnElement[bool]:
    """These rows of the inbox, as one parameter: a list of 1,500 is dear to read."""
    return drift_inbox.c.arrival == func.any(literal([one.arrival for one in oldest], ARRAY(BigInteger)))


def _quotes(
    connection: Connection, oldest: list[Row[tuple[int, UUID, datetime, datetime]]]
) -> list[Row[tuple[object, ...]]]:
    first, last = oldest[0].arrival, oldest[-1].arrival
    return list(
        connection.execute(
            select(quote.c.quoted_at, *(quote.c[name] for name in FEATURES))
            .join(
                drift_inbox,
                (drift_inbox.c.quote_id == quote.c.quote_id) & (drift_inbox.c.quoted_at == quote.c.quoted_at),
            )
            .where(
                _arrived(oldest),
                drift_inbox.c.arrival.between(first, last),
                # So that the planner leaves out the months that have nothing to do with it.
                quote.c.quoted_at.between(min(one.quoted_at for one in oldest), max(one.quoted_at for one in oldest)),
            )
        )
    )


def _measured(reference: Reference, rows: list[Row[tuple[object, ...]]]) -> Window:
    values = np.array([tuple(row)[1:] for row in rows], dtype=np.float64)
    figures = {
        name: reference.measure(name, reference.column(name, values[:, column])) for column, name in enumerate(FEATURES)
    }
    days = [row.quoted_at.date() for row in rows]
    return Window(min(days), max(days), figures)
