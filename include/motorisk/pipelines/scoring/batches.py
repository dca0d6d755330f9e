"""From a block of policies as CSV to a block of scores as CSV, by Arrow and numpy alone."""

import io
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import RISK_CLASSES
from motorisk.domain.tariff import Tariff
from motorisk.scoring.pricing import Columns, assess, capped_premiums, premiums
from motorisk.warehouse.arrow import FEATURE_TYPES

INPUT_TYPES = {"policy_id": pa.string(), "effective_date": pa.date32(), **FEATURE_TYPES}
RENEWAL_TYPES = {"net_before": pa.float64(), "class_before": pa.dictionary(pa.int32(), pa.string())}
"""After the others where a run compares with the scores of a year before; without one, null and an empty text."""
OUTPUT_COLUMNS = (
    "policy_id", "predictor", "risk_class", "expected_risk", "p_low", "p_medium", "p_high", "net", "insurance_tax",
    "gross",
)  # fmt: skip
"""The other columns of `motorisk.score` are the same for the whole run: the work table's defaults fill them in."""
WITH_RENEWALS = (*OUTPUT_COLUMNS, *RENEWAL_TYPES, "capped")

PREDICTORS = ("model", "rules")
_CLASSES = tuple(str(name) for name in RISK_CLASSES)


@dataclass(slots=True)
class Totals:
    """Counts and sums of scores; money in cents, probabilities in their units. Quarantined policies are not in `rows`.

    `renewals` have a premium of a year before; of these, `capped` and `class_changed` say what changed.
    """

    rows: int = 0
    quarantined: int = 0
    by_predictor: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(PREDICTORS, 0)))
    by_class: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(_CLASSES, 0)))
    net_cents: int = 0
    gross_cents: int = 0
    p_low: int = 0
    p_high: int = 0
    renewals: int = 0
    capped: int = 0
    class_changed: int = 0

    def add(self, other: Self) -> None:
        """Count another batch in."""
        for name in self.__slots__:
            own, more = getattr(self, name), getattr(other, name)
            if isinstance(own, Counter):
                own.update(more)  # their sum would forget what was counted as none
            else:
                setattr(self, name, own + more)


@dataclass(frozen=True, slots=True)
class Impossible:
    """A policy that nobody can price, and what is wrong with it."""

    policy_id: str
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """Scores as CSV in the order of `OUTPUT_COLUMNS`, what they sum to, and the policies left out."""

    content: bytes
    totals: Totals
    impossible: list[Impossible]


def parse(block: bytes, *, renewals: bool = False) -> pa.RecordBatch:
    """Policies of a block of CSV that consists of whole rows; an empty field is null.

    Columns as `INPUT_TYPES`, for renewals with `RENEWAL_TYPES` after them.
    """
    types = INPUT_TYPES | RENEWAL_TYPES if renewals else INPUT_TYPES
    table = pa.csv.read_csv(
        pa.BufferReader(block),
        read_options=pa.csv.ReadOptions(column_names=list(types), block_size=len(block), use_threads=False),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=types,
            true_values=["t"],
            false_values=["f"],
            null_values=[""],  # by default NaN would be null too
            strings_can_be_null=False,
        ),
    )
    return table.combine_chunks().to_batches()[0]


