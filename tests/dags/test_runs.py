"""Every DAG, run for real on a simulated world."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from tests.dags.conftest import PASSWORD

from motorisk.modelling.configuration import load_configuration
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.registry.versions import all_versions, find_champion
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.tables import drift_metric, drift_run, performance, score, score_run, shadow_quote

RunDag = Callable[..., Any]
LAST_DAY_OF_MONTH_0 = "2024-01-31"


def _simulate(warehouse: Engine, settings: Settings) -> None:
    simulate_portfolio(
        warehouse, Simulation(start=date(2024, 1, 1), months=3, policies_a_month=600, label_delay_months=2)
    )


def _train(warehouse: Engine, settings: Settings) -> None:
    _simulate(warehouse, settings)
    configuration = load_configuration(settings.training_config)
    assert train(warehouse, settings, date.fromisoformat(LAST_DAY_OF_MONTH_0), configuration).approved


@pytest.fixture
def world(platform: Settings, built_once: Callable[..., Engine]) -> Engine:
    """Three months of policies; the first month's outcomes are known at once, the others' two months later."""
    return built_once(_simulate)


@pytest.fixture
def championed(platform: Settings, built_once: Callable[..., Engine]) -> Engine:
    """That world with a champion, trained as of the first month's end."""
    return built_once(_train)


def _states(run: Any) -> dict[str, str]:
    return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}


def _asset_events(name: str) -> list[dict[str, Any]]:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        events = session.scalars(
            select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id).where(AssetModel.name == name)
        )
        return [dict(event.extra) for event in events]


