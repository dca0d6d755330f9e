"""Whatever a file holds: it is refused in one line, or every row of it is loaded or quarantined, and once is enough."""

import gzip
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select, text

from motorisk.domain.policy import FEATURES
from motorisk.errors import ImportRefused
from motorisk.pipelines.importing import ImportResult, import_file
from motorisk.warehouse.tables import outcome, policy, quarantined_row

# Each example is a file imported twice into a real database.
FEWER = settings(
    max_examples=max(10, settings.default.max_examples // 3),
    # The database is one for all examples; each begins with emptying it.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

REQUIRED = ("policy_id", "effective_date", *FEATURES)
OPTIONAL = ("customer_id", "expiry_date", "risk", "observed_on", "note")
GOOD: dict[str, Sequence[str]] = {
    "policy_id": ["P1", "P2", "P3", "ü", "p1"],
    "effective_date": ["2024-01-15", "2024-02-29"],
    "training": ["0", "1", "true", "FALSE"],
    "age": ["15", "35", "120", "41.5"],
    "emergency_braking": ["0", "1"],
    "braking_distance": ["40.5", "1e1"],
    "power": ["90"],
    "miles": ["0", "45.9"],
    "customer_id": ["", "C1"],
    "expiry_date": ["", "2025-06-30"],
    "risk": ["", "-1.5", "3"],
    "observed_on": ["", "2025-01-15"],
    "note": ["", "a note"],
}
NASTY = [
    "", " ", "NaN", "inf", "-1", "1e999", "0x10", "３", "14.999", "120.001", "1" * 400, "2024-02-30", "0000-01-01",
    "\\N", "\\.", "null", '"', '""', "'", "a\tb", "a\\b", "\x00", "\x1a", "\ufeff", "\ud7ff", "é" * 300, "=1+1",
    "'; --", ",", ";", "\n", "\r", "a\r\nb", "\u2028", "\x85",
]  # fmt: skip


@st.composite
def _fields(draw: st.DrawFn, name: str) -> str:
    usual = st.sampled_from(GOOD[name])
    return draw(st.one_of(usual, usual, usual, usual, st.sampled_from(NASTY), st.text(max_size=6)))


@st.composite
def _files(draw: st.DrawFn) -> bytes:
    """Files of the contract's kind with anything in them: fields, ends of lines, quotes, broken text, packed or not."""
    optional = draw(st.lists(st.sampled_from(OPTIONAL), unique=True))
    header = draw(st.permutations([*REQUIRED, *optional]))
    delimiter, end = draw(st.sampled_from(",;")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quoting = draw(st.sampled_from(["never", "always", "where needed"]))

    def written(field: str) -> str:
        is_special = any(character in field for character in '",;\r\n')
        if quoting == "always" or (quoting == "where needed" and is_special):
            return '"' + field.replace('"', '""') + '"'
        return field

    rows = draw(st.lists(st.tuples(*[_fields(name) for name in header]), max_size=12))
    lines = [delimiter.join(header), *(delimiter.join(map(written, row)) for row in rows)]
    lines += draw(st.lists(st.sampled_from(["", "  ", "junk", delimiter * 3, '"open']), max_size=2))
    content = (end.join(lines) + draw(st.sampled_from(["", end]))).encode("utf-8", "surrogatepass")
    position = draw(st.integers(0, len(content)))
    content = (
        content[:position]
        + draw(st.sampled_from([b"", b"", b"", b"\xff", b"\x00", b"\xed\xa0\x80"]))
        + content[position:]
    )
    return gzip.compress(content, mtime=0) if draw(st.booleans()) else content


def stored(engine: Engine) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return {
            table.name: list(connection.execute(select(table).order_by(*table.primary_key.columns)))
            for table in (policy, outcome, quarantined_row)
        }


def count(engine: Engine, table: Any) -> int:
    with engine.connect() as connection:
        return connection.scalars(select(func.count()).select_from(table)).one()


def import_into_empty(engine: Engine, path: Path, content: bytes) -> ImportResult | str:
    """What the import says, or the one line in which it is refused."""
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE insurance.policy, insurance.outcome, motorisk.quarantined_row CASCADE"))
    path.write_bytes(content)
    try:
        return import_file(engine, path)
    except ImportRefused as refused:
        return str(refused)


def check(engine: Engine, path: Path, content: bytes) -> ImportResult | str:
    found = import_into_empty(engine, path, content)
    if isinstance(found, str):
        assert path.name in found
        assert "\n" not in found.strip()
        assert [count(engine, table) for table in (policy, outcome, quarantined_row)] == [0, 0, 0]
        return found
    assert found.policies + found.unchanged + found.quarantined == found.rows
    assert count(engine, policy) == found.policies
    assert count(engine, outcome) == found.outcomes
    assert count(engine, quarantined_row) == found.quarantined

    before = stored(engine)
    again = import_file(engine, path)
    assert stored(engine) == before
    loaded = found.policies + found.unchanged
    assert replace(again, seconds=found.seconds) == replace(found, policies=0, outcomes=0, unchanged=loaded)
    return found


@FEWER
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=100).map(lambda content: gzip.compress(content, mtime=0)),
        st.text().map(str.encode),
    )
)
def test_any_bytes_are_refused_or_imported(warehouse: Engine, tmp_path: Path, content: bytes) -> None:
    check(warehouse, tmp_path / "policies.csv", content)


@FEWER
@given(content=_files())
def test_every_row_of_any_file_is_loaded_or_quarantined_and_a_second_time_changes_nothing(
    warehouse: Engine, tmp_path: Path, content: bytes
) -> None:
    check(warehouse, tmp_path / "policies.csv", content)


def test_what_this_file_calls_good_is_loaded(warehouse: Engine, tmp_path: Path) -> None:
    """So that the properties above are not about quarantine alone."""
    names = list(GOOD)
    row = ",".join(GOOD[name][-1] for name in names)
    found = check(warehouse, tmp_path / "policies.csv", f"{','.join(names)}\n{row}\n".encode())
    assert isinstance(found, ImportResult)
    assert (found.policies, found.outcomes, found.quarantined) == (1, 1, 0)
