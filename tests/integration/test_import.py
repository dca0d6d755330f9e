"""Importing files into a real Postgres."""

import gzip
import hashlib
import io
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Row, func, select, text

from motorisk.domain.calendar import add_months
from motorisk.errors import ImportRefused
from motorisk.pipelines.importing import ImportResult, import_file, import_files, splitting
from motorisk.warehouse.copying import copy_in, copy_out
from motorisk.warehouse.tables import outcome, policy, quarantined_row

HEADER = "policy_id,effective_date,training,age,emergency_braking,braking_distance,power,miles"
WITH_OUTCOME = f"{HEADER},risk,observed_on"
GOOD = "P1,2024-01-15,0,35,1,40.5,90,45.9"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policies.csv"


def write(path: Path, rows: Iterable[str | bytes], header: str = HEADER, end: str = "\n") -> Path:
    lines = [row.encode() if isinstance(row, str) else row for row in (header, *rows)]
    path.write_bytes(b"".join(line + end.encode() for line in lines))
    return path


def rows_of(engine: Engine, table: Any) -> list[Row[Any]]:
    with engine.connect() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key.columns)))


def count(engine: Engine, table: Any) -> int:
    with engine.connect() as connection:
        return connection.scalars(select(func.count()).select_from(table)).one()


def quarantine(engine: Engine) -> dict[int, list[str]]:
    return {row.line: row.reasons for row in rows_of(engine, quarantined_row)}


def counts(result: ImportResult) -> tuple[int, int, int, int, int]:
    return result.rows, result.policies, result.outcomes, result.unchanged, result.quarantined


def assert_empty(engine: Engine) -> None:
    assert [count(engine, table) for table in (policy, outcome, quarantined_row)] == [0, 0, 0]


def test_a_row_becomes_a_policy_that_runs_a_year(warehouse: Engine, file: Path) -> None:
    result = import_file(warehouse, write(file, [GOOD]))
    assert counts(result) == (1, 1, 0, 0, 0)
    assert result.source == "policies.csv"
    assert result.ignored_columns == ()
    assert result.seconds > 0
    assert rows_of(warehouse, policy) == [
        ("P1", None, date(2024, 1, 15), date(2025, 1, 15), False, 35.0, True, 40.5, 90.0, 45.9)
    ]


def test_every_optional_column_is_read_in_any_order_and_any_case(warehouse: Engine, file: Path) -> None:
    header = "Risk;OBSERVED_ON; miles ;power;braking_distance;emergency_braking;age;training;effective_date;Policy_ID"
    header += ";customer_id;expiry_date"
    write(file, ["-1.5;2025-02-01;45.9;90;40.5;true;35;FALSE;2024-01-15; P1 ;C1;2024-07-15"], header)
    assert counts(import_file(warehouse, file)) == (1, 1, 1, 0, 0)
    assert rows_of(warehouse, policy) == [
        ("P1", "C1", date(2024, 1, 15), date(2024, 7, 15), False, 35.0, True, 40.5, 90.0, 45.9)
    ]
    assert rows_of(warehouse, outcome) == [("P1", -1.5, date(2025, 2, 1))]


def test_a_policy_of_the_29th_of_february_ends_on_the_28th(warehouse: Engine, file: Path) -> None:
    import_file(warehouse, write(file, [GOOD.replace("2024-01-15", "2024-02-29")]))
    assert rows_of(warehouse, policy)[0].expiry_date == date(2025, 2, 28) == add_months(date(2024, 2, 29), 12)


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [("0", 0), ("1", 1), ("0.0", 0), ("1.0", 1), ("true", 1), ("True", 1), ("FALSE", 0), ("fAlSe", 0)],
)
def test_flags_have_several_spellings(warehouse: Engine, file: Path, spelling: str, expected: int) -> None:
    import_file(warehouse, write(file, [GOOD.replace(",0,", f",{spelling},")]))
    assert rows_of(warehouse, policy)[0].training is bool(expected)