def test_a_night_trains_approves_scores_and_reports_drift(
    run_dag: RunDag, world: Engine, airflow: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trained = run_dag("train_model", as_of=LAST_DAY_OF_MONTH_0)
    assert _states(trained) == dict.fromkeys(
        ["snapshot", "competitors", "backtest", "fit", "validate", "approve"], "success"
    ) | {"offer": "skipped"}
    with world.connect() as connection:
        champion = find_champion(connection)
    assert champion is not None
    assert (champion.as_of, champion.rows) == (date(2024, 1, 31), 600)
    assert champion.provenance["libraries"]["scikit-learn"]
    assert {"version": champion.version, "as_of": LAST_DAY_OF_MONTH_0} in _asset_events("motorisk_champion")

    scored = run_dag("score_portfolio", as_of="2024-03-31")
    assert _states(scored) == dict.fromkeys(["plan", "score_partition", "publish", "summarise"], "success")
    with world.connect() as connection:
        rows = connection.scalar(select(func.count()).select_from(score).where(score.c.as_of == date(2024, 3, 31)))
        assert rows == connection.scalar(select(score_run.c.rows)) == 1800
    event = {"as_of": "2024-03-31", "version": champion.version, "rows": 1800}
    assert event in _asset_events("motorisk_scores")

    reported = run_dag("report_drift", as_of="2024-03-31")
    assert _states(reported) == {"dates": "success", "measure": "success", "ask": "skipped", "remember": "skipped"}
    with world.connect() as connection:
        policies, scores = connection.execute(select(drift_run).order_by(drift_run.c.kind)).all()
        assert (policies.kind, policies.as_of, policies.month) == ("policies", date(2024, 3, 31), date(2024, 3, 1))
        assert policies.rows == 600
        assert (scores.kind, scores.rows, scores.version) == ("scores", 1800, champion.version)
        assert connection.scalar(select(func.count()).select_from(drift_metric)) == 6 + 5

    # And no password is shown in it.
    said = capfd.readouterr()
    logs = [path.read_text(errors="replace") for path in (airflow / "logs").rglob("*.log")]
    assert "train_model" in said.out + said.err + "".join(logs)
    assert PASSWORD not in said.out + said.err + "".join(logs) + _kept_of_tasks()


def _kept_of_tasks() -> str:
    """What Airflow's tables hold of tasks."""
    from airflow.utils.session import create_session

    with create_session() as session:
        found = [
            row
            for table in ("xcom", "rendered_task_instance_fields", "task_instance", "dag_run", "log")
            for row in session.scalars(text(f"SELECT to_jsonb(t)::text FROM {table} t"))
        ]
    assert len(found) > 10
    return "".join(found)


def test_training_the_same_date_again_changes_nothing(run_dag: RunDag, world: Engine) -> None:
    for _ in range(2):
        assert run_dag("train_model", as_of=LAST_DAY_OF_MONTH_0).state == "success"
    with world.connect() as connection:
        assert [version.state for version in all_versions(connection)] == ["approved"]


def test_too_little_capacity_turns_validate_red(
    run_dag: RunDag, world: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The workshop's experiment: two knots cannot bend where the world does."""
    from motorisk.settings import settings

    small = tmp_path / "training.yaml"
    small.write_text("candidates: [rules, gam, trend_gam]\nknots: 2\n")
    monkeypatch.setenv("MOTORISK_TRAINING_CONFIG", str(small))
    settings.cache_clear()
    assert _states(run_dag("train_model", as_of=LAST_DAY_OF_MONTH_0))["validate"] == "failed"
    with world.connect() as connection:
        (version,) = all_versions(connection)
        assert "worst segment off by" in {gate["name"] for gate in version.failed_gates}
        assert find_champion(connection) is None


def test_a_missed_gate_turns_validate_red_and_keeps_the_champion(
    run_dag: RunDag, championed: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from motorisk.settings import settings

    strict = tmp_path / "training.yaml"
    strict.write_text("candidates: [rules, gam, trend_gam]\ngates: {min_accuracy: 0.999}\n")
    monkeypatch.setenv("MOTORISK_TRAINING_CONFIG", str(strict))
    settings.cache_clear()
    failed = run_dag("train_model", as_of="2024-03-31")
    assert failed.state == "failed"
    assert _states(failed) == {
        "snapshot": "success",
        "competitors": "success",
        "backtest": "success",
        "fit": "success",
        "validate": "failed",
        "approve": "upstream_failed",
        "offer": "upstream_failed",
    }
    with championed.connect() as connection:
        newest, first = all_versions(connection)
        assert (newest.state, first.state) == ("rejected", "approved")
        assert {gate["name"] for gate in newest.failed_gates} == {"training accuracy", "hold-out accuracy"}


def test_training_for_a_past_date_does_not_replace_a_champion_that_knows_more(run_dag: RunDag, world: Engine) -> None:
    run_dag("train_model", as_of="2024-03-31")
    backfilled = run_dag("train_model", as_of=LAST_DAY_OF_MONTH_0)
    assert backfilled.state == "success"
    assert _states(backfilled)["approve"] == "skipped"
    with world.connect() as connection:
        champion = find_champion(connection)
    assert champion is not None
    assert champion.as_of == date(2024, 3, 31)


def test_approval_by_people_leaves_the_version_validated(
    run_dag: RunDag, world: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motorisk.settings import settings

    monkeypatch.setenv("MOTORISK_APPROVAL", "human")
    settings.cache_clear()
    run = run_dag("train_model", as_of=LAST_DAY_OF_MONTH_0)
    assert (_states(run)["approve"], _states(run)["offer"]) == ("skipped", "success")
    with world.connect() as connection:
        assert [version.state for version in all_versions(connection)] == ["validated"]
        assert find_champion(connection) is None


@pytest.mark.fault("no champion")
def test_scoring_without_a_champion_is_red(run_dag: RunDag, world: Engine) -> None:
    assert run_dag("score_portfolio", as_of="2024-03-31").state == "failed"
    with world.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(score_run)) == 0


@pytest.mark.fault("killed while scoring")
def test_scoring_in_partitions_takes_up_what_was_left(run_dag: RunDag, championed: Engine) -> None:
    from motorisk.pipelines.scoring.partition import score_partition
    from motorisk.pipelines.scoring.planning import plan_scoring

    killed = plan_scoring(championed, date(2024, 3, 31), partitions=4)
    for part in killed.missing[:2]:
        score_partition(championed, part)
    run = run_dag("score_portfolio", as_of="2024-03-31", partitions=2)
    mapped = [instance for instance in run.get_task_instances() if instance.task_id == "score_partition"]
    assert (run.state, len(mapped)) == ("success", 2)
    with championed.connect() as connection:
        done = connection.execute(select(score_run)).one()
    assert (done.run_id, done.partitions, done.rows) == (killed.run_id, 4, 1800)


@pytest.mark.fault("killed while scoring")
def test_a_run_killed_before_it_published_has_only_that_left(run_dag: RunDag, championed: Engine) -> None:
    from motorisk.pipelines.scoring.partition import score_partition
    from motorisk.pipelines.scoring.planning import plan_scoring

    for part in plan_scoring(championed, date(2024, 3, 31), partitions=2).missing:
        score_partition(championed, part)
    run = run_dag("score_portfolio", as_of="2024-03-31")
    assert (run.state, _states(run)["score_partition"]) == ("success", "skipped")
    with championed.connect() as connection:
        assert connection.scalar(select(score_run.c.rows)) == 1800


def test_performance_is_empty_handed_until_outcomes_mature(run_dag: RunDag, championed: Engine) -> None:
    assert run_dag("report_performance", as_of="2024-02-28").state == "success"
    with championed.connect() as connection:
        assert connection.scalar(select(func.sum(performance.c.rows))) == 0
    assert run_dag("report_performance", as_of="2024-05-31").state == "success"
    with championed.connect() as connection:
        months = connection.execute(select(performance).order_by(performance.c.month)).all()
    assert [(row.month, row.rows) for row in months] == [(date(2024, 2, 1), 600), (date(2024, 3, 1), 600)]
    assert all(0.8 < row.accuracy < 1 for row in months)


def test_a_night_without_quotes_has_nothing_to_replay_and_a_changed_quote_turns_it_red(
    run_dag: RunDag, championed: Engine
) -> None:
    assert run_dag("replay_quotes", as_of="2024-03-31").state == "success"
    with championed.begin() as connection:
        digest = connection.scalar(text("SELECT digest FROM motorisk.model_version WHERE state = 'approved'"))
        connection.execute(
            text(
                "INSERT INTO motorisk.quote VALUES ('2024-03-31 12:00+00', gen_random_uuid(), 'quote', NULL, "
                "'2024-04-01', false, 119, false, 40, 100, 50, 1, :digest, 'standard', 'rules', 'high', NULL, "
                "0, 0, 100000000, :net, 182.40, :net + 182.40)"
            ),
            {"digest": digest, "net": 960},
        )
    assert run_dag("replay_quotes", as_of="2024-03-31").state == "success"
    for reference, state in (("'forged'", "failed"), ("NULL", "success")):  # no price: the seal tells
        with championed.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(f"UPDATE motorisk.quote SET reference = {reference}"))
        assert run_dag("replay_quotes", as_of="2024-03-31").state == state
    with championed.begin() as connection:
        connection.execute(text("UPDATE motorisk.tariff SET base_premium = 601"))
    assert run_dag("replay_quotes", as_of="2024-03-31").state == "failed"


def test_shadows_price_what_is_new_and_a_refused_one_turns_the_run_red(
    run_dag: RunDag, championed: Engine, offer: Callable[..., int]
) -> None:
    from motorisk.pipelines.shadow.challenger import start_shadow

    assert run_dag("shadow_quotes").state == "success"  # nothing is shadowed
    challenger = offer(championed, 1.3)
    with championed.begin() as connection:
        start_shadow(connection, challenger, by="tess", since=datetime(2024, 3, 1, tzinfo=UTC))
        connection.execute(
            text(
                "INSERT INTO motorisk.quote VALUES ('2024-03-31 12:00+00', gen_random_uuid(), 'quote', NULL, "
                "'2024-04-01', false, 119, false, 40, 100, 50, 1, repeat('a', 64), 'standard', 'rules', 'high', NULL, "
                "0, 0, 100000000, 960, 182.40, 1142.40)"
            )
        )
    assert _states(run_dag("shadow_quotes")) == {"price": "success", "report": "success"}
    with championed.connect() as connection:
        assert connection.scalars(select(shadow_quote.c.version)).all() == [challenger]
    with championed.begin() as connection:
        connection.execute(text("UPDATE motorisk.model_version SET plan = '{}' WHERE version = 2"))
    assert _states(run_dag("shadow_quotes")) == {"price": "failed", "report": "upstream_failed"}


def test_old_scores_go_to_the_archive_but_not_in_a_dry_run(
    run_dag: RunDag, championed: Engine, platform: Settings
) -> None:
    for day in ("2024-02-10", "2024-03-01", "2024-03-31"):
        run_dag("score_portfolio", as_of=day)
    with championed.begin() as connection:  # so that the first is older than what renewals compare with
        connection.execute(text("UPDATE motorisk.score_run SET as_of = '2026-03-31' WHERE as_of = '2024-03-31'"))
    rehearsed = run_dag("retain_scores", as_of="2026-11-01", dry_run=True)
    assert _states(rehearsed) == {"plan": "success", "archive": "skipped"}
    assert run_dag("retain_scores", as_of="2026-11-01", keep_months=40, dry_run=False).state == "success"
    with championed.connect() as connection:
        assert connection.scalar(select(func.count(score_run.c.archive))) == 0
    done = run_dag("retain_scores", as_of="2026-11-01", keep_months=24, dry_run=False)
    assert _states(done) == {"plan": "success", "archive": "success"}
    with championed.connect() as connection:
        gone = connection.execute(select(score_run).where(score_run.c.archive.is_not(None))).one()
        assert gone.as_of == date(2024, 2, 10)
        assert connection.scalar(select(func.count()).where(score.c.as_of == gone.as_of)) == 0
    assert (platform.home / "archive" / "scores" / gone.archive).is_file()
