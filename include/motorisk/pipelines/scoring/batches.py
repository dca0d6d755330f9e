"""From a block of policies as CSV to a block of scores as CSV, by Arrow and numpy alone."""

import io
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import RISK_CLASSES
from motorisk.domain.tariff import Tariff
from motorisk.scoring.pricing import Columns, assess, premiums
from motorisk.warehouse.arrow import FEATURE_TYPES

INPUT_TYPES = {"policy_id": pa.string(), "effective_date": pa.date32(), **FEATURE_TYPES}
OUTPUT_COLUMNS = (
    "policy_id", "predictor", "risk_class", "expected_risk", "p_low", "p_medium", "p_high", "net", "insurance_tax",
    "gross",
)  # fmt: skip
"""The other columns of `motorisk.score` are the same for the whole run: the work table's defaults fill them in."""

PREDICTORS = ("model", "rules")
_CLASSES = tuple(str(name) for name in RISK_CLASSES)


@dataclass(slots=True)
class Totals:
    """Counts and sums of scores; money in cents, probabilities in their units."""

    rows: int = 0
    by_predictor: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(PREDICTORS, 0)))
    by_class: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(_CLASSES, 0)))
    net_cents: int = 0
    gross_cents: int = 0
    p_low: int = 0
    p_high: int = 0

    def add(self, other: Self) -> None:
        """Count another batch in."""
        self.rows += other.rows
        self.by_predictor.update(other.by_predictor)
        self.by_class.update(other.by_class)
        self.net_cents += other.net_cents
        self.gross_cents += other.gross_cents
        self.p_low += other.p_low
        self.p_high += other.p_high


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


def parse(block: bytes) -> pa.RecordBatch:
    """Policies of a block of CSV that consists of whole rows, columns as `INPUT_TYPES`; an empty field is null."""
    table = pa.csv.read_csv(
        pa.BufferReader(block),
        read_options=pa.csv.ReadOptions(column_names=list(INPUT_TYPES), block_size=len(block), use_threads=False),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=INPUT_TYPES,
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


def score_batch(plan: RatingPlan, tariff: Tariff, policies: pa.RecordBatch) -> ScoredBatch:
    """Price policies by the model inside its experience, by the rules outside it; leave impossible ones out."""
    features = _features(policies)
    possible = _possible(features)
    impossible: list[Impossible] = []
    if not possible.all():
        (left_out,) = np.nonzero(~possible)
        impossible = [Impossible(policies["policy_id"][i].as_py(), _reasons(policies, i)) for i in left_out.tolist()]
        policies = policies.filter(pa.array(possible))
        features = {name: values[possible] for name, values in features.items()}
    if not policies.num_rows:
        return ScoredBatch(b"", Totals(), impossible)
    dates = policies["effective_date"].to_numpy(zero_copy_only=False).astype("datetime64[D]")
    assessments = assess(plan, features, dates)
    probabilities = assessments.probabilities
    money = premiums(tariff, probabilities)
    predictors = (~assessments.by_model).astype(np.int8)
    # In the order of OUTPUT_COLUMNS. The nearest float to a number of cents prints as exactly that number.
    columns = [
        policies["policy_id"],
        _names(PREDICTORS, predictors),
        _names(_CLASSES, assessments.classes),
        pa.array(assessments.expected_risk, from_pandas=True),
        *(pa.array(np.ascontiguousarray(probabilities[:, position])) for position in range(len(RISK_CLASSES))),
        *(pa.array(cents / 100) for cents in (money.net, money.insurance_tax, money.gross)),
    ]
    content = io.BytesIO()
    pa.csv.write_csv(
        pa.record_batch(columns, names=list(OUTPUT_COLUMNS)), content, pa.csv.WriteOptions(include_header=False)
    )
    totals = Totals(
        rows=policies.num_rows,
        by_predictor=_count(PREDICTORS, predictors),
        by_class=_count(_CLASSES, assessments.classes),
        net_cents=int(money.net.sum()),
        gross_cents=int(money.gross.sum()),
        p_low=int(probabilities[:, 0].sum()),
        p_high=int(probabilities[:, -1].sum()),
    )
    return ScoredBatch(content.getvalue(), totals, impossible)