def test_numbers_arrive_to_the_last_bit(warehouse: Engine, file: Path) -> None:
    numbers = [0.1 + 0.2, 47.34323870794144, 1e-300, 5e-324, 1.7976931348623157e308, 123456789012345.67, 1 / 3]
    rows = [f"P{i},2024-01-15,0,26.667537723387603,1,{x!r},{x!r},{x!r}" for i, x in enumerate(numbers)]
    assert import_file(warehouse, write(file, rows)).policies == len(numbers)
    stored = rows_of(warehouse, policy)
    assert {row.age for row in stored} == {26.667537723387603}
    assert [(row.braking_distance, row.power, row.miles) for row in stored] == [(x, x, x) for x in numbers]


@pytest.mark.parametrize(("end", "quote"), [("\n", ""), ("\r\n", ""), ("\r\n", '"'), ("\r", "")])
def test_all_line_ends_are_understood(warehouse: Engine, file: Path, end: str, quote: str) -> None:
    row = ",".join(f"{quote}{field}{quote}" for field in GOOD.split(","))
    write(file, [row, row.replace("P1", "P2"), row.replace("P1", "P3").replace("35", "3")], end=end)
    assert counts(import_file(warehouse, file)) == (3, 2, 0, 0, 1)
    (bad,) = rows_of(warehouse, quarantined_row)
    assert (bad.line, bad.content) == (4, row.replace("P1", "P3").replace("35", "3"))


@pytest.mark.parametrize("name", ["policies.csv.gz", "policies.csv"])
def test_a_gzip_file_is_known_by_its_name_or_content(warehouse: Engine, tmp_path: Path, name: str) -> None:
    packed = gzip.compress(f"{HEADER}\n{GOOD}\n".encode())
    (tmp_path / name).write_bytes(packed)
    assert import_file(warehouse, tmp_path / name).policies == 1


