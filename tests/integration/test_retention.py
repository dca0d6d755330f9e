"""Old scores leave the database for files: completely, only what nobody needs, and in spite of kills."""

import json
import signal
import time
from collections.abc import Callable
from datetime import date
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import URL, Engine, create_engine, func, select, text

from motorisk.errors import ArchiveRefuted, DatabaseUnavailable
from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.scoring import retention
from motorisk.pipelines.scoring.planning import plan_scoring
from motorisk.pipelines.scoring.retention import archive_scores, old_scores
from motorisk.pipelines.scoring.summary import summarise_scores
from motorisk.pipelines.scoring.versions import Choice
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.registry import transitions
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse import locks
from motorisk.warehouse.tables import score, score_run

OLDEST, OLD, YEAR_AGO, BEFORE, NEWEST = (
    date(2024, 3, 20), date(2024, 9, 1), date(2024, 12, 20), date(2025, 11, 9), date(2025, 11, 10),
)  # fmt: skip
LATER = date(2026, 11, 1)


@pytest.fixture
def scored(built_once: Callable[..., Engine], offer: Callable[..., int]) -> Engine:
    """Five published dates, two of them older than anything that the newest needs."""

    def build(warehouse: Engine, _: Settings) -> None:
        simulate_portfolio(warehouse, Simulation(start=date(2024, 1, 1), months=24, policies_a_month=100))
        version = offer(warehouse, 1.0)
        with warehouse.begin() as connection:
            transitions.approve(connection, version, by="uma")
        for day in (OLDEST, OLD, YEAR_AGO, BEFORE, NEWEST):
            score_portfolio(warehouse, day)

    return built_once(build)


def _rows(engine: Engine, as_of: date) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        query = select(score).where(score.c.as_of == as_of).order_by(score.c.policy_id)
        return [dict(row._mapping) for row in connection.execute(query)]


def _tables(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(text("SELECT tablename FROM pg_tables WHERE tablename LIKE 'score_20%'")))


def test_what_somebody_needs_stays(scored: Engine) -> None:
    kept = {old.as_of: old.kept_for for old in old_scores(scored, LATER)}
    assert kept == {
        OLDEST: None,
        OLD: None,
        YEAR_AGO: "renewals compare with it",
        BEFORE: "one of the two newest",
        NEWEST: "one of the two newest",
    }
    plan_scoring(scored, OLDEST)
    plan = plan_scoring(scored, date(2025, 9, 10), choice=Choice.WITH_CHAMPION)
    assert plan.missing
    kept = {old.as_of: old.kept_for for old in old_scores(scored, OLD)}
    assert kept == {OLDEST: "a run under way needs it"}
    assert {old.as_of: old.kept_for for old in old_scores(scored, YEAR_AGO)}[OLD] == "a run under way needs it"
    assert all(old.rows > 0 and old.size > 0 for old in old_scores(scored, LATER))


