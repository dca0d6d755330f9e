"""The parts of the import that need no database."""

import gzip
import hashlib
import math
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from motorisk.domain.policy import FEATURES
from motorisk.errors import ImportRefused
from motorisk.pipelines.importing import splitting
from motorisk.pipelines.importing.header import parse_header
from motorisk.pipelines.importing.reading import open_lines
from motorisk.pipelines.importing.splitting import Batch, Refusal, RowReader
from motorisk.pipelines.importing.validation import CheckedBatch, check, feature_problem, id_problem, risk_problem
from motorisk.pipelines.importing.wording import shown, storable

GOOD = {
    "policy_id": "P1",
    "effective_date": "2024-01-15",
    "training": "0",
    "age": "35",
    "emergency_braking": "1",
    "braking_distance": "40.5",
    "power": "90",
    "miles": "45.9",
}
HEADER = list(GOOD)
NUMBER_LIKE = st.one_of(
    st.floats().map(repr),
    st.decimals().map(str),
    st.text("0123456789.+-eE_ \tinfaxp０", max_size=8),
    st.text(max_size=4),
)
DATE_LIKE = st.one_of(
    st.dates().map(date.isoformat),
    st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z"),
    st.text("0123456789-TW: ", max_size=11),
)


def batch(*rows: dict[str, str]) -> Batch:
    names = dict.fromkeys(name for row in rows for name in row)
    return Batch(
        lines=np.arange(2, len(rows) + 2),
        texts=pa.array([",".join(row.values()) for row in rows], pa.string()),
        columns={name: pa.array([row.get(name, "") for row in rows], pa.string()) for name in names},
        refusals=[],
    )


def check_one(**fields: str) -> CheckedBatch:
    return check(batch(GOOD | fields))


def reasons(**fields: str) -> list[str]:
    return [reason for refusal in check_one(**fields).refusals for reason in refusal.reasons]


def read(path: Path) -> tuple[RowReader, list[Batch]]:
    with open_lines(path) as lines:
        reader = RowReader(lines)
        return reader, list(reader.batches())


def test_the_header_is_found_in_any_order_case_and_spacing() -> None:
    header = parse_header([" Note", *(f"{name.upper()} " for name in reversed(HEADER)), "RISK"], "f.csv")
    assert header.positions == {**{name: i for i, name in enumerate(reversed(HEADER), start=1)}, "risk": 9}
    assert header.ignored == ("note",)


def test_columns_without_a_name_are_numbered() -> None:
    assert parse_header(["", *HEADER, " "], "f.csv").ignored == ("(unnamed column 1)", "(unnamed column 10)")


@pytest.mark.bad_input("import file")
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([*HEADER, "AGE", "x", "X "], "f.csv: the header names columns twice: age, x"),
        (HEADER[2:], "f.csv: required columns are missing: policy_id, effective_date"),
        (["a\tb"], f"f.csv: required columns are missing: {', '.join(HEADER)} (columns are separated by , or ;)"),
    ],
)
def test_a_header_that_breaks_the_contract_is_refused(fields: list[str], message: str) -> None:
    with pytest.raises(ImportRefused) as caught:
        parse_header(fields, "f.csv")
    assert str(caught.value) == message


def test_a_good_row_is_converted() -> None:
    checked = check_one(risk="-1.5", observed_on="2025-01-15", customer_id=" C1 ")
    assert checked.accepted.tolist() == [True]
    assert checked.refusals == []
    assert {name: values.tolist() for name, values in checked.features.items()} == {
        "training": [0.0],
        "age": [35.0],
        "emergency_braking": [1.0],
        "braking_distance": [40.5],
        "power": [90.0],
        "miles": [45.9],
    }
    assert checked.customer_id.to_pylist() == ["C1"]
    assert checked.effective_date.tolist() == [date(2024, 1, 15)]
    assert checked.expiry_date.tolist() == [date(2025, 1, 15)]
    assert checked.expiry_given.tolist() == [False]
    assert checked.risk.tolist() == [-1.5]
    assert checked.observed_on.tolist() == [date(2025, 1, 15)]