def test_a_byte_order_mark_is_no_part_of_the_header(warehouse: Engine, file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\n{GOOD}\n".encode())
    assert import_file(warehouse, file).policies == 1


def test_unknown_columns_are_named_and_ignored(warehouse: Engine, file: Path) -> None:
    write(file, [f"{GOOD},high,0,"], f"{HEADER},group_name,Group,")
    result = import_file(warehouse, file)
    assert result.ignored_columns == ("group_name", "group", "(unnamed column 11)")
    assert result.policies == 1


def test_blank_lines_are_skipped_but_counted_as_lines(warehouse: Engine, file: Path) -> None:
    file.write_text(f"\n  \n{HEADER}\n\n{GOOD}\n   \n\nP2,2024-01-15,0,3,1,40.5,90,45.9\n\n")
    assert counts(import_file(warehouse, file)) == (2, 1, 0, 0, 1)
    assert quarantine(warehouse) == {8: ["age: must be at least 15, got 3"]}


def test_quoted_fields_may_hold_delimiters_quotes_and_line_ends(warehouse: Engine, file: Path) -> None:
    write(
        file,
        [
            'P1,2024-01-15,0,35,1,40.5,90,45.9,"a note, with\nthree ""lines""\nand P9"',
            '"P2", "2024-01-15",0,3,1,40.5,90,45.9,"another\nnote"',
            '"P,3",2024-01-15,0,35,1,40.5,90,45.9,',
        ],
        f"{HEADER},note",
    )
    assert counts(import_file(warehouse, file)) == (3, 2, 0, 0, 1)
    assert [row.policy_id for row in rows_of(warehouse, policy)] == ["P,3", "P1"]
    (bad,) = rows_of(warehouse, quarantined_row)
    assert bad.line == 5
    assert bad.content == '"P2", "2024-01-15",0,3,1,40.5,90,45.9,"another\nnote"'


BAD_ROWS = {
    "P1,2024-01-15,0,young,1,40.5,90,45.9": ["age: must be a number, got young"],
    "P1,2024-01-15,0,3_5,1,40.5,90,45.9": ["age: must be a number, got 3_5"],
    "P1,2024-01-15,0,３５,1,40.5,90,45.9": ["age: must be a number, got ３５"],
    "P1,2024-01-15,0,nan,1,40.5,90,45.9": ["age: must be a finite number, got nan"],
    "P1,2024-01-15,0,35,1,40.5,inf,45.9": ["power: must be a finite number, got inf"],
    "P1,2024-01-15,0,35,1,40.5,90,-Infinity": ["miles: must be a finite number, got -Infinity"],
    "P1,2024-01-15,0,35,1,1e999,90,45.9": ["braking_distance: must be a finite number, got 1e999"],
    "P1,2024-01-15,0,3,1,40.5,90,45.9": ["age: must be at least 15, got 3"],
    "P1,2024-01-15,0,121,1,40.5,90,45.9": ["age: must be at most 120, got 121"],
    "P1,2024-01-15,0,35,1,0,90,45.9": ["braking_distance: must be greater than 0, got 0"],
    "P1,2024-01-15,0,35,1,40.5,-90,45.9": ["power: must be greater than 0, got -90"],
    "P1,2024-01-15,0,35,1,40.5,90,-0.1": ["miles: must be at least 0, got -0.1"],
    "P1,2024-01-15,2,35,1,40.5,90,45.9": ["training: must be 0 or 1, got 2"],
    "P1,2024-01-15,0,35,yes,40.5,90,45.9": ["emergency_braking: must be 0, 1, true or false, got yes"],
    "P1,2024-01-15,0,35,1,40.5,90,": ["miles: is missing"],
    "P1,2024-01-15,,35,1,40.5,90,45.9": ["training: is missing"],
    ",2024-01-15,0,35,1,40.5,90,45.9": ["policy_id: is missing"],
    "P1, ,0,35,1,40.5,90,45.9": ["effective_date: is missing"],
    "P1,15.01.2024,0,35,1,40.5,90,45.9": [
        "effective_date: must be a date written YYYY-MM-DD of the years 1900 to 2199, got 15.01.2024"
    ],
    "P1,20240115,0,35,1,40.5,90,45.9": [
        "effective_date: must be a date written YYYY-MM-DD of the years 1900 to 2199, got 20240115"
    ],
    "P1,2023-02-29,0,35,1,40.5,90,45.9": [
        "effective_date: must be a date written YYYY-MM-DD of the years 1900 to 2199, got 2023-02-29"
    ],
    "P1,1899-12-31,0,35,1,40.5,90,45.9": [
        "effective_date: must be a date written YYYY-MM-DD of the years 1900 to 2199, got 1899-12-31"
    ],
    "P1,2200-01-01,0,35,1,40.5,90,45.9": [
        "effective_date: must be a date written YYYY-MM-DD of the years 1900 to 2199, got 2200-01-01"
    ],
    f"{'P' * 201},2024-01-15,0,35,1,40.5,90,45.9": [
        f"policy_id: must have at most 200 characters, got 201: {'P' * 60}…"
    ],
    "P\x071,2024-01-15,0,35,1,40.5,90,45.9": ["policy_id: must not contain control characters, got 'P\\x071'"],
    "P\x001,2024-01-15,0,35,1,40.5,90,45.9": ["policy_id: must be UTF-8 text without NUL bytes, got 'P\\\\x001'"],
    '"P\n1",2024-01-15,0,35,1,40.5,90,45.9': ["policy_id: must not contain control characters, got 'P\\n1'"],
    "P1,2024-01-15,0,35,1,40.5,90": ["row: must have 8 fields, got 7"],
    "P1,2024-01-15,0,35,1,40,5,90,45,9": ["row: must have 8 fields, got 10"],
    'P1,"2024-01-15" x,0,35,1,40.5,90,45.9': ["row: cannot be split into fields: ',' expected after '\"'"],
    f"P1,2024-01-15,0,{'5' * 200_000},1,40.5,90,45.9": [f"age: must be a finite number, got {'5' * 60}…"],
    "P1,2024-13-15,maybe,x,1,-40.5,,45.9": [
        "effective_date: must be a date written YYYY-MM-DD of the years 1900 to 2199, got 2024-13-15",
        "training: must be 0, 1, true or false, got maybe",
        "age: must be a number, got x",
        "braking_distance: must be greater than 0, got -40.5",
        "power: is missing",
    ],
}


@pytest.mark.bad_input("import file")
@pytest.mark.parametrize(("row", "reasons"), list(BAD_ROWS.items()), ids=[row[:60] for row in BAD_ROWS])
def test_a_bad_row_is_quarantined_with_its_reasons_and_the_rest_loads(
    warehouse: Engine, file: Path, row: str, reasons: list[str]
) -> None:
    write(file, ["P0,2024-01-15,0,35,1,40.5,90,45.9", row, "P9,2024-01-15,0,35,1,40.5,90,45.9"])
    assert counts(import_file(warehouse, file)) == (3, 2, 0, 0, 1)
    assert [row.policy_id for row in rows_of(warehouse, policy)] == ["P0", "P9"]
    (bad,) = rows_of(warehouse, quarantined_row)
    assert bad.reasons == reasons
    assert (bad.line, bad.source) == (3, "policies.csv")
    assert bad.source_digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert bad.content == row.replace("\x00", r"\x00")


@pytest.mark.bad_input("import file")
@pytest.mark.parametrize(
    ("expiry", "risk", "observed_on", "reasons"),
    [
        ("2024-01-15", "", "", ["expiry_date: must be after effective_date 2024-01-15, got 2024-01-15"]),
        ("2023-01-15", "", "", ["expiry_date: must be after effective_date 2024-01-15, got 2023-01-15"]),
        (
            "soon",
            "",
            "",
            ["expiry_date: must be a date written YYYY-MM-DD of the years 1900 to 2199, got soon"],
        ),
        ("", "1.5", "", ["observed_on: is missing, while risk is 1.5"]),
        ("", "", "2025-01-15", ["risk: is missing, while observed_on is 2025-01-15"]),
        ("", "1.5", "2024-01-14", ["observed_on: must not be before effective_date 2024-01-15, got 2024-01-14"]),
        ("", "high", "2025-01-15", ["risk: must be a number, got high"]),
        ("", "nan", "2025-01-15", ["risk: must be a finite number, got nan"]),
        ("", "-inf", "2025-01-15", ["risk: must be a finite number, got -inf"]),
        (
            "",
            "1.5",
            "2025-1-15",
            ["observed_on: must be a date written YYYY-MM-DD of the years 1900 to 2199, got 2025-1-15"],
        ),
    ],
)
def test_optional_columns_are_checked_too(
    warehouse: Engine, file: Path, expiry: str, risk: str, observed_on: str, reasons: list[str]
) -> None:
    write(file, [f"{GOOD},{expiry},{risk},{observed_on}"], f"{HEADER},expiry_date,risk,observed_on")
    assert counts(import_file(warehouse, file)) == (1, 0, 0, 0, 1)
    assert quarantine(warehouse) == {2: reasons}


def test_the_bounds_themselves_are_plausible(warehouse: Engine, file: Path) -> None:
    rows = ["P1,1900-01-01,0,15,1,1e-9,1e-9,0", "P2,2199-12-31,0,120,1,40.5,90,0"]
    assert counts(import_file(warehouse, write(file, rows))) == (2, 2, 0, 0, 0)


def test_an_outcome_on_the_effective_date_is_plausible(warehouse: Engine, file: Path) -> None:
    write(file, [f"{GOOD},1.5,2024-01-15", f"{GOOD.replace('P1', 'P2')},,"], WITH_OUTCOME)
    assert counts(import_file(warehouse, file)) == (2, 2, 1, 0, 0)


@pytest.mark.bad_input("import file")
def test_bytes_that_are_not_utf8_cost_only_their_row(warehouse: Engine, file: Path) -> None:
    write(
        file,
        [f"{GOOD},Jürgen", b"P2,2024-01-15,0,35,1,40.5,90,45.9,J\xfcrgen", "P3" + GOOD[2:] + ",x"],
        f"{HEADER},note",
    )
    assert counts(import_file(warehouse, file)) == (3, 2, 0, 0, 1)
    (bad,) = rows_of(warehouse, quarantined_row)
    assert bad.reasons == [r"note: must be UTF-8 text without NUL bytes, got 'J\\xfcrgen'"]
    assert bad.content == r"P2,2024-01-15,0,35,1,40.5,90,45.9,J\xfcrgen"


@pytest.mark.bad_input("import file")
@pytest.mark.parametrize("rows_below", [1, 5_000])
def test_a_quote_that_is_never_closed_costs_only_its_row(warehouse: Engine, file: Path, rows_below: int) -> None:
    below = [f"Q{i},2024-01-15,0,35,1,40.5,90,45.9" for i in range(rows_below)]
    write(file, ['"P1,2024-01-15,0,35,1,40.5,90,45.9', *below])
    assert counts(import_file(warehouse, file)) == (rows_below + 1, rows_below, 0, 0, 1)
    assert list(quarantine(warehouse)) == [2]


@pytest.mark.bad_input("import file")
def test_of_rows_with_the_same_policy_the_first_wins(warehouse: Engine, file: Path) -> None:
    bad = GOOD.replace("35", "3")
    write(file, [bad, GOOD, GOOD.replace("35", "36"), "P2" + GOOD[2:], GOOD])
    assert counts(import_file(warehouse, file)) == (5, 2, 0, 0, 3)
    assert [row.age for row in rows_of(warehouse, policy)] == [35, 35]
    assert quarantine(warehouse) == {
        2: ["age: must be at least 15, got 3"],
        4: ["policy_id: already on line 3"],
        6: ["policy_id: already on line 3"],
    }


def test_importing_the_same_file_again_changes_nothing(warehouse: Engine, file: Path) -> None:
    bad = GOOD.replace("P1", "P2").replace("35", "3")
    write(file, [f"{GOOD},1.5,2025-01-15", f"{bad},,", f"{GOOD},,", f"{GOOD.replace('P1', 'P3')},,"], WITH_OUTCOME)
    assert counts(import_file(warehouse, file)) == (4, 2, 1, 0, 2)
    before = [rows_of(warehouse, table) for table in (policy, outcome, quarantined_row)]
    assert counts(import_file(warehouse, file)) == (4, 0, 0, 2, 2)
    assert [rows_of(warehouse, table) for table in (policy, outcome, quarantined_row)] == before


def test_the_same_rows_in_another_file_are_unchanged(warehouse: Engine, tmp_path: Path) -> None:
    import_file(warehouse, write(tmp_path / "one.csv", [GOOD]))
    write(tmp_path / "two.csv", [GOOD.replace(",35,", ",35.0,").replace(",", ";")], HEADER.replace(",", ";"))
    assert counts(import_file(warehouse, tmp_path / "two.csv")) == (1, 0, 0, 1, 0)


def test_an_outcome_may_arrive_later(warehouse: Engine, tmp_path: Path) -> None:
    other = GOOD.replace("P1", "P2")
    header = f"{WITH_OUTCOME},customer_id,expiry_date"
    first = write(tmp_path / "first.csv", [f"{GOOD},,,C1,2024-07-15", f"{other},,,,"], header)
    assert counts(import_file(warehouse, first)) == (2, 2, 0, 0, 0)
    later = write(
        tmp_path / "later.csv", [f"{GOOD},1.5,2025-01-15", f"{other},,", f"P3{GOOD[2:]},2,2025-01-16"], WITH_OUTCOME
    )
    assert counts(import_file(warehouse, later)) == (3, 1, 2, 1, 0)
    assert rows_of(warehouse, outcome) == [("P1", 1.5, date(2025, 1, 15)), ("P3", 2.0, date(2025, 1, 16))]
    assert counts(import_file(warehouse, later)) == (3, 0, 0, 3, 0)
    assert counts(import_file(warehouse, first)) == (2, 0, 0, 2, 0)


@pytest.mark.bad_input("import file")
def test_a_policy_that_is_stored_with_other_values_is_quarantined(warehouse: Engine, tmp_path: Path) -> None:
    header = f"{HEADER},customer_id,expiry_date"
    import_file(warehouse, write(tmp_path / "one.csv", [f"{GOOD},,"], header))
    changed = "P1,2024-01-16,1,35,1,40.5,95.5,45.9,C1,2024-07-15"
    assert counts(import_file(warehouse, write(tmp_path / "two.csv", [changed], header))) == (1, 0, 0, 0, 1)
    (bad,) = rows_of(warehouse, quarantined_row)
    assert bad.reasons == [
        "customer_id: the stored policy has none, got C1",
        "effective_date: the stored policy has 2024-01-15, got 2024-01-16",
        "expiry_date: the stored policy has 2025-01-15, got 2024-07-15",
        "training: the stored policy has false, got true",
        "power: the stored policy has 90, got 95.5",
    ]
    assert bad.content == changed
    assert rows_of(warehouse, policy)[0].power == 90


@pytest.mark.bad_input("import file")
def test_an_outcome_that_is_stored_with_another_value_is_quarantined(warehouse: Engine, tmp_path: Path) -> None:
    import_file(warehouse, write(tmp_path / "one.csv", [f"{GOOD},1.5,2025-01-15"], WITH_OUTCOME))
    changed = write(tmp_path / "two.csv", [f"{GOOD},2,2025-01-16"], WITH_OUTCOME)
    assert counts(import_file(warehouse, changed)) == (1, 0, 0, 0, 1)
    assert quarantine(warehouse) == {
        2: ["risk: the stored outcome has 1.5, got 2", "observed_on: the stored outcome has 2025-01-15, got 2025-01-16"]
    }
    assert rows_of(warehouse, outcome) == [("P1", 1.5, date(2025, 1, 15))]


def test_a_header_without_rows_is_an_import_of_nothing(warehouse: Engine, file: Path) -> None:
    assert counts(import_file(warehouse, write(file, []))) == (0, 0, 0, 0, 0)
    assert_empty(warehouse)


@pytest.mark.bad_input("import file")
@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_refused(warehouse: Engine, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ImportRefused, match=r"policies\.csv: the file is empty$"):
        import_file(warehouse, file)


@pytest.mark.bad_input("import file")
@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (f"{HEADER},Age,note,note", "the header names columns twice: age, note"),
        ("policy_id,effective_date,training,age,power,miles", "missing: emergency_braking, braking_distance"),
        (HEADER.replace(",", "\t"), r"missing: policy_id, .*, miles \(columns are separated by , or ;\)"),
        (HEADER.replace("age", '"age'), "the header cannot be split into fields: unexpected end of data"),
    ],
)
def test_a_header_that_breaks_the_contract_refuses_the_file(
    warehouse: Engine, file: Path, header: str, problem: str
) -> None:
    with pytest.raises(ImportRefused, match=rf"policies\.csv: .*{problem}$"):
        import_file(warehouse, write(file, [GOOD], header))
    assert_empty(warehouse)


