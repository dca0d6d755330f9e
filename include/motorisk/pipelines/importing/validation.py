"""Check rows of text against the import contract, a batch at a time.

Columns are converted as a whole; only the values that may be wrong are looked at one by one.
"""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from motorisk.domain.calendar import add_months
from motorisk.domain.policy import FEATURES
from motorisk.pipelines.importing.header import OPTIONAL, REQUIRED
from motorisk.pipelines.importing.splitting import Batch, Refusal
from motorisk.pipelines.importing.wording import shown

FIRST_YEAR, LAST_YEAR = 1900, 2199
_FIRST_DAY, _LAST_DAY = np.datetime64(f"{FIRST_YEAR}-01-01"), np.datetime64(f"{LAST_YEAR}-12-31")
LONGEST_ID = 200
_FLAG_WORDS = {"true": 1.0, "false": 0.0}
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CONTROL_CHARACTER = r"\p{Cc}"

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]
Flags = npt.NDArray[np.bool_]
Columns = dict[str, pa.StringArray]
Problems = defaultdict[int, list[str]]
"""Reasons by the row's position in the batch."""


@dataclass(frozen=True, slots=True)
class CheckedBatch:
    """Rows as parallel columns, of which only the `accepted` ones keep the contract, and those refused.

    `expiry_given` tells an expiry date of the file from one that was added. `risk` is NaN and `observed_on` is NaT
    where the file gives no outcome.
    """

    accepted: Flags
    lines: npt.NDArray[np.int64]
    texts: pa.StringArray
    policy_id: pa.StringArray
    customer_id: pa.StringArray
    effective_date: Days
    expiry_date: Days
    expiry_given: Flags
    features: dict[str, Floats]
    risk: Floats
    observed_on: Days
    refusals: list[Refusal]


def check(batch: Batch) -> CheckedBatch:
    """Convert a batch's columns and tell the rows that keep the contract from those that do not.

    Every problem of a row is named, not only the first.
    """
    absent = pa.array([""] * len(batch.lines), pa.string())
    columns: Columns = dict.fromkeys((*REQUIRED, *OPTIONAL), absent)
    # Spaces only: a tab or a line end inside quotes is not the space that people put beside a comma.
    columns |= {name: pc.utf8_trim(column, " ") for name, column in batch.columns.items()}
    problems: Problems = defaultdict(list)
    _check_ids("policy_id", columns, problems)
    _check_ids("customer_id", columns, problems)
    effective, expiry, expiry_given = _check_term(columns, problems)
    features = {name: _check_feature(name, columns, problems) for name in FEATURES}
    risk, observed_on = _check_outcome(columns, effective, problems)
    accepted = np.ones(len(batch.lines), np.bool_)
    accepted[list(problems)] = False
    return CheckedBatch(
        accepted=accepted,
        lines=batch.lines,
        texts=batch.texts,
        policy_id=columns["policy_id"],
        customer_id=columns["customer_id"],
        effective_date=effective,
        expiry_date=expiry,
        expiry_given=expiry_given,
        features=features,
        risk=risk,
        observed_on=observed_on,
        refusals=batch.refusals
        + [Refusal(int(batch.lines[i]), batch.texts[i].as_py(), reasons) for i, reasons in problems.items()],
    )


def _positions(mask: Flags) -> list[int]:
    positions: list[int] = np.flatnonzero(mask).tolist()
    return positions


def _given(column: pa.StringArray) -> Flags:
    given: Flags = pc.not_equal(column, "").to_numpy(zero_copy_only=False)
    return given


def _number(text: str) -> float | None:
    # Python also reads 1_000 and other scripts' digits as numbers.
    if "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _flag(text: str) -> float | None:
    word = text.lower()
    return _FLAG_WORDS[word] if word in _FLAG_WORDS else _number(text)


def _day(text: str) -> date | None:
    if not _ISO_DATE.fullmatch(text):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None


def _numbers(column: pa.StringArray, convert: Callable[[str], float | None] = _number) -> Floats:
    """The texts as numbers; NaN where there is none or it is nothing that `convert` accepts."""
    try:
        # Arrow reads fewer spellings than Python, and those alike, to the last bit.
        numbers = pc.cast(pc.replace_with_mask(column, pc.equal(column, ""), "nan"), pa.float64())
    except pa.ArrowInvalid:
        numbers = pa.array([convert(text) for text in column.to_pylist()], pa.float64()).fill_null(math.nan)
    values: Floats = numbers.to_numpy(zero_copy_only=False)
    return values


def _days(column: pa.StringArray) -> Days:
    """The texts as dates; NaT where there is none or it is not one of the contract's."""
    try:
        days = pc.cast(pc.if_else(pc.equal(column, ""), None, column), pa.date32())
    except pa.ArrowInvalid:
        days = pa.array([_day(text) for text in column.to_pylist()], pa.date32())
    values: Days = days.to_numpy(zero_copy_only=False).astype("datetime64[D]")
    return np.where((values >= _FIRST_DAY) & (values <= _LAST_DAY), values, np.datetime64("NaT"))