def test_a_date_in_the_archive_is_what_the_table_held(
    scored: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "GROUP_ROWS", 100)
    before, others = _rows(scored, OLDEST), _rows(scored, OLD)
    done = archive_scores(scored, OLDEST, tmp_path / "archive")
    assert done is not None
    assert pq.read_table(done.file).to_pylist() == before
    assert pq.ParquetFile(done.file).num_row_groups == -(-len(before) // 100) > 1
    assert _rows(scored, OLDEST) == []
    assert _rows(scored, OLD) == others
    assert "score_20240320" not in _tables(scored)
    assert [path.name for path in (tmp_path / "archive").iterdir()] == [done.file.name]
    with scored.connect() as connection:
        row = connection.execute(select(score_run).where(score_run.c.as_of == OLDEST)).one()
        assert (row.archive, row.archived_at is not None, row.rows) == (done.file.name, True, len(before))
        summary = summarise_scores(connection, OLD)
        assert summary.earlier is None
        assert summarise_scores(connection, YEAR_AGO).earlier is not None
    assert archive_scores(scored, OLDEST, tmp_path / "archive") is None
    # Scored again, the date is back, and may leave again.
    assert score_portfolio(scored, OLDEST).rows == len(before)
    again = archive_scores(scored, OLDEST, tmp_path / "archive")
    assert again is not None
    assert again.file != done.file


@pytest.mark.fault("corrupted archive")
def test_a_file_that_is_there_is_compared_and_not_believed(scored: Engine, tmp_path: Path) -> None:
    first = archive_scores(scored, OLDEST, tmp_path)
    assert first is not None
    table = pq.read_table(first.file)
    cents = table["net"].to_pylist()
    cents[-1] += 1
    forged = table.set_column(table.column_names.index("net"), "net", [cents]).cast(retention.SCHEMA)
    for content, message in ((table.slice(1), "rows of"), (forged, "is not what is published as of 2024-09-01")):
        with scored.connect() as connection:
            run = connection.scalar(select(score_run.c.run_id).where(score_run.c.as_of == OLD))
        file = tmp_path / f"scores_{OLD}_run{run}.parquet"
        pq.write_table(content, file)
        with pytest.raises(ArchiveRefuted, match=message):
            archive_scores(scored, OLD, tmp_path)
        file.write_bytes(b"half a fi")
        with pytest.raises(ArchiveRefuted, match="cannot be read back"):
            archive_scores(scored, OLD, tmp_path)
        assert _rows(scored, OLD)
        file.unlink()
    assert archive_scores(scored, OLD, tmp_path) is not None


@pytest.mark.fault("two at once")
def test_scores_that_somebody_reads_or_replaces_stay(
    scored: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("LOCK_SECONDS", 0.05), ("PAUSE_SECONDS", 0.05), ("PATIENCE_SECONDS", 0.2)):
        monkeypatch.setattr(locks, name, seconds)
    with scored.connect() as reader:
        reader.scalar(select(func.count()).where(score.c.as_of == OLDEST))
        with pytest.raises(DatabaseUnavailable, match="somebody has used score, score_20240320"):
            archive_scores(scored, OLDEST, tmp_path)
    rename = retention._rename

    def rename_and_score_again(unfinished: Path, file: Path) -> None:
        rename(unfinished, file)
        score_portfolio(scored, OLD)

    monkeypatch.setattr(retention, "_rename", rename_and_score_again)
    with pytest.raises(ArchiveRefuted, match="2024-09-01 was scored anew while"):
        archive_scores(scored, OLD, tmp_path)
    assert _rows(scored, OLD)


def _stop_at(step: str, moment: str, url: URL, folder: Path, there: Connection) -> None:
    """Archive in a process of its own, which tells when it is before or after a step, and stays there."""
    whole = getattr(retention, step)

    def stop(*arguments: Any) -> None:
        if moment == "after":
            whole(*arguments)
        there.send("here")
        time.sleep(60)

    setattr(retention, step, stop)
    archive_scores(create_engine(url), OLDEST, folder)


@pytest.mark.fault("killed while archiving")
@pytest.mark.parametrize("step", ["_write", "_compare", "_rename", "_drop"])
def test_killed_at_any_step_it_goes_on(scored: Engine, tmp_path: Path, step: str) -> None:
    before = _rows(scored, OLDEST)
    fork = get_context("fork")  # importing everything again takes seconds
    for moment in ("before", "after"):
        told, there = fork.Pipe(duplex=False)
        run = fork.Process(target=_stop_at, args=(step, moment, scored.url, tmp_path, there))
        run.start()
        there.close()
        if not (step == "_drop" and moment == "after"):
            assert _rows(scored, OLDEST) == before
        got_there = True
        try:
            told.recv()
            run.kill()
        except EOFError:  # it ended without
            got_there = False
        assert got_there or moment == "after"  # by then an earlier attempt may have done the step
        run.join(60)
        assert run.exitcode == (-signal.SIGKILL if got_there else 0)
    archive_scores(scored, OLDEST, tmp_path)
    (file,) = tmp_path.glob("*.parquet")
    assert pq.read_table(file).to_pylist() == before
    assert _rows(scored, OLDEST) == []
    assert not list(tmp_path.glob("*.unfinished"))


def test_the_command_says_what_it_would_do_and_then_does_it(
    scored: Engine, settings: Settings, motorisk: Callable[..., Any]
) -> None:
    def run(*arguments: str) -> str:
        done = motorisk("scores", "retain", "--keep-months", "1", *arguments)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    tables = _tables(scored)
    said = run("--dry-run")
    assert said.count("would be archived") == 2
    assert "kept: renewals compare with it" in said
    assert _tables(scored) == tables
    done = json.loads(run("--json"))
    assert [found["as_of"] for found in done["archived"]] == [OLDEST.isoformat(), OLD.isoformat()]
    assert [found["as_of"] for found in done["kept"]] == [day.isoformat() for day in (YEAR_AGO, BEFORE, NEWEST)]
    assert all(Path(found["file"]).parent == settings.home / "archive" / "scores" for found in done["archived"])
    assert _tables(scored) == tables - {"score_20240320", "score_20240901"}