@pytest.mark.bad_input("import file")
def test_utf16_is_refused(warehouse: Engine, file: Path) -> None:
    file.write_text(f"{HEADER}\n{GOOD}\n", encoding="utf-16")
    with pytest.raises(ImportRefused, match="the header is not UTF-8 text"):
        import_file(warehouse, file)


@pytest.mark.bad_input("import file")
def test_a_missing_file_and_a_directory_are_refused(warehouse: Engine, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"nowhere\.csv: cannot be read: No such file or directory$"):
        import_file(warehouse, tmp_path / "nowhere.csv")
    with pytest.raises(ImportRefused, match=r"cannot be read: Is a directory$"):
        import_file(warehouse, tmp_path)


def many(numbers: Sequence[int]) -> list[str]:
    return [
        f"P{i:06},{date.fromordinal(738000 + i % 900)},{i % 2},{16 + i % 80},1,40.{i},90,{i % 100}" for i in numbers
    ]


@pytest.mark.bad_input("import file")
@pytest.mark.parametrize("lost", [1, 9, 100_000])
def test_a_truncated_gzip_file_leaves_nothing(warehouse: Engine, tmp_path: Path, lost: int) -> None:
    packed = gzip.compress("\n".join([HEADER, *many(range(100_000)), GOOD.replace("35", "3")]).encode())
    (tmp_path / "cut.csv.gz").write_bytes(packed[:-lost])
    with pytest.raises(ImportRefused, match=r"cut\.csv\.gz: the gzip file is truncated; nothing was imported$"):
        import_file(warehouse, tmp_path / "cut.csv.gz")
    assert_empty(warehouse)


