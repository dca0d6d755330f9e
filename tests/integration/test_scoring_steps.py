"""Scoring in steps: plans, partitions that may be repeated and killed, publishing, policies nobody can price."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, func, insert, select, text, update

from motorisk.errors import (
    DatabaseUnavailable,
    InvalidData,
    NoChampion,
    ScoringIncomplete,
    ScoringRefuted,
    ScoringSuperseded,
)
from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.scoring import partition as partition_module
from motorisk.pipelines.scoring.partition import score_partition
from motorisk.pipelines.scoring.planning import plan_scoring, work_table
from motorisk.pipelines.scoring.publishing import publish_scores
from motorisk.pipelines.scoring.summary import summarise_scores
from motorisk.pipelines.scoring.versions import Choice
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.registry import transitions
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse import locks, streaming
from motorisk.warehouse.migrate import downgrade, upgrade
from motorisk.warehouse.tables import (
    model_version,
    policy,
    score,
    score_part,
    score_plan,
    score_quarantine,
    score_run,
)

DAY = date(2024, 3, 15)


@pytest.fixture
def offered(warehouse: Engine, offer: Callable[..., int]) -> Engine:
    """Three months of 400 policies and an approved version."""
    simulate_portfolio(warehouse, Simulation(start=date(2024, 1, 1), months=3, policies_a_month=400))
    version = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, version, by="uma")
    return warehouse


def _rows(engine: Engine, as_of: date = DAY) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [
            tuple(row)
            for row in connection.execute(select(score).where(score.c.as_of == as_of).order_by(score.c.policy_id))
        ]


def _count(engine: Engine, table: Any) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def _in_force(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(
            connection.scalars(
                select(policy.c.policy_id).where(policy.c.effective_date <= DAY, policy.c.expiry_date > DAY)
            )
        )


@pytest.mark.parametrize("partitions", [1, 2, 7, 200])
def test_any_number_of_partitions_gives_the_same_scores(offered: Engine, partitions: int) -> None:
    alone = score_portfolio(offered, DAY)
    before = _rows(offered)
    run = score_portfolio(offered, DAY, partitions=partitions)
    assert _rows(offered) == before
    assert {row[1] for row in before} == _in_force(offered)
    assert run.partitions <= partitions
    assert run.partitions > partitions // 2  # a policy of the sample may bound two of a thousand
    same = ("version", "tariff", "rows", "by_class", "by_predictor", "net_total")
    assert all(getattr(run, name) == getattr(alone, name) for name in same)


def test_ranges_are_of_about_equal_size_and_cover_every_policy_once(offered: Engine) -> None:
    plan = plan_scoring(offered, DAY, partitions=5)
    rows = [score_partition(offered, part) for part in plan.missing]
    assert sum(rows) == len(_in_force(offered))
    assert max(rows) - min(rows) <= 1
    assert [part.low for part in plan.missing[1:]] == [part.high for part in plan.missing[:-1]]
    assert plan.missing[0].low is None
    assert plan.missing[-1].high is None


def test_ranges_follow_from_statistics_even_where_nobody_gathered_them(offered: Engine) -> None:
    with offered.begin() as connection:
        connection.execute(text("DELETE FROM pg_statistic WHERE starelid = 'insurance.policy'::regclass"))
    assert plan_scoring(offered, DAY, partition_rows=100).partitions == -(-len(_in_force(offered)) // 100)


def test_a_partition_done_is_not_done_again(offered: Engine) -> None:
    plan = plan_scoring(offered, DAY, partitions=3)
    first = score_partition(offered, plan.missing[0])
    assert score_partition(offered, plan.missing[0]) == first
    again = plan_scoring(offered, DAY)
    assert (again.run_id, [part.part for part in again.missing]) == (plan.run_id, [2, 3])
    assert score_portfolio(offered, DAY).run_id == plan.run_id
    assert {row[1] for row in _rows(offered)} == _in_force(offered)


@pytest.mark.fault("killed while scoring")
def test_publishing_waits_for_what_is_missing_and_publishes_once(offered: Engine) -> None:
    score_portfolio(offered, DAY)
    before = _rows(offered)
    plan = plan_scoring(offered, DAY, partitions=3)
    score_partition(offered, plan.missing[1])
    with pytest.raises(ScoringIncomplete, match=r"2 of 3 partitions of 2024-03-15 are not scored \(1, 3\)"):
        publish_scores(offered, DAY, plan.run_id)
    assert _rows(offered) == before
    for part in plan.missing:
        score_partition(offered, part)
    first = publish_scores(offered, DAY, plan.run_id)
    assert publish_scores(offered, DAY, plan.run_id) == first
    assert score_partition(offered, plan.missing[0]) == 0  # a worker that was long away has nothing left to do
    assert (_count(offered, score_plan), _count(offered, score_part)) == (0, 0)


@pytest.mark.fault("tampered records")
def test_scores_written_twice_are_not_published(offered: Engine) -> None:
    plan = plan_scoring(offered, DAY)
    for part in plan.missing:
        score_partition(offered, part)
    table = f"motorisk.{work_table(DAY, plan.run_id)}"
    first, last = f"(SELECT min(policy_id) FROM {table})", f"(SELECT max(policy_id) FROM {table})"
    with offered.begin() as connection:  # counts and sums stay as they were
        connection.execute(text(f"UPDATE {table} SET policy_id = {last} WHERE policy_id = {first}"))
    with pytest.raises(ScoringRefuted, match=r"a policy was scored twice as of 2024-03-15: .*The earlier scores stay"):
        publish_scores(offered, DAY, plan.run_id)
    assert _rows(offered) == []
    assert score_portfolio(offered, DAY).rows == len(_in_force(offered))


def test_publishing_waits_for_readers_without_making_others_wait(
    offered: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(locks, "PAUSE_SECONDS", 0.2)
    score_portfolio(offered, DAY)
    with offered.connect() as reader, ThreadPoolExecutor(1) as pool:
        before = reader.scalar(select(func.count()).select_from(score))
        publishing = pool.submit(score_portfolio, offered, DAY)
        for _ in range(20):  # others read meanwhile
            with offered.connect() as connection:
                connection.execute(text("SET statement_timeout = '10s'"))
                assert connection.scalar(select(func.count()).select_from(score)) == before
            time.sleep(0.1)
        assert not publishing.done()
        reader.rollback()
        assert publishing.result(30).rows == before


def test_publishing_gives_up_where_somebody_reads_for_ever(offered: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("LOCK_SECONDS", 0.05), ("PAUSE_SECONDS", 0.05), ("PATIENCE_SECONDS", 0.2)):
        monkeypatch.setattr(locks, name, seconds)
    first = score_portfolio(offered, DAY)
    with offered.connect() as reader:
        reader.scalar(select(func.count()).select_from(score))
        with pytest.raises(DatabaseUnavailable, match="somebody has used score, score_20240315 for 0 seconds"):
            score_portfolio(offered, DAY)
    # Everything is there still: only publishing is left to do.
    assert plan_scoring(offered, DAY).missing == []
    assert score_portfolio(offered, DAY).run_id > first.run_id


def test_a_date_published_before_runs_had_partitions_is_scored_again(offered: Engine) -> None:
    downgrade(offered, "0001")
    with offered.begin() as connection:
        day = f"'{DAY}'"
        for statement in (
            f"CREATE TABLE motorisk.score_20240315 PARTITION OF motorisk.score FOR VALUES IN ({day})",
            f"""INSERT INTO motorisk.score
                SELECT {day}, policy_id, 1, 'standard', 'rules', 'low', NULL, 100000000, 0, 0, 420, 79.80, 499.80
                FROM insurance.policy WHERE effective_date <= {day} AND expiry_date > {day}""",
            f"""INSERT INTO motorisk.score_run
                (as_of, version, tariff, rows, by_predictor, by_class, net_total, seconds)
                SELECT {day}, 1, 'standard', count(*), '{{}}', '{{}}', sum(net), 1 FROM motorisk.score""",
        ):
            connection.execute(text(statement))
    upgrade(offered)
    with offered.connect() as connection:
        assert summarise_scores(connection, DAY).rows == len(_in_force(offered))
    score_portfolio(offered, DAY + timedelta(days=1))
    run = score_portfolio(offered, DAY, partitions=3)
    assert (run.rows, run.renewals, run.before) == (len(_in_force(offered)), 0, None)
    assert "model" in {row[4] for row in _rows(offered)}
    assert _count(offered, score_run) == 2


def test_runs_under_way_begin_anew_after_a_migration(offered: Engine) -> None:
    first = plan_scoring(offered, DAY, partitions=3)
    score_partition(offered, first.missing[0])
    downgrade(offered, "0002")
    upgrade(offered)
    assert _count(offered, score_plan) == 0
    assert score_portfolio(offered, DAY).rows == len(_in_force(offered))


@pytest.mark.fault("tampered records")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DELETE FROM motorisk.{table} WHERE policy_id = (SELECT min(policy_id) FROM motorisk.{table})", "rows of the"),
        ("UPDATE motorisk.{table} SET net = net + 0.01, gross = gross + 0.01", "gross_cents of the"),
        ("UPDATE motorisk.{table} SET p_low = p_low - 1, p_medium = p_medium + 1", "p_low of the"),
    ],
)
def test_scores_that_were_tampered_with_are_not_published(offered: Engine, change: str, message: str) -> None:
    plan = plan_scoring(offered, DAY)
    for part in plan.missing:
        score_partition(offered, part)
    with offered.begin() as connection:
        connection.execute(text(change.format(table=work_table(DAY, plan.run_id))))
    with pytest.raises(ScoringIncomplete, match=message):
        publish_scores(offered, DAY, plan.run_id)
    assert _rows(offered) == []


def test_a_policy_that_comes_in_meanwhile_is_noticed(offered: Engine) -> None:
    plan = plan_scoring(offered, DAY)
    for part in plan.missing:
        score_partition(offered, part)
    with offered.begin() as connection:
        later = policy.c.effective_date > DAY
        connection.execute(update(policy).where(later).values(effective_date=DAY))
    with pytest.raises(ScoringIncomplete, match="policies changed meanwhile"):
        publish_scores(offered, DAY, plan.run_id)
    # What was planned is no longer true, so that running again starts anew.
    assert score_portfolio(offered, DAY).rows == len(_in_force(offered))


@pytest.mark.fault("killed while scoring")
def test_a_failing_block_leaves_nothing_of_its_partition(offered: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 1000)
    plan = plan_scoring(offered, DAY, partitions=2)
    score_partition(offered, plan.missing[0])
    table = work_table(DAY, plan.run_id)
    parse, seen = partition_module.parse, 0

    def fail_on_the_fifth(block: bytes, **options: bool) -> Any:
        nonlocal seen
        seen += 1
        if seen == 5:
            raise RuntimeError("lightning")
        return parse(block, **options)

    monkeypatch.setattr(partition_module, "parse", fail_on_the_fifth)
    with offered.connect() as connection:
        before = connection.scalar(text(f"SELECT count(*) FROM motorisk.{table}"))
    with pytest.raises(RuntimeError, match="lightning"):
        score_partition(offered, plan.missing[1])
    with offered.connect() as connection:
        assert connection.scalar(text(f"SELECT count(*) FROM motorisk.{table}")) == before
    monkeypatch.undo()
    assert score_portfolio(offered, DAY).run_id == plan.run_id
    assert {row[1] for row in _rows(offered)} == _in_force(offered)


def _end_copies(engine: Engine, direction: str) -> int:
    with engine.connect() as connection:
        return len(
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_copy "
                    "WHERE datname = current_database() AND command = :direction"
                ),
                {"direction": direction},
            ).all()
        )


@pytest.mark.fault("Postgres stopped")
@pytest.mark.parametrize("direction", ["COPY TO", "COPY FROM"])
def test_a_lost_connection_is_said_to_be_one_so_that_it_is_retried(
    offered: Engine, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(streaming, "BLOCKS_AHEAD", 1)
    with offered.begin() as connection:  # more than the connections' buffers hold, so that both copies are still going
        connection.execute(
            text(
                "INSERT INTO insurance.policy SELECT 'X' || n, NULL, '2024-01-01', '2025-01-01', false, 40, true, 40, "
                "90, 20 FROM generate_series(1, 200000) n"
            )
        )
    plan = plan_scoring(offered, DAY)
    ended = 0

    def end(done: int, total: int) -> None:
        nonlocal ended
        ended = ended or _end_copies(offered, direction)

    with pytest.raises(DatabaseUnavailable, match="connection was lost during a copy"):
        score_partition(offered, plan.missing[0], end)
    assert ended == 1
    monkeypatch.undo()
    assert score_portfolio(offered, DAY).rows == len(_in_force(offered))


@pytest.mark.fault("two at once")
def test_two_workers_on_one_partition_write_it_once(offered: Engine) -> None:
    plan = plan_scoring(offered, DAY)
    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(lambda _: score_partition(offered, plan.missing[0]), range(2)))
    assert rows[0] == rows[1] == publish_scores(offered, DAY, plan.run_id).rows


@pytest.mark.fault("disk full")
def test_what_an_operator_can_mend_is_told_by_processes_beside_too(offered: Engine) -> None:
    plan_scoring(offered, DAY, partitions=2)
    with offered.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION motorisk.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$; "
                "CREATE TRIGGER is_full BEFORE UPDATE ON motorisk.score_part EXECUTE FUNCTION motorisk.full()"
            )
        )
    with pytest.raises(DatabaseUnavailable, match="could not extend file: make room"):
        score_portfolio(offered, DAY, workers=2)


def test_an_older_plan_or_one_for_another_version_gives_way(offered: Engine, offer: Callable[..., int]) -> None:
    first = plan_scoring(offered, DAY, partitions=2)
    score_partition(offered, first.missing[0])
    second_version = offer(offered, 2.0)
    with offered.begin() as connection:
        transitions.approve(connection, second_version, by="uma")
    second = plan_scoring(offered, DAY, choice=Choice.WITH_CHAMPION)
    assert second.run_id != first.run_id
    for step in (
        lambda: score_partition(offered, first.missing[1]),
        lambda: publish_scores(offered, DAY, first.run_id),
    ):
        with pytest.raises(ScoringSuperseded, match="gave way to another run"):
            step()
    with offered.begin() as connection:
        connection.execute(update(score_plan).values(planned_at=score_plan.c.planned_at - timedelta(hours=13)))
    third = plan_scoring(offered, DAY, choice=Choice.WITH_CHAMPION)
    assert third.run_id != second.run_id
    with offered.connect() as connection:
        tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE tablename LIKE 'score_2024%'")).all()
    assert tables == [work_table(DAY, third.run_id)]


def test_a_run_never_mixes_two_tariffs(offered: Engine) -> None:
    first = plan_scoring(offered, DAY, partitions=2)
    score_partition(offered, first.missing[0])
    with offered.begin() as connection:
        connection.execute(text("UPDATE motorisk.tariff SET base_premium = 700"))
    with pytest.raises(ScoringSuperseded, match="tariff standard was changed since"):
        score_partition(offered, first.missing[1])
    run = score_portfolio(offered, DAY)
    assert run.run_id != first.run_id
    assert min(row[10] for row in _rows(offered)) >= 490  # 700 at the factor of the lowest class


@pytest.mark.fault("two at once")
def test_two_runs_at_once_share_the_work_and_publish_the_same(offered: Engine) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: score_portfolio(offered, DAY, partitions=5), range(2)))
    assert {run.rows for run in runs} == {len(_in_force(offered))}
    assert len(_rows(offered)) == runs[0].rows
    assert _count(offered, score_run) == 1


def _spoil(engine: Engine, count: int) -> None:
    """As in an insurer's system that checks less than our own tables do."""
    bad = [
        {"age": None, "power": 90.0, "miles": 20.0},
        {"age": 14.0, "power": float("nan"), "miles": 20.0},
        {"age": 40.0, "power": 0.0, "miles": float("inf")},
    ]
    with engine.begin() as connection:
        for name in connection.scalars(
            text("SELECT conname FROM pg_constraint WHERE conrelid = 'insurance.policy'::regclass AND contype = 'c'")
        ).all():
            connection.execute(text(f"ALTER TABLE insurance.policy DROP CONSTRAINT {name}"))
        connection.execute(text("ALTER TABLE insurance.policy ALTER age DROP NOT NULL"))
        common = {
            "effective_date": date(2024, 2, 1),
            "expiry_date": date(2025, 2, 1),
            "training": False,
            "emergency_braking": True,
            "braking_distance": 40.0,
        }
        rows = [common | bad[n % 3] | {"policy_id": f'bad\n"{n}", or worse'} for n in range(count)]
        connection.execute(insert(policy), rows)