def test_what_is_left_out_is_not_a_number_and_not_a_time() -> None:
    checked = check_one()
    assert checked.accepted.all()
    assert np.isnan(checked.risk).all()
    assert np.isnat(checked.observed_on).all()


def test_an_expiry_date_of_the_file_is_kept() -> None:
    checked = check_one(expiry_date="2024-01-16")
    assert checked.expiry_date.tolist() == [date(2024, 1, 16)]
    assert checked.expiry_given.tolist() == [True]


@pytest.mark.bad_input("import file")
def test_every_problem_of_a_row_is_named_and_other_rows_are_accepted() -> None:
    checked = check(batch(GOOD, GOOD | {"age": "3", "power": "x", "training": ""}, GOOD))
    assert checked.accepted.tolist() == [True, False, True]
    assert checked.refusals == [
        Refusal(
            3,
            "P1,2024-01-15,,3,1,40.5,x,45.9",
            ["training: is missing", "age: must be at least 15, got 3", "power: must be a number, got x"],
        )
    ]


def test_the_rows_that_could_not_be_split_are_kept() -> None:
    refusal = Refusal(9, "junk", ["row: must have 8 fields, got 1"])
    rows = batch(GOOD)
    checked = check(Batch(rows.lines, rows.texts, rows.columns, [refusal]))
    assert checked.refusals == [refusal]


def test_an_empty_batch_is_accepted() -> None:
    checked = check(Batch(np.array([], np.int64), pa.array([], pa.string()), {}, []))
    assert len(checked.accepted) == 0


@pytest.mark.bad_input("import file")
@pytest.mark.parametrize("name", FEATURES)
@given(text=NUMBER_LIKE)
def test_a_feature_is_accepted_just_where_no_problem_is_named(name: str, text: str) -> None:
    stripped = text.strip(" ")
    problem = feature_problem(name, stripped)
    checked = check_one(**{name: text})
    assert [reason for refusal in checked.refusals for reason in refusal.reasons] == (
        [] if problem is None else [f"{name}: {problem}"]
    )
    if problem is None:
        words = {"true": 1.0, "false": 0.0}
        assert checked.features[name][0] == (words[stripped.lower()] if stripped.lower() in words else float(stripped))


@pytest.mark.bad_input("import file")
@given(text=NUMBER_LIKE)
def test_a_risk_is_accepted_just_where_no_problem_is_named(text: str) -> None:
    stripped = text.strip(" ")
    checked = check_one(risk=text, observed_on="2025-01-15")
    expected = "is missing, while observed_on is 2025-01-15" if not stripped else risk_problem(stripped)
    assert [reason for refusal in checked.refusals for reason in refusal.reasons] == (
        [] if expected is None else [f"risk: {expected}"]
    )
    if expected is None:
        assert checked.risk[0] == float(stripped)
        assert math.isfinite(checked.risk[0])


@pytest.mark.bad_input("import file")
@given(text=DATE_LIKE, company=st.sampled_from(["2024-01-15", "nonsense"]))
def test_only_iso_dates_of_the_contracts_years_are_accepted(text: str, company: str) -> None:
    stripped = text.strip(" ")
    try:
        day = date.fromisoformat(stripped) if len(stripped) == 10 and "W" not in stripped else None
    except ValueError:
        day = None
    plausible = day is not None and 1900 <= day.year <= 2199
    # A neighbour that is no date takes the slower way of conversion, with the same result.
    checked = check(batch(GOOD | {"effective_date": text}, GOOD | {"effective_date": company}))
    assert bool(checked.accepted[0]) is plausible
    if plausible:
        assert checked.effective_date.tolist()[0] == day


@pytest.mark.bad_input("import file")
@given(st.text(max_size=205))
def test_an_id_is_accepted_just_where_no_problem_is_named(text: str) -> None:
    problem = id_problem(text.strip(" "))
    assert reasons(policy_id=text) == ([] if problem is None else [f"policy_id: {problem}"])