def _features(policies: pa.RecordBatch) -> Columns:
    return {name: policies[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in FEATURES}


def _possible(features: Columns) -> npt.NDArray[np.bool_]:
    """Whether each policy is one that can exist; what is null is NaN here."""
    possible = np.ones(len(features["age"]), dtype=bool)
    for name, feature in FEATURES.items():
        values = features[name]
        above = values >= feature.minimum if feature.minimum_allowed else values > feature.minimum
        possible &= above & (values <= feature.maximum) & np.isfinite(values)
    return possible


def _reasons(policies: pa.RecordBatch, row: int) -> list[str]:
    found = []
    for name, feature in FEATURES.items():
        value = policies[name][row].as_py()
        problem = "is missing" if value is None else feature.problem_with(float(value))
        if problem:
            found.append(f"{name} {problem}" + ("" if value is None else f", got {float(value):g}"))
    return found


def _names(names: tuple[str, ...], positions: npt.NDArray[np.int8]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(positions), pa.array(names)).cast(pa.string())


def _count(names: tuple[str, ...], positions: npt.NDArray[np.int8]) -> Counter[str]:
    return Counter(dict(zip(names, np.bincount(positions, minlength=len(names)).tolist(), strict=True)))


@dataclass(frozen=True, slots=True)
class _Renewals:
    """Net premiums (cents) and classes (as positions) of a year before; NaN and -1 for policies without."""

    net: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int8]

    @classmethod
    def of(cls, policies: pa.RecordBatch) -> Self:
        net = policies["net_before"].to_numpy(zero_copy_only=False)
        column = policies["class_before"]
        # `parse` reads texts that are not there as empty ones.
        positions = [_CLASSES.index(name) if name else -1 for name in column.dictionary.to_pylist()]
        return cls(np.rint(net * 100), np.array(positions, dtype=np.int8)[column.indices.to_numpy()])

    def class_names(self) -> pa.Array:
        """The classes' names; null for policies without."""
        indices = pa.array(self.classes, mask=self.classes < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array(_CLASSES)).cast(pa.string())


def score_batch(
    plan: RatingPlan, tariff: Tariff, policies: pa.RecordBatch, renewal_cap: Decimal | None = None
) -> ScoredBatch:
    """Price policies by the model inside its experience, by the rules outside it; leave impossible ones out.

    Policies that `parse` read for renewals get columns as `WITH_RENEWALS`, and premiums that change by no more than
    `renewal_cap`.
    """
    features = _features(policies)
    possible = _possible(features)
    impossible: list[Impossible] = []
    if not possible.all():
        (left_out,) = np.nonzero(~possible)
        impossible = [Impossible(policies["policy_id"][i].as_py(), _reasons(policies, i)) for i in left_out.tolist()]
        policies = policies.filter(pa.array(possible))
        features = {name: values[possible] for name, values in features.items()}
    if not policies.num_rows:
        return ScoredBatch(b"", Totals(quarantined=len(impossible)), impossible)
    dates = policies["effective_date"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
    assessments = assess(plan, features, dates)
    probabilities = assessments.probabilities
    money = premiums(tariff, probabilities)
    predictors = (~assessments.by_model).astype(np.int8)
    totals = Totals(rows=policies.num_rows, quarantined=len(impossible))
    last_year: list[pa.Array] = []
    if "net_before" in policies.schema.names:
        before = _Renewals.of(policies)
        capped = np.zeros(policies.num_rows, dtype=bool)
        if renewal_cap is not None:
            money, capped = capped_premiums(tariff, money, before.net, renewal_cap)
        last_year = [policies["net_before"], before.class_names(), pa.array(capped)]
        totals.renewals = int((before.classes >= 0).sum())
        totals.capped = int(capped.sum())
        totals.class_changed = int(((before.classes >= 0) & (before.classes != assessments.classes)).sum())
    # In the order of OUTPUT_COLUMNS. The nearest float to a number of cents prints as exactly that number.
    columns = [
        policies["policy_id"],
        _names(PREDICTORS, predictors),
        _names(_CLASSES, assessments.classes),
        pa.array(assessments.expected_risk, from_pandas=True),
        *(pa.array(np.ascontiguousarray(probabilities[:, position])) for position in range(len(RISK_CLASSES))),
        *(pa.array(cents / 100) for cents in (money.net, money.insurance_tax, money.gross)),
        *last_year,
    ]
    content = io.BytesIO()
    pa.csv.write_csv(
        pa.record_batch(columns, names=list(WITH_RENEWALS[: len(columns)])),
        content,
        pa.csv.WriteOptions(include_header=False),
    )
    totals.by_predictor = _count(PREDICTORS, predictors)
    totals.by_class = _count(_CLASSES, assessments.classes)
    totals.net_cents, totals.gross_cents = int(money.net.sum()), int(money.gross.sum())
    totals.p_low, totals.p_high = int(probabilities[:, 0].sum()), int(probabilities[:, -1].sum())
    return ScoredBatch(content.getvalue(), totals, impossible)