@pytest.mark.bad_input("import file")
@pytest.mark.parametrize("position", [1_000, -6])
def test_a_corrupt_gzip_file_leaves_nothing(warehouse: Engine, tmp_path: Path, position: int) -> None:
    packed = bytearray(gzip.compress("\n".join([HEADER, *many(range(60_000))]).encode()))
    packed[position] ^= 255
    (tmp_path / "bent.csv.gz").write_bytes(packed)
    with pytest.raises(ImportRefused, match=r"bent\.csv\.gz: the gzip file is (corrupt|truncated)"):
        import_file(warehouse, tmp_path / "bent.csv.gz")
    assert_empty(warehouse)


@pytest.mark.bad_input("import file")
def test_rubbish_behind_a_gzip_file_is_corruption(warehouse: Engine, tmp_path: Path) -> None:
    (tmp_path / "tail.csv.gz").write_bytes(gzip.compress(f"{HEADER}\n{GOOD}\n".encode()) + b"rubbish")
    with pytest.raises(ImportRefused, match=r"tail\.csv\.gz: the gzip file is corrupt"):
        import_file(warehouse, tmp_path / "tail.csv.gz")
    assert_empty(warehouse)


@pytest.mark.bad_input("import file")
def test_a_name_that_promises_gzip_must_keep_it(warehouse: Engine, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="the gzip file is corrupt"):
        import_file(warehouse, write(tmp_path / "plain.csv.gz", [GOOD]))