@pytest.mark.bad_input("policy")
def test_policies_that_nobody_can_price_are_left_out_with_their_reasons(offered: Engine) -> None:
    good = _in_force(offered)
    _spoil(offered, 3)
    run = score_portfolio(offered, DAY, partitions=4)
    assert (run.rows, run.quarantined) == (len(good), 3)
    assert {row[1] for row in _rows(offered)} == good
    with offered.connect() as connection:
        found = dict(connection.execute(select(score_quarantine.c.policy_id, score_quarantine.c.reasons)).all())
        assert connection.scalar(select(score_run.c.quarantined)) == 3
    assert found == {
        'bad\n"0", or worse': ["age is missing"],
        'bad\n"1", or worse': ["age must be at least 15, got 14", "power must be a finite number, got nan"],
        'bad\n"2", or worse': ["power must be greater than 0, got 0", "miles must be a finite number, got inf"],
    }
    score_portfolio(offered, DAY)
    assert _count(offered, score_quarantine) == 3


@pytest.mark.bad_input("policy")
def test_too_many_of_them_stop_the_run_before_it_publishes(offered: Engine) -> None:
    score_portfolio(offered, DAY)
    before = _rows(offered)
    _spoil(offered, 30)
    with pytest.raises(
        InvalidData, match=r"30 of \d+ policies in force on 2024-03-15 cannot be priced, at most 1.00% may"
    ):
        score_portfolio(offered, DAY)
    assert _rows(offered) == before
    assert score_portfolio(offered, DAY, max_quarantined_share=0.5).quarantined == 30