def test_ids_may_be_200_characters_long_in_any_script() -> None:
    assert reasons(policy_id="ß" * 200, customer_id="語" * 200) == []
    assert reasons(customer_id="語" * 201) == [f"customer_id: must have at most 200 characters, got 201: {'語' * 60}…"]
    assert reasons(customer_id="C\x851") == ["customer_id: must not contain control characters, got 'C\\x851'"]


def split(path: Path, *, at_once: bool, block_bytes: int) -> tuple[list[tuple[str, ...]], list[Refusal]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("motorisk.pipelines.importing.reading.BLOCK_BYTES", block_bytes)
        if not at_once:
            patch.setattr(splitting.RowReader, "_split_at_once", lambda *_: None)
        _, batches = read(path)
    rows = []
    for batch in batches:
        columns = [[value.strip(" ") for value in batch.columns[name].to_pylist()] for name in HEADER]
        rows += list(zip(map(str, batch.lines), batch.texts.to_pylist(), *columns, strict=True))
    return rows, [refusal for batch in batches for refusal in batch.refusals]


@given(
    rows=st.lists(
        st.lists(st.text("aé7 ,;\"'\n\r\t\0\ufeff", max_size=3), min_size=8, max_size=9), min_size=1, max_size=6
    ),
    block_bytes=st.integers(1, 40),
)
@example(rows=[["\ufeff"] + [""] * 7], block_bytes=1)
@example(rows=[[""] * 8, ["\n"] + [""] * 7], block_bytes=31)
def test_any_file_is_split_the_same_at_once_and_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], block_bytes: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "split.csv"
    path.write_text("\n".join([",".join(HEADER), *(",".join(row) for row in rows)]), encoding="utf-8", newline="")
    expected = split(path, at_once=False, block_bytes=1 << 20)
    assert split(path, at_once=True, block_bytes=1 << 20) == expected
    assert split(path, at_once=True, block_bytes=block_bytes) == expected
    assert split(path, at_once=False, block_bytes=block_bytes) == expected


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("at_once", [True, False])
def test_the_last_row_needs_no_line_end(tmp_path: Path, end: str, at_once: bool) -> None:
    row = ",".join(GOOD.values())
    for count in (0, 1, 2):
        content = "\n".join([",".join(HEADER), *[row] * count]) + end
        (tmp_path / "few.csv").write_text(content, newline="")
        rows, refusals = split(tmp_path / "few.csv", at_once=at_once, block_bytes=1 << 20)
        assert rows == [(str(line), row, *GOOD.values()) for line in range(2, 2 + count)]
        assert refusals == []


def test_the_digest_is_that_of_the_files_bytes(tmp_path: Path) -> None:
    packed = gzip.compress((",".join(HEADER) + "\n" + ",".join(GOOD.values())).encode())
    (tmp_path / "one.csv.gz").write_bytes(packed)
    with open_lines(tmp_path / "one.csv.gz") as lines:
        assert sum(batch.rows for batch in RowReader(lines).batches()) == 1
    assert lines.digest == hashlib.sha256(packed).hexdigest()


@pytest.mark.bad_input("import file")
def test_a_row_that_never_ends_is_refused(tmp_path: Path) -> None:
    endless = "\n".join([",".join(HEADER), 'a,"x', *['b","x'] * 200_000])
    (tmp_path / "endless.csv").write_text(endless)
    with pytest.raises(ImportRefused, match=r"endless\.csv: the row on line 2 has more than 1,048,576 bytes$"):
        read(tmp_path / "endless.csv")


@pytest.mark.bad_input("import file")
def test_what_postgres_cannot_store_is_written_out() -> None:
    assert storable("a\0b\udcffß") == r"a\x00b\xffß"


def test_reasons_quote_texts_on_one_line_and_not_too_long() -> None:
    assert shown("3") == "3"
    assert shown("a\nb") == r"'a\nb'"
    assert shown("a ") == "'a '"
    assert shown("x" * 61) == "x" * 60 + "…"
