"""An erased customer is nowhere, and every figure, seal and replay is as before."""

import csv
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, event, insert, select, text
from sqlalchemy.exc import ProgrammingError

from motorisk.domain.policy import FEATURES
from motorisk.domain.pseudonym import pseudonym
from motorisk.errors import UnknownCustomer
from motorisk.modelling.snapshot import extract_snapshot
from motorisk.pipelines.audit.sealing import seal_quotes
from motorisk.pipelines.audit.verifying import verify_audit
from motorisk.pipelines.erasing import erase_customer
from motorisk.pipelines.export import COLUMNS, export_policies
from motorisk.pipelines.importing import import_file
from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.scoring.retention import archive_scores
from motorisk.registry import transitions
from motorisk.warehouse.tables import erased_reference, erasure, policy, quote, quote_seal

KEY = "a key of pseudonyms, long enough to be one"
HEADER = (
    "policy_id,customer_id,effective_date,training,age,emergency_braking,braking_distance,power,miles,risk,"
    "observed_on\n"
)
NIGHT = date(2024, 3, 31)
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def insurer(warehouse: Engine, offer: Callable[..., int], tmp_path: Path) -> Engine:
    """Six policies of three customers, scored and one night of it archived; quotes that name them; a refused line."""
    rows = [
        f"P-{number},C-{number % 3},2024-01-1{number},0,{30 + number},1,40.5,90,20,1.{number},2024-03-0{number + 1}"
        for number in range(6)
    ]
    file = tmp_path / "policies.csv"
    file.write_text(
        HEADER + "\n".join([*rows, "P-9,C-1,2024-01-15,0,3,1,40,90,20,,", "P-8,C-2,2024-01-15,0,3,1,40,90,20,,"])
    )
    assert import_file(warehouse, file).policies == 6
    version = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, version, by="uma")
    score_portfolio(warehouse, NIGHT)
    archive_scores(warehouse, NIGHT, tmp_path / "archive")
    score_portfolio(warehouse, NIGHT + timedelta(days=1))
    features = {name: feature.is_flag or 40.1 for name, feature in FEATURES.items()}
    quotes = [
        {
            "quoted_at": YESTERDAY + timedelta(hours=number % 2),
            "quote_id": uuid4(),
            "channel": "mock",
            "reference": reference,
            "effective_date": NIGHT,
            **features,
        }
        for number, reference in enumerate(["C-1", "P-1", "P-4", "C-2", None, "C-11"])
    ]
    with warehouse.begin() as connection:
        connection.execute(insert(quote), quotes)
    return warehouse


def _everywhere(engine: Engine, needle: str) -> set[str]:
    """Tables of which a row, as text, holds a word."""
    found = set()
    with engine.connect() as connection:
        tables = text(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace IN ('insurance'::regnamespace, 'motorisk'::regnamespace)"
        )
        for name in connection.scalars(tables).all():
            holds = text(f"SELECT count(*) FROM {name} AS t WHERE t::text ~ :word")
            if connection.scalar(holds, {"word": rf"\y{needle}\y"}):
                found.add(name)
    return found


def test_an_erased_customer_is_nowhere_and_every_figure_stays(insurer: Engine, tmp_path: Path) -> None:
    figures = text(
        "SELECT (SELECT array_agg(x ORDER BY x) FROM (SELECT age || ' ' || risk AS x FROM insurance.policy JOIN "
        "insurance.outcome USING (policy_id)) AS t), (SELECT array_agg(net ORDER BY net) FROM motorisk.score), "
        "(SELECT array_agg(q ORDER BY quote_id) FROM (SELECT quote_id, age, miles, net FROM motorisk.quote) AS q)::text"
    )
    with insurer.connect() as connection:
        before = connection.execute(figures).one()
    assert len(_everywhere(insurer, "P-1")) >= 4
    done = erase_customer(
        insurer, "C-1", by="dpo", archive=tmp_path / "archive", comment="asked by letter",
        subject=pseudonym(KEY, "customer", "C-1"),
    )  # fmt: skip
    told = done.erased
    assert (told.policies, told.outcomes, told.scores, told.quotes, told.quarantined, told.archives) == (
        2,
        2,
        2,
        3,
        1,
        1,
    )
    for name in ("C-1", "P-1", "P-4", "P-9"):
        assert _everywhere(insurer, name) == set(), name
    assert "insurance.policy" in _everywhere(insurer, "C-2")
    with insurer.connect() as connection:
        assert connection.execute(figures).one() == before
        assert connection.scalar(select(erasure.c.erased_by)) == "dpo"
        assert connection.scalar(text("SELECT count(*) FROM motorisk.quote WHERE reference IS NULL")) == 4
        assert len(extract_snapshot(connection, NIGHT, 3).policy_ids) == 6
    archived = b"".join(file.read_bytes() for file in (tmp_path / "archive").iterdir())
    assert b"P-4" not in archived
    run = verify_audit(insurer)
    assert run.is_intact, run.findings
    assert (run.quotes, run.erased) == (6, 3)
    with pytest.raises(UnknownCustomer, match="unknown, or erased before"):
        erase_customer(insurer, "C-1", by="dpo", archive=tmp_path / "archive")
    assert seal_quotes(insurer).quotes == 0