@pytest.mark.bad_input("policy")
def test_odd_policy_ids_are_scored_like_others(offered: Engine) -> None:
    odd = ["a,b", 'quo"te', "line\nbreak", "cr\rhere", "Ünï😀", " space ", "NULL", "\\N", "\\.", "tab\there"]
    same = {
        "effective_date": date(2024, 1, 1),
        "expiry_date": date(2025, 1, 1),
        "training": False,
        "emergency_braking": True,
        **dict.fromkeys(("age", "braking_distance", "power", "miles"), 40.0),
    }
    with offered.begin() as connection:
        connection.execute(insert(policy), [same | {"policy_id": name} for name in odd])
    score_portfolio(offered, DAY, partitions=50)
    rows = {row[1]: row[2:] for row in _rows(offered)}
    assert set(rows) == _in_force(offered) >= set(odd)
    assert len({rows[name] for name in odd}) == 1


def test_dates_are_scored_with_the_version_that_was_approved_then(offered: Engine, offer: Callable[..., int]) -> None:
    second = offer(offered, 2.0)
    with offered.begin() as connection:
        (first,) = connection.scalars(select(model_version.c.version).where(model_version.c.state == "approved")).all()
        transitions.approve(connection, second, by="uma")
        connection.execute(text("ALTER TABLE motorisk.model_event DISABLE TRIGGER append_only"))
        for version, day in ((first, "2024-02-01 12:00+00"), (second, "2024-03-10 12:00+00")):
            connection.execute(
                text(
                    "UPDATE motorisk.model_event SET happened_at = :day WHERE event = 'approved' AND version = :version"
                ),
                {"day": day, "version": version},
            )
    used = {
        day: score_portfolio(offered, date.fromisoformat(day)).version
        for day in ("2024-02-15", "2024-03-08", "2024-03-09", "2024-03-15")
    }
    # The night of the 10th scores the 9th.
    assert used == {"2024-02-15": first, "2024-03-08": first, "2024-03-09": second, "2024-03-15": second}
    before = _rows(offered, date(2024, 3, 8))
    again = score_portfolio(offered, date(2024, 2, 15), choice=Choice.WITH_CHAMPION)
    assert again.version == second
    assert _rows(offered, date(2024, 3, 8)) == before


def test_dates_before_the_platform_take_what_training_on_time_would_have_given(
    offered: Engine, offer: Callable[..., int]
) -> None:
    """All approvals are of today; the version was trained as of 2024-01-31."""
    assert score_portfolio(offered, date(2024, 2, 15)).version == 1
    with pytest.raises(NoChampion, match="--with-champion"):
        score_portfolio(offered, date(2024, 1, 15))
    assert score_portfolio(offered, date(2024, 1, 15), choice=Choice.WITH_CHAMPION).version == 1


def test_a_stream_left_early_leaves_a_connection_that_works(offered: Engine) -> None:
    def read_a_little(connection: Connection) -> None:
        with streaming.reading(connection, "SELECT generate_series(1, 100000000)", None) as blocks:
            assert next(blocks).startswith(b"1\n2\n3\n")
            raise RuntimeError("enough")

    with offered.connect() as connection:
        with pytest.raises(RuntimeError, match="enough"):
            read_a_little(connection)
        connection.rollback()
        assert connection.scalar(text("SELECT 1")) == 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("copy ")]
