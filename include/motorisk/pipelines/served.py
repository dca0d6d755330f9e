"""The policies that versions served, with what came of them, as known on a date."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from psycopg2 import sql
from sqlalchemy import Connection

from motorisk.domain.policy import FEATURES
from motorisk.warehouse.arrow import FEATURE_COLUMNS, FEATURE_TYPES, read_batches
from motorisk.warehouse.copying import copy_out

Floats = npt.NDArray[np.float64]
Dates = npt.NDArray[np.datetime64]

_TYPES = {"effective_date": pa.date32(), **FEATURE_TYPES, "risk": pa.float64(), "known_on": pa.date32()}
# An outcome that is observed later does not exist yet.
_QUERY = sql.SQL(
    """
    SELECT p.effective_date, {features}, o.risk, o.observed_on AS known_on
    FROM insurance.policy p
    LEFT JOIN insurance.outcome o ON o.policy_id = p.policy_id AND o.observed_on <= %(as_of)s
    WHERE p.effective_date <= %(as_of)s AND p.effective_date >= %(since)s
      AND (%(one_in)s = 1 OR hashtextextended(p.policy_id, 0) %% %(one_in)s = 0)
    ORDER BY p.policy_id COLLATE "C"
    """
).format(features=FEATURE_COLUMNS)


@dataclass(frozen=True, slots=True)
class ServedPolicies:
    """n policies, each array (n,): `known_on` is NaT and `risk` NaN where no outcome is known yet."""

    effective_dates: Dates
    features: Mapping[str, Floats]
    risk: Floats
    known_on: Dates

    def __len__(self) -> int:
        return len(self.risk)

    @property
    def months(self) -> Dates:
        """Calendar months of the effective dates, (n,)."""
        return self.effective_dates.astype("datetime64[M]")

    @property
    def matured(self) -> npt.NDArray[np.bool_]:
        """Whose outcome is known, (n,)."""
        return np.asarray(~np.isnat(self.known_on))

    def known_by(self, day: date) -> npt.NDArray[np.bool_]:
        """Whose outcome was known on a day, (n,)."""
        return np.asarray(self.known_on <= np.datetime64(day, "D"))

    def where(self, rows: npt.NDArray[np.bool_]) -> Self:
        """Some of the policies."""
        features = {name: values[rows] for name, values in self.features.items()}
        return type(self)(self.effective_dates[rows], features, self.risk[rows], self.known_on[rows])


def read_served(connection: Connection, as_of: date, *, since: date = date.min, one_in: int = 1) -> ServedPolicies:
    """Policies written from `since` to `as_of`, one in `one_in` by their ids, with the outcomes known then."""
    content = io.BytesIO()
    copy_out(connection, _QUERY, {"as_of": as_of, "since": since, "one_in": one_in}, content)
    content.seek(0)
    schema = pa.schema(list(_TYPES.items()))
    table = pa.Table.from_batches(list(read_batches(content, _TYPES)), schema)
    return ServedPolicies(
        effective_dates=table["effective_date"].to_numpy().astype("datetime64[D]"),
        features={name: table[name].cast(pa.float64()).to_numpy() for name in FEATURES},
        risk=table["risk"].to_numpy(),
        known_on=table["known_on"].to_numpy().astype("datetime64[D]"),
    )
