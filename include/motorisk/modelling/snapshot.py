"""Snapshots: the matured policies that were known on a date, frozen with a digest."""

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
from psycopg2 import sql
from sqlalchemy import Connection

from motorisk.domain.calendar import DAYS_A_MONTH
from motorisk.domain.fairness import reason_against
from motorisk.domain.policy import FEATURES
from motorisk.domain.risk import CLASS_BOUNDS, RISK_CLASSES
from motorisk.errors import InvalidData, NotEnoughData
from motorisk.files import make_folder
from motorisk.scoring.pricing import risk_classes
from motorisk.warehouse.arrow import FEATURE_COLUMNS, FEATURE_TYPES, read_batches
from motorisk.warehouse.copying import copy_out

LARGEST_NUMBER = 1e9
"""No risk, power, distance or age is nearly as large; one such value would bend every spline."""

MIN_ROWS = 200
"""Fewer matured policies than this cannot carry a spline model, nor its gates."""

MAX_SHARE_OF_COPIES = 0.01
"""Rounded figures may coincide; more than this was loaded twice."""

# Policies and outcomes known on the date; of these the newest months, because they resemble tomorrow's most.
_QUERY = sql.SQL(
    """
    WITH matured AS (
        SELECT p.policy_id, p.effective_date, {features}, o.risk
        FROM insurance.policy p JOIN insurance.outcome o USING (policy_id)
        WHERE p.effective_date <= %(as_of)s AND o.observed_on <= %(as_of)s
    )
    SELECT * FROM matured
    WHERE effective_date >= (
        SELECT date_trunc('month', max(effective_date)) - make_interval(months => %(history_months)s - 1) FROM matured
    )
    ORDER BY policy_id COLLATE "C"
    """
).format(features=FEATURE_COLUMNS)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """n matured policies: ids, effective dates, features by name and risk index, each (n,); and their digest."""

    as_of: date
    policy_ids: list[str]
    effective_dates: npt.NDArray[np.datetime64]
    features: dict[str, npt.NDArray[np.float64]]
    risk: npt.NDArray[np.float64]
    digest: str

    def __len__(self) -> int:
        return len(self.risk)

    def matrix(self) -> npt.NDArray[np.float64]:
        """Features as (n, 6), columns in the order of `FEATURES`."""
        return np.column_stack([self.features[name] for name in FEATURES])

    def months(self) -> npt.NDArray[np.float64]:
        """Effective dates as mean months since the as-of date, (n,), zero or negative."""
        days = (self.effective_dates - np.datetime64(self.as_of, "D")).astype("timedelta64[D]").astype(np.float64)
        return days / DAYS_A_MONTH

    def month_numbers(self) -> npt.NDArray[np.int64]:
        """Calendar months of the effective dates, (n,), counted so that neighbours differ by one."""
        return self.effective_dates.astype("datetime64[M]").astype(np.int64)

    def where(self, rows: npt.NDArray[np.bool_], as_of: date | None = None) -> Self:
        """The snapshot of some of the rows, as of an earlier date if one is given."""
        kept = self.to_table().filter(pa.array(rows))
        return type(self).of_table(as_of or self.as_of, kept)

    def newest(self, months: int) -> Self:
        """The policies of the newest so many calendar months."""
        numbers = self.month_numbers()
        return self.where(numbers > numbers.max() - months)

    @classmethod
    def of_table(cls, as_of: date, table: pa.Table) -> Self:
        """Build a snapshot from a table with the columns policy_id, effective_date, the features and risk."""
        policy_ids = table["policy_id"].to_pylist()
        dates = table["effective_date"].to_numpy().astype("datetime64[D]")
        features = {name: table[name].cast(pa.float64()).to_numpy() for name in FEATURES}
        risk = table["risk"].to_numpy()
        return cls(as_of, policy_ids, dates, features, risk, _digest(as_of, policy_ids, dates, features, risk))

    def to_table(self) -> pa.Table:
        """The same as an Arrow table."""
        columns = {"policy_id": self.policy_ids, "effective_date": self.effective_dates, **self.features}
        return pa.table({**columns, "risk": self.risk})

    def require_trainable(self) -> None:
        """Raise `NotEnoughData` or `InvalidData`, saying what is missing, where no model can be fitted."""
        if len(self) < MIN_ROWS:
            raise NotEnoughData(
                f"as of {self.as_of} only {len(self)} policies have an observed outcome, at least {MIN_ROWS} are needed"
            )
        if len(set(self.policy_ids)) != len(self):
            raise InvalidData("the snapshot holds a policy twice")
        for name in self.features:
            if reason := reason_against(name):
                raise InvalidData(f"{name} may not price policies: it {reason}")
        for name, values in (*self.features.items(), ("risk", self.risk)):
            if not np.isfinite(values).all():
                raise InvalidData(f"{name} is not a finite number in some policies of the snapshot")
            if np.abs(values).max() > LARGEST_NUMBER:
                raise InvalidData(f"{name} is larger than {LARGEST_NUMBER:g} in some policies of the snapshot")
            if np.ptp(values) == 0:
                raise InvalidData(f"{name} is {values[0]:g} in every policy of the snapshot: nothing can be learnt")
        classes = np.unique(risk_classes(self.risk, CLASS_BOUNDS))
        if len(classes) == 1:
            raise InvalidData(f"every policy of the snapshot is of class {RISK_CLASSES[classes[0]]}: nothing to tell")
        copies = len(self) - len(np.unique(self._rows(), axis=0))
        if copies > MAX_SHARE_OF_COPIES * len(self):
            raise InvalidData(
                f"{copies:,} of {len(self):,} policies are copies of others (same start, features and outcome): "
                "they would count several times"
            )

    def _rows(self) -> npt.NDArray[np.float64]:
        return np.column_stack([self.effective_dates.astype(np.int64), *self.features.values(), self.risk])

    def save(self, folder: Path) -> Path:
        """Write to `folder/<digest>.parquet`, whole or not at all; an existing file stays."""
        make_folder(folder)
        path = snapshot_path(folder, self.digest)
        if not path.exists():
            unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
            metadata = {b"as_of": self.as_of.isoformat().encode()}
            pa.parquet.write_table(self.to_table().replace_schema_metadata(metadata), unfinished)
            unfinished.replace(path)
        return path


