"""Snapshots: their digest, their file, and what cannot be trained on."""

import hashlib
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
import pytest

from motorisk.domain.policy import FEATURES, FLAGS, NUMBERS
from motorisk.errors import InvalidData, NotEnoughData
from motorisk.modelling.snapshot import MIN_ROWS, Snapshot, load_snapshot, snapshot_path

AS_OF = date(2025, 2, 1)
Months = Callable[..., Snapshot]


@pytest.fixture(scope="module")
def snapshot(snapshot_of_month: Months) -> Snapshot:
    return snapshot_of_month(0, 300)


def with_column(snapshot: Snapshot, name: str, values: Any) -> Snapshot:
    table = snapshot.to_table()
    return Snapshot.of_table(snapshot.as_of, table.set_column(table.column_names.index(name), name, pa.array(values)))


def equal(one: Snapshot, other: Snapshot) -> bool:
    return (
        one.as_of == other.as_of
        and one.digest == other.digest
        and one.policy_ids == other.policy_ids
        and np.array_equal(one.effective_dates, other.effective_dates)
        and np.array_equal(one.matrix(), other.matrix())
        and np.array_equal(one.risk, other.risk)
    )


# --- contents and digest ----------------------------------------------------------------------------------------------


def test_a_snapshot_is_made_of_a_table_and_gives_it_back(snapshot: Snapshot) -> None:
    assert len(snapshot) == 300
    assert equal(Snapshot.of_table(snapshot.as_of, snapshot.to_table()), snapshot)
    assert snapshot.to_table().column_names == ["policy_id", "effective_date", *FEATURES, "risk"]


def test_the_matrix_has_the_features_in_their_order(snapshot: Snapshot) -> None:
    assert snapshot.matrix().shape == (300, 6)
    for column, name in enumerate(FEATURES):
        np.testing.assert_array_equal(snapshot.matrix()[:, column], snapshot.features[name])


def test_flags_of_the_database_become_zero_and_one(snapshot: Snapshot) -> None:
    table = snapshot.to_table()
    for name in FLAGS:
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.bool_()))
    assert equal(Snapshot.of_table(snapshot.as_of, table), snapshot)
    assert set(snapshot.features["training"]) == {0.0, 1.0}


def test_the_digest_does_not_depend_on_how_the_table_was_read(snapshot: Snapshot) -> None:
    table = snapshot.to_table()
    in_pieces = pa.concat_tables([table.slice(0, 17), table.slice(17)])
    other_order = table.select(list(reversed(table.column_names)))
    more_columns = table.append_column("customer_id", table["policy_id"])
    for other in (in_pieces, other_order, more_columns):
        assert Snapshot.of_table(snapshot.as_of, other).digest == snapshot.digest


def _first_changed(values: npt.NDArray[Any], change: Any) -> npt.NDArray[Any]:
    changed = values.copy()
    changed[0] = change
    return changed


@pytest.mark.parametrize("name", FEATURES)
def test_the_last_bit_of_any_feature_changes_the_digest(snapshot: Snapshot, name: str) -> None:
    values = snapshot.features[name]
    changed = with_column(snapshot, name, _first_changed(values, np.nextafter(values[0], np.inf)))
    assert changed.digest != snapshot.digest


def test_risk_dates_ids_order_and_as_of_date_all_count_in_the_digest(snapshot: Snapshot) -> None:
    table = snapshot.to_table()
    others = [
        with_column(snapshot, "risk", _first_changed(snapshot.risk, np.nextafter(snapshot.risk[0], np.inf))),
        with_column(snapshot, "effective_date", _first_changed(snapshot.effective_dates, np.datetime64("2020-01-01"))),
        with_column(snapshot, "policy_id", ["another", *snapshot.policy_ids[1:]]),
        Snapshot.of_table(snapshot.as_of, table.take([1, 0, *range(2, len(snapshot))])),
        Snapshot.of_table(snapshot.as_of, table.slice(1)),
        Snapshot.of_table(date(2025, 2, 2), table),
        # Two features exchanged.
        Snapshot.of_table(
            snapshot.as_of,
            table.rename_columns({"age": "power", "power": "age"}),
        ),
        # The border between two ids moved.
        with_column(
            snapshot, "policy_id", [f"{snapshot.policy_ids[0]}{snapshot.policy_ids[1]}", "", *snapshot.policy_ids[2:]]
        ),
    ]
    digests = {other.digest for other in others}
    assert len(digests) == len(others)
    assert snapshot.digest not in digests