@pytest.mark.bad_input("import file")
def test_a_packed_file_of_endless_zeros_is_refused_early(warehouse: Engine, tmp_path: Path) -> None:
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(f"{HEADER}\n".encode() + bytes(50_000_000)))
    with pytest.raises(ImportRefused, match="a line has more than 1,048,576 bytes"):
        import_file(warehouse, tmp_path / "bomb.csv.gz")
    assert_empty(warehouse)


@pytest.mark.fault("killed while importing")
def test_a_failure_while_loading_leaves_nothing(warehouse: Engine, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the power went off")

    monkeypatch.setattr("motorisk.pipelines.importing.loading._quarantine", fail)
    with pytest.raises(RuntimeError, match="power"):
        import_file(warehouse, write(file, many(range(100))))
    assert_empty(warehouse)


def test_after_small_files_a_large_one_does_not_read_the_whole_table_for_every_outcome(
    warehouse: Engine, tmp_path: Path
) -> None:
    rows = [f"{row},1.5,2099-01-01" for row in many(range(5_120))]
    import_file(warehouse, write(tmp_path / "first.csv", rows[:60], WITH_OUTCOME))
    with warehouse.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE insurance.policy"))
    import_file(warehouse, write(tmp_path / "second.csv", rows[60:120], WITH_OUTCOME))
    result = import_file(warehouse, write(tmp_path / "third.csv", rows[120:], WITH_OUTCOME))
    assert counts(result) == (5_000, 5_000, 5_000, 0, 0)
    with warehouse.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        query = text("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'policy'")
        assert connection.scalars(query).one() < 10 * len(rows)


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_large_file_is_streamed(warehouse: Engine, tmp_path: Path, quote: str) -> None:
    rows = many(range(100_000))
    rows[70_000] = rows[70_000].replace("P070000", f"{quote}P000007{quote}")
    rows[90_000] = "junk"
    packed = gzip.compress("\n".join([HEADER, *rows]).encode(), compresslevel=1)
    (tmp_path / "large.csv.gz").write_bytes(packed)
    seen: list[int] = []
    result = import_file(warehouse, tmp_path / "large.csv.gz", seen.append)
    assert counts(result) == (100_000, 99_998, 0, 0, 2)
    assert quarantine(warehouse) == {
        70_002: ["policy_id: already on line 9"],
        90_002: ["row: must have 8 fields, got 1"],
    }
    assert sum(seen) == len(packed)
    with warehouse.connect() as connection:
        stored = connection.execute(text("SELECT count(*), sum(miles) FROM insurance.policy")).one()
    assert tuple(stored) == (99_998, sum(i % 100 for i in range(100_000) if i not in {70_000, 90_000}))


def test_rows_split_at_once_and_one_by_one_are_the_same(
    warehouse: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{row},Zoë {i}\t " for i, row in enumerate(many(range(500)))]
    file = write(tmp_path / "rows.csv", rows, f"{HEADER},customer_id")
    assert import_file(warehouse, file).policies == 0
    assert len(quarantine(warehouse)) == 500  # a tab is a control character
    file = write(tmp_path / "rows.csv", [row.replace("\t", "") for row in rows], f"{HEADER},customer_id")
    assert import_file(warehouse, file).policies == 500
    monkeypatch.setattr(splitting.RowReader, "_split_at_once", lambda *_: None)
    assert import_file(warehouse, file).unchanged == 500


@pytest.mark.fault("two at once")
def test_two_imports_of_the_same_file_at_once_do_not_double(warehouse: Engine, file: Path) -> None:
    write(
        file, [*(f"{row},1.5,2099-01-01" for row in many(range(3_000))), f"{GOOD.replace('35', '3')},,"], WITH_OUTCOME
    )
    barrier = threading.Barrier(2)

    def run(_: int) -> ImportResult:
        barrier.wait()
        return import_file(warehouse, file)

    with ThreadPoolExecutor(2) as pool:
        results = sorted(map(counts, pool.map(run, range(2))))
    assert results == [(3_001, 0, 0, 3_000, 1), (3_001, 3_000, 3_000, 0, 1)]
    assert [count(warehouse, table) for table in (policy, outcome, quarantined_row)] == [3_000, 3_000, 1]


def test_files_are_imported_one_after_the_other(warehouse: Engine, tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.csv", [GOOD]), write(tmp_path / "two.csv", [GOOD, "P2" + GOOD[2:]])
    seen: list[int] = []
    results = import_files(warehouse, [one, two], seen.append)
    assert [counts(result) for result in results] == [(1, 1, 0, 0, 0), (2, 1, 0, 1, 0)]
    assert sum(seen) == one.stat().st_size + two.stat().st_size


def test_copies_belong_to_the_transaction_of_the_connection(warehouse: Engine) -> None:
    columns = ["policy_id", "risk", "observed_on"]
    with warehouse.connect() as connection:
        connection.execute(text("CREATE TEMP TABLE copied (LIKE insurance.outcome)"))
        connection.commit()
        assert copy_in(connection, "copied", columns, io.BytesIO(b'"P%,1",0.30000000000000004,2025-01-15\n')) == 1
        connection.rollback()
        assert connection.scalar(text("SELECT count(*) FROM copied")) == 0
        connection.rollback()
        assert copy_in(connection, "copied", columns, io.BytesIO(b'"P%,1",0.30000000000000004,2025-01-15\n')) == 1
        connection.commit()
        connection.rollback()
        copied = io.BytesIO()
        query = "SELECT policy_id, risk, NULL, '' FROM copied WHERE observed_on = %(day)s AND policy_id LIKE 'P%%1'"
        assert copy_out(connection, query, {"day": date(2025, 1, 15)}, copied) == 1
        assert copied.getvalue() == b'"P%,1",0.30000000000000004,,""\n'


def test_a_schema_qualified_table_can_be_copied_into(warehouse: Engine, file: Path) -> None:
    import_file(warehouse, write(file, [GOOD]))
    with warehouse.begin() as connection:
        row = io.BytesIO(b"P1,1.5,2025-01-15\n")
        assert copy_in(connection, "insurance.outcome", ["policy_id", "risk", "observed_on"], row) == 1
    assert rows_of(warehouse, outcome) == [("P1", 1.5, date(2025, 1, 15))]