def _digest(
    as_of: date,
    policy_ids: list[str],
    dates: npt.NDArray[np.datetime64],
    features: dict[str, npt.NDArray[np.float64]],
    risk: npt.NDArray[np.float64],
) -> str:
    """SHA-256 of the content, whatever the file format's version."""
    content = hashlib.sha256()
    content.update(as_of.isoformat().encode())
    for policy_id in policy_ids:
        content.update(policy_id.encode() + b"\0")
    content.update(dates.astype("<i8").tobytes())
    for name, values in (*features.items(), ("risk", risk)):
        content.update(name.encode() + b"\0" + values.astype("<f8").tobytes())
    return content.hexdigest()


def snapshot_path(folder: Path, digest: str) -> Path:
    """Where the snapshot of this digest lies."""
    return folder / f"{digest}.parquet"


def read_matured(connection: Connection, query: sql.Composable, parameters: Mapping[str, object]) -> pa.Table | None:
    """What `Snapshot.of_table` is built from: a query's policy_id, effective_date, features and risk; None if empty."""
    types = {"policy_id": pa.string(), "effective_date": pa.date32(), **FEATURE_TYPES, "risk": pa.float64()}
    content = io.BytesIO()
    copy_out(connection, query, parameters, content)
    content.seek(0)
    batches = list(read_batches(content, types))
    return pa.Table.from_batches(batches) if batches else None


def extract_snapshot(connection: Connection, as_of: date, history_months: int) -> Snapshot:
    """The policies of the newest `history_months` months whose outcome was observed by `as_of`.

    Nothing later than `as_of` is read; `NotEnoughData` where no outcome was known.
    """
    table = read_matured(connection, _QUERY, {"as_of": as_of, "history_months": history_months})
    if table is None:
        raise NotEnoughData(f"no outcome of any policy was known on {as_of}: there is nothing to train on")
    return Snapshot.of_table(as_of, table)


def load_snapshot(folder: Path, digest: str) -> Snapshot | None:
    """Read a saved snapshot, its digest verified; None where the file is missing, `InvalidData` if altered."""
    path = snapshot_path(folder, digest)
    if not path.exists():
        return None
    try:
        table = pa.parquet.read_table(path)
        if not pa.types.is_string(table["policy_id"].type) or table["policy_id"].null_count:
            raise ValueError("policy_id must be text")
        snapshot = Snapshot.of_table(date.fromisoformat(table.schema.metadata[b"as_of"].decode()), table)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InvalidData(f"the snapshot {path} cannot be read: {error}") from error
    if snapshot.digest != digest:
        raise InvalidData(f"the snapshot {path} is not what was trained on: its digest differs")
    return snapshot