def test_the_digest_of_given_data_stays_for_ever() -> None:
    """Versions in the registry refer to it: whoever changes how it is computed orphans their snapshots."""
    table = pa.table(
        {
            "policy_id": ["P1", "Pä"],
            "effective_date": [date(2024, 1, 31), date(2024, 2, 29)],
            "training": [1.0, 0.0],
            "age": [35.5, 16.0],
            "emergency_braking": [0.0, 1.0],
            "braking_distance": [40.25, 38.0],
            "power": [90.0, 110.0],
            "miles": [45.9, 5.0],
            "risk": [-0.5, 3.25],
        }
    )
    content = b"2025-02-01" + b"P1\0P\xc3\xa4\0"
    content += np.array([19_753, 19_782], "<i8").tobytes()
    for name in (*FEATURES, "risk"):
        content += name.encode() + b"\0" + np.array(table[name].to_pylist(), "<f8").tobytes()
    expected = "42baee54fd2152e22ca70d81032327df9d1387c4b4c8c85726113e6a14104a9a"
    assert hashlib.sha256(content).hexdigest() == expected
    assert Snapshot.of_table(AS_OF, table).digest == expected


# --- files --------------------------------------------------------------------------------------------------------


def test_a_saved_snapshot_is_read_back_the_same(snapshot: Snapshot, tmp_path: Path) -> None:
    path = snapshot.save(tmp_path / "new" / "folder")
    assert path == snapshot_path(tmp_path / "new" / "folder", snapshot.digest)
    assert path.name == f"{snapshot.digest}.parquet"
    read = load_snapshot(tmp_path / "new" / "folder", snapshot.digest)
    assert read is not None
    assert equal(read, snapshot)


def test_a_snapshot_that_was_never_saved_is_none(tmp_path: Path) -> None:
    assert load_snapshot(tmp_path, "0" * 64) is None
    assert load_snapshot(tmp_path / "nowhere", "0" * 64) is None


def test_saving_again_leaves_the_file_as_it_is(snapshot: Snapshot, tmp_path: Path) -> None:
    path = snapshot.save(tmp_path)
    path.chmod(0o444)
    before = path.stat()
    assert snapshot.save(tmp_path) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_nothing_half_written_stays_beside_the_file(snapshot: Snapshot, tmp_path: Path) -> None:
    path = snapshot.save(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def _rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pa.parquet.write_table(change(pa.parquet.read_table(path)), path)


def _double_risk(table: pa.Table) -> pa.Table:
    risk = pa.array(table["risk"].to_numpy() * 2)
    return table.set_column(table.column_names.index("risk"), "risk", risk)


@pytest.mark.fault("corrupted snapshot")
@pytest.mark.parametrize(
    "change",
    [
        _double_risk,
        lambda table: table.slice(1),
        lambda table: table.take(list(reversed(range(len(table))))),
        lambda table: table.replace_schema_metadata({"as_of": "2025-02-02"}),
    ],
    ids=["risk", "row missing", "order", "as-of date"],
)
def test_an_altered_snapshot_is_refused(
    snapshot: Snapshot, tmp_path: Path, change: Callable[[pa.Table], pa.Table]
) -> None:
    path = snapshot.save(tmp_path)
    _rewrite(path, change)
    with pytest.raises(InvalidData, match="not what was trained on: its digest differs") as refusal:
        load_snapshot(tmp_path, snapshot.digest)
    assert str(path) in str(refusal.value)


@pytest.mark.fault("corrupted snapshot")
def test_a_snapshot_under_anothers_name_is_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    snapshot.save(tmp_path).rename(snapshot_path(tmp_path, "0" * 64))
    with pytest.raises(InvalidData, match="its digest differs"):
        load_snapshot(tmp_path, "0" * 64)


@pytest.mark.fault("corrupted snapshot")
@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.replace_schema_metadata(None),
        lambda table: table.replace_schema_metadata({"as_of": "yesterday"}),
        lambda table: table.replace_schema_metadata({"as_of": b"\xff"}),
        lambda table: table.drop_columns(["power"]),
        lambda table: table.drop_columns(["policy_id"]),
        lambda table: table.set_column(3, "age", pa.array(["old"] * len(table))),
        lambda table: table.set_column(3, "age", pa.array([[35.0]] * len(table))),
    ],
    ids=["no as-of date", "no date", "no text", "no power", "no ids", "words for numbers", "lists for numbers"],
)
def test_a_file_of_another_shape_is_refused(
    snapshot: Snapshot, tmp_path: Path, change: Callable[[pa.Table], pa.Table]
) -> None:
    path = snapshot.save(tmp_path)
    _rewrite(path, change)
    with pytest.raises(InvalidData, match=re.escape(f"the snapshot {path} cannot be read")):
        load_snapshot(tmp_path, snapshot.digest)