@pytest.mark.fault("a customer gets a quote while being erased")
def test_archived_scores_and_policies_have_the_same_new_ids_where_erasing_began_twice(
    insurer: Engine, tmp_path: Path
) -> None:
    features = {name: feature.is_flag or 40.1 for name, feature in FEATURES.items()}
    rest = {"channel": "mock", "reference": "P-4", "effective_date": NIGHT}
    coming = [{"quoted_at": YESTERDAY, "quote_id": uuid4(), **rest, **features}]

    def quote_in_between(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if coming and "FROM insurance.policy" in statement:
            with insurer.begin() as other:
                other.execute(insert(quote), coming.pop())

    event.listen(insurer, "after_cursor_execute", quote_in_between)
    try:
        done = erase_customer(insurer, "C-1", by="dpo", archive=tmp_path / "archive")
    finally:
        event.remove(insurer, "after_cursor_execute", quote_in_between)
    assert (done.erased.quotes, done.erased.archives) == (4, 1)
    (archived,) = (tmp_path / "archive").iterdir()
    with insurer.connect() as connection:
        policies = set(connection.scalars(select(policy.c.policy_id)))
    assert set(pq.read_table(archived)["policy_id"].to_pylist()) == policies


def test_what_is_left_of_a_reference_tells_nobody_what_it_was(insurer: Engine, tmp_path: Path) -> None:
    seal_quotes(insurer)
    with insurer.connect() as connection:
        salts = {row.seal_id: row.salts for row in connection.execute(select(quote_seal))}
    erase_customer(insurer, "C-1", by="dpo", archive=tmp_path / "archive")
    with insurer.connect() as connection:
        left = [row.salts for row in connection.execute(select(quote_seal))]
        commitments = connection.scalars(select(erased_reference.c.commitment)).all()
    gone = {salt[i : i + 16] for salt in salts.values() for i in range(0, len(salt), 16)} - {
        salt[i : i + 16] for salt in left for i in range(0, len(salt), 16)
    }
    assert len(gone) == len(set(commitments)) == 3


def test_an_erased_quote_that_is_changed_later_is_still_found(insurer: Engine, tmp_path: Path) -> None:
    erase_customer(insurer, "C-1", by="dpo", archive=tmp_path / "archive")
    with insurer.begin() as connection:
        quote_id = connection.scalar(select(erased_reference.c.quote_id).limit(1))
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE motorisk.quote SET age = 20 WHERE quote_id = :id"), {"id": quote_id})
    (finding,) = verify_audit(insurer).findings
    assert finding.what == "changed"
    assert str(quote_id) in finding.where


def test_the_ledger_lets_no_reference_go_without_a_record_of_it(insurer: Engine) -> None:
    for change in ("reference = NULL", "reference = 'other'", "age = 20"):
        with pytest.raises(ProgrammingError, match="append-only"), insurer.begin() as connection:
            connection.execute(text(f"UPDATE motorisk.quote SET {change} WHERE reference = 'C-2'"))


def test_an_export_has_stable_pseudonyms_and_what_was_known(insurer: Engine, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.csv", "two.csv", "other.csv")]
    for file, key in zip(files, (KEY, KEY, KEY.upper()), strict=True):
        assert export_policies(insurer, file, date(2024, 3, 3), key).rows == 6
    one, two, other = (file.read_text() for file in files)
    assert one == two
    assert not any(f"{kind}-{number}" in one for kind in "CP" for number in range(10))
    rows = list(csv.DictReader(one.splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert {row["customer"] for row in rows} == {pseudonym(KEY, "customer", name) for name in ("C-0", "C-1", "C-2")}
    assert sum(bool(row["risk"]) for row in rows) == 3, "outcomes observed later are not known"
    assert not {row["customer"] for row in rows} & {row["customer"] for row in csv.DictReader(other.splitlines())}


def test_the_commands_tell_what_they_did(
    insurer: Engine, server_environment: dict[str, str], command: Callable[..., Any], tmp_path: Path
) -> None:
    def motorisk(*arguments: str, **environment: str) -> Any:
        archive = {"MOTORISK_SCORE_ARCHIVE": str(tmp_path / "archive")}
        return command({**server_environment, **archive, **environment}, *arguments)

    file = tmp_path / "out.csv.gz"
    done = motorisk("export", str(file), "--as-of", "2024-03-31", "--json", MOTORISK_PSEUDONYM_KEY=KEY)
    assert json.loads(done.stdout)["rows"] == 6, done.stderr
    refused = motorisk("export", str(file), "--as-of", "2024-03-31")
    assert (refused.returncode, "MOTORISK_PSEUDONYM_KEY" in refused.stderr) == (1, True)
    elsewhere = str(file.parent / "no" / "policies.csv")
    unwritten = motorisk("export", elsewhere, "--as-of", "2024-03-31", MOTORISK_PSEUDONYM_KEY=KEY)
    assert unwritten.stderr.strip() == f"Not written or read: {elsewhere}: No such file or directory"
    short = motorisk("export", str(file), "--as-of", "2024-03-31", MOTORISK_PSEUDONYM_KEY="s3cret")
    assert short.returncode == 1
    assert "s3cret" not in short.stderr
    said: dict[str, Any] = json.loads(motorisk("erase", "C-2", "--by", "dpo", "--json").stdout)
    assert said["erased"]["policies"] == 2
    assert motorisk("erase", "nobody", "--by", "dpo").stderr.startswith("Unknown customer:")