def id_problem(text: str) -> str | None:
    """Why a text cannot be the id of a policy or customer, or None where it can."""
    if not text:
        return "is missing"
    if len(text) > LONGEST_ID:
        return f"must have at most {LONGEST_ID} characters, got {len(text)}: {shown(text)}"
    if any(unicodedata.category(character) == "Cc" for character in text):
        return f"must not contain control characters, got {shown(text)}"
    return None


def feature_problem(name: str, text: str) -> str | None:
    """Why a text cannot be the value of a feature, or None where it can."""
    if not text:
        return "is missing"
    feature = FEATURES[name]
    number = _flag(text) if feature.is_flag else _number(text)
    if number is None:
        return f"must be {'0, 1, true or false' if feature.is_flag else 'a number'}, got {shown(text)}"
    problem = feature.problem_with(number)
    return None if problem is None else f"{problem}, got {shown(text)}"


def risk_problem(text: str) -> str | None:
    """Why a text cannot be a risk index, or None where it can."""
    number = _number(text)
    if number is None:
        return f"must be a number, got {shown(text)}"
    return None if math.isfinite(number) else f"must be a finite number, got {shown(text)}"


def _date_problem(text: str) -> str:
    if not text:
        return "is missing"
    return f"must be a date written YYYY-MM-DD of the years {FIRST_YEAR} to {LAST_YEAR}, got {shown(text)}"


def _check_ids(name: str, columns: Columns, problems: Problems) -> None:
    column = columns[name]
    suspicious = pc.or_(
        pc.match_substring_regex(column, _CONTROL_CHARACTER), pc.greater(pc.utf8_length(column), LONGEST_ID)
    )
    if name in REQUIRED:
        suspicious = pc.or_(suspicious, pc.equal(column, ""))
    for i in _positions(suspicious.to_numpy(zero_copy_only=False)):
        problems[i].append(f"{name}: {id_problem(column[i].as_py())}")


def _check_feature(name: str, columns: Columns, problems: Problems) -> Floats:
    feature, column = FEATURES[name], columns[name]
    if feature.is_flag:
        values = _numbers(column, _flag)
        suspicious = (values != 0) & (values != 1)
    else:
        values = _numbers(column)
        # The feature itself has the last word, also on its bounds.
        suspicious = ~((values > feature.minimum) & (values < feature.maximum))
    for i in _positions(suspicious):
        problem = feature_problem(name, column[i].as_py())
        if problem is not None:
            problems[i].append(f"{name}: {problem}")
    return values


def _check_term(columns: Columns, problems: Problems) -> tuple[Days, Days, Flags]:
    """Effective and expiry dates (a year later where none is given), and where the latter are given."""
    starts, ends = columns["effective_date"], columns["expiry_date"]
    effective = _days(starts)
    for i in _positions(np.isnat(effective)):
        problems[i].append(f"effective_date: {_date_problem(starts[i].as_py())}")
    given = _given(ends)
    expiry = _days(ends)
    for i in _positions(given & np.isnat(expiry)):
        problems[i].append(f"expiry_date: {_date_problem(ends[i].as_py())}")
    for i in _positions(expiry <= effective):
        problems[i].append(f"expiry_date: must be after effective_date {effective[i]}, got {expiry[i]}")
    return effective, np.where(given, expiry, _a_year_later(effective)), given


def _a_year_later(days: Days) -> Days:
    distinct, where = np.unique(days, return_inverse=True)
    later = [None if day is None else add_months(day, 12) for day in distinct.tolist()]
    return np.array(later, "datetime64[D]")[where]


def _check_outcome(columns: Columns, effective: Days, problems: Problems) -> tuple[Floats, Days]:
    risks, days = columns["risk"], columns["observed_on"]
    risk_given, day_given = _given(risks), _given(days)
    for i in _positions(risk_given & ~day_given):
        problems[i].append(f"observed_on: is missing, while risk is {shown(risks[i].as_py())}")
    for i in _positions(day_given & ~risk_given):
        problems[i].append(f"risk: is missing, while observed_on is {shown(days[i].as_py())}")
    risk = _numbers(risks)
    for i in _positions(risk_given & ~np.isfinite(risk)):
        problems[i].append(f"risk: {risk_problem(risks[i].as_py())}")
    observed_on = _days(days)
    for i in _positions(day_given & np.isnat(observed_on)):
        problems[i].append(f"observed_on: {_date_problem(days[i].as_py())}")
    for i in _positions(observed_on < effective):
        problems[i].append(f"observed_on: must not be before effective_date {effective[i]}, got {observed_on[i]}")
    return risk, observed_on