@pytest.mark.fault("corrupted snapshot")
@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", b"PAR1" * 100])
def test_a_file_that_is_no_parquet_is_refused(snapshot: Snapshot, tmp_path: Path, content: bytes) -> None:
    path = snapshot.save(tmp_path)
    path.write_bytes(content)
    with pytest.raises(InvalidData, match=re.escape(f"the snapshot {path} cannot be read")):
        load_snapshot(tmp_path, snapshot.digest)


@pytest.mark.fault("corrupted snapshot")
def test_a_file_cut_short_is_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    path = snapshot.save(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InvalidData, match="cannot be read"):
        load_snapshot(tmp_path, snapshot.digest)


@pytest.mark.fault("corrupted snapshot")
@pytest.mark.parametrize("ids", [lambda size: list(range(size)), lambda size: [None] * size], ids=["numbers", "nulls"])
def test_a_file_whose_ids_are_no_text_is_refused(
    snapshot: Snapshot, tmp_path: Path, ids: Callable[[int], list[Any]]
) -> None:
    path = snapshot.save(tmp_path)
    _rewrite(path, lambda table: table.set_column(0, "policy_id", pa.array(ids(len(table)))))
    with pytest.raises(InvalidData, match="cannot be read"):
        load_snapshot(tmp_path, snapshot.digest)


# --- what can be trained on -------------------------------------------------------------------------------------------


def test_as_many_policies_as_the_least_are_enough(snapshot: Snapshot) -> None:
    Snapshot.of_table(AS_OF, snapshot.to_table().slice(0, MIN_ROWS)).require_trainable()


@pytest.mark.bad_input("training data")
@pytest.mark.parametrize("rows", [0, 1, MIN_ROWS - 1])
def test_too_few_policies_are_refused_with_their_number_and_the_date(snapshot: Snapshot, rows: int) -> None:
    few = Snapshot.of_table(AS_OF, snapshot.to_table().slice(0, rows))
    with pytest.raises(NotEnoughData) as refusal:
        few.require_trainable()
    assert str(refusal.value) == (
        f"as of 2025-02-01 only {rows} policies have an observed outcome, at least 200 are needed"
    )


@pytest.mark.bad_input("training data")
def test_a_policy_that_stands_twice_is_refused(snapshot: Snapshot) -> None:
    table = snapshot.to_table()
    twice = Snapshot.of_table(AS_OF, pa.concat_tables([table, table.slice(3, 1)]))
    with pytest.raises(InvalidData, match="holds a policy twice"):
        twice.require_trainable()


@pytest.mark.bad_input("training data")
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_never_varies_is_refused_by_its_name(snapshot: Snapshot, name: str) -> None:
    constant = with_column(snapshot, name, np.full(len(snapshot), 40.5))
    with pytest.raises(InvalidData) as refusal:
        constant.require_trainable()
    assert str(refusal.value) == f"{name} is 40.5 in every policy of the snapshot: nothing can be learnt"


@pytest.mark.bad_input("training data")
@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_that_never_varies_is_refused_by_its_name(snapshot: Snapshot, name: str) -> None:
    with pytest.raises(InvalidData, match=f"{name} is 0 in every policy"):
        with_column(snapshot, name, np.zeros(len(snapshot))).require_trainable()


@pytest.mark.bad_input("training data")
def test_outcomes_that_never_vary_are_refused(snapshot: Snapshot) -> None:
    with pytest.raises(InvalidData, match="risk"):
        with_column(snapshot, "risk", np.full(len(snapshot), 2.0)).require_trainable()


@pytest.mark.bad_input("training data")
@pytest.mark.parametrize("name", ["risk", *NUMBERS])
def test_what_is_not_a_finite_number_is_refused_by_its_name(snapshot: Snapshot, name: str) -> None:
    values = snapshot.risk if name == "risk" else snapshot.features[name]
    with pytest.raises(InvalidData, match=name):
        with_column(snapshot, name, _first_changed(values, np.nan)).require_trainable()
