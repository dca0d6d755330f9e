"""Policies of import files, in the order of the months in which they start."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.pipelines.importing.reading import open_lines
from motorisk.pipelines.importing.splitting import RowReader
from motorisk.pipelines.importing.validation import check

REASONS_KEPT = 5


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of all files, month after month, within a month as the files have them.

    `starts` are the months (n), `features` the values in the order of `FEATURES` (n, 6).
    """

    starts: npt.NDArray[np.datetime64]
    features: npt.NDArray[np.float64]
    refused: int
    """Rows that break the import contract: they are no policies."""
    reasons: tuple[str, ...]
    """Why, for the first of them."""

    def months(self) -> Iterable[tuple[date, list[PolicyFeatures]]]:
        """Each month's first day and policies, from the earliest month on."""
        distinct, first = np.unique(self.starts, return_index=True)
        for month, rows in zip(distinct, np.split(self.features, first)[1:], strict=True):
            yield month.astype("datetime64[D]").item(), [PolicyFeatures(*row) for row in rows.tolist()]


def read_policies(paths: Iterable[Path], limit: int | None = None) -> Policies:
    """Read files as `motorisk import` does; the first `limit` policies in the order of their months.

    `ImportRefused` where a file as a whole cannot be read or lacks required columns.
    """
    starts, features = [], []
    reasons: list[str] = []
    refused = 0
    for path in paths:
        with open_lines(path) as lines:
            for batch in RowReader(lines).batches():
                rows = check(batch)
                starts.append(rows.effective_date[rows.accepted].astype("datetime64[M]"))
                features.append(np.column_stack([rows.features[name][rows.accepted] for name in FEATURES]))
                refused += len(rows.refusals)
                reasons += [
                    f"{path.name}, line {refusal.line}: {'; '.join(refusal.reasons)}"
                    for refusal in rows.refusals[: REASONS_KEPT - len(reasons)]
                ]
    months = np.concatenate(starts) if starts else np.empty(0, "datetime64[M]")
    values = np.concatenate(features) if features else np.empty((0, len(FEATURES)))
    order = np.argsort(months, kind="stable")[:limit]
    return Policies(months[order], values[order], refused, tuple(reasons))
