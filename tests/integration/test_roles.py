"""Each role does its work, and nothing else: every table, every right, and the real programs under real logins."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from psycopg2.errors import InsufficientPrivilege
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, insert, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from motorisk.domain.policy import FEATURES
from motorisk.errors import InvalidData, PermissionMissing
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.pipelines.audit.sealing import seal_quotes
from motorisk.pipelines.audit.verifying import verify_audit
from motorisk.pipelines.card import card_of
from motorisk.pipelines.drift import report_drift
from motorisk.pipelines.importing import import_file
from motorisk.pipelines.monitor import Monitor
from motorisk.pipelines.overview.drift_night import drift_of_night
from motorisk.pipelines.overview.heat_map import heat_map
from motorisk.pipelines.performance import report_performance
from motorisk.pipelines.replay import replay_days
from motorisk.pipelines.score import score_portfolio
from motorisk.pipelines.scoring.retention import archive_scores
from motorisk.pipelines.scoring.summary import summarise_scores
from motorisk.pipelines.simulate import simulate_portfolio
from motorisk.pipelines.train import train
from motorisk.registry import shadows, transitions
from motorisk.registry.versions import champion, find_champion
from motorisk.settings import Settings
from motorisk.simulation.portfolio import Simulation
from motorisk.warehouse.embedded import EmbeddedPostgres
from motorisk.warehouse.migrate import downgrade, upgrade
from motorisk.warehouse.roles import Role, grant
from motorisk.warehouse.tables import metadata, quote

CONFIGURATION = TrainingConfiguration(candidates=("rules", "gam"), search_trials=0)
END_OF_MONTH_0 = date(2023, 1, 31)
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")

_ALL = {"SELECT", "INSERT", "UPDATE", "DELETE"}
_NIGHTS = ("score_run", "score_plan", "score_part", "score_quarantine", "drift_run", "drift_metric", "drift_reading")
_FIGURES = ("performance", "alarm")


def _all_of(rights: set[str], *names: str) -> dict[str, set[str]]:
    return dict.fromkeys(names, rights)


# Whole tables; rights on some columns alone are tested one by one below.
WHOLE: dict[Role, dict[str, set[str]]] = {
    Role.PIPELINE: {
        **{f"motorisk.{name}": _ALL for name in (*_NIGHTS, *_FIGURES)},
        **{
            f"motorisk.{name}": {"SELECT", "INSERT"}
            for name in ("model_version", "shadow_quote", "drift_threshold", "drift_window", "drift_window_metric")
        },
        **_all_of({"SELECT"}, "insurance.policy", "insurance.outcome", "motorisk.quote", "motorisk.tariff"),
        "motorisk.model_event": {"SELECT"},
        **_all_of({"SELECT", "INSERT", "UPDATE"}, "motorisk.shadow", "motorisk.training_configuration"),
        **_all_of({"SELECT"}, "motorisk.erasure", "motorisk.erased_reference"),
        "motorisk.quote_seal": {"SELECT", "INSERT"},
        "motorisk.drift_inbox": {"SELECT", "DELETE"},
        "motorisk.score": set(RIGHTS),
    },
    Role.REGISTRY: {
        **_all_of({"SELECT"}, "motorisk.model_version", "motorisk.model_event", "motorisk.tariff"),
        "motorisk.shadow": {"SELECT", "INSERT", "UPDATE"},
    },
    Role.QUOTING: {
        **{
            f"motorisk.{name}": {"SELECT"}
            for name in (
                "model_version", "tariff", "api_key", "score_run", "drift_run", "drift_metric", "drift_window",
                "drift_window_metric", *_FIGURES,
            )
        },
        "motorisk.quote": {"SELECT", "INSERT"},
        "motorisk.quote_key": {"SELECT", "INSERT", "DELETE"},
        "motorisk.drift_inbox": {"SELECT", "INSERT", "DELETE"},
    },
    Role.READING: {
        **{
            f"motorisk.{name}": {"SELECT"}
            for name in (
                "model_version", "model_event", "shadow", "shadow_quote", "tariff", "score", "drift_threshold",
                "drift_inbox", "drift_window", "drift_window_metric", "erasure", "training_configuration",
                *_NIGHTS, *_FIGURES,
            )
        },
        "insurance.outcome": {"SELECT"},
    },
    Role.IMPORTING: _all_of(
        {"SELECT", "INSERT"}, "insurance.policy", "insurance.outcome", "motorisk.quarantined_row"
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Platform:
    """A database with a month of policies, its owner, and a login of each role."""

    owner: Engine
    engines: dict[Role, Engine]


def login_of(role: Role) -> str:
    return f"test_{role.value}"


@pytest.fixture(scope="module")
def platform(postgres: str) -> Iterator[Platform]:
    maintenance = create_engine(postgres.format(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with maintenance.connect() as connection:
        connection.execute(text("CREATE DATABASE roles TEMPLATE motorisk_template"))
    owner = create_engine(postgres.format(database="roles"))
    with owner.begin() as connection:
        for role in Role:
            grant(connection, login_of(role), [role])
    engines = {role: create_engine(owner.url.set(username=login_of(role))) for role in Role}
    simulate_portfolio(owner, Simulation(start=date(2023, 1, 1), months=2, policies_a_month=600))
    yield Platform(owner, engines)
    for engine in (owner, *engines.values()):
        engine.dispose()


@pytest.mark.parametrize("role", Role)
def test_a_role_has_the_rights_that_it_needs_and_no_others(platform: Platform, role: Role) -> None:
    asked = text("SELECT has_table_privilege(:login, :name, :right)")
    with platform.owner.connect() as connection:
        for name in metadata.tables:
            found = {
                right
                for right in RIGHTS
                if connection.scalar(asked, {"login": login_of(role), "name": name, "right": right})
            }
            assert found == WHOLE[role].get(name, set()), (
                f"{role.group} on {name}: a migration that makes a table says in itself who may do what with it"
            )
        partitions = connection.scalars(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'motorisk.quote'::regclass")
        ).all()
        assert len(partitions) >= 3
        for name in partitions:
            for right in RIGHTS:
                assert not connection.scalar(asked, {"login": login_of(role), "name": name, "right": right}), name


# What each role must not get at, tried in earnest.
FORBIDDEN = [
    (Role.QUOTING, "SELECT risk FROM insurance.outcome"),
    (Role.QUOTING, "SELECT policy_id FROM insurance.policy"),
    (Role.QUOTING, "SELECT actor FROM motorisk.model_event"),
    (Role.QUOTING, "SELECT net FROM motorisk.score"),
    (Role.QUOTING, "UPDATE motorisk.model_version SET state = 'retired'"),
    (Role.QUOTING, "UPDATE motorisk.tariff SET base_premium = 1"),
    (Role.QUOTING, "UPDATE motorisk.api_key SET revoked_at = NULL"),
    (Role.QUOTING, "INSERT INTO motorisk.api_key (key_id, client, digest, created_by) VALUES ('a', 'b', 'c', 'd')"),
    (Role.QUOTING, "CREATE TABLE motorisk.mine (a int)"),
    (Role.QUOTING, "DROP TABLE motorisk.quote_default"),
    (Role.READING, "SELECT customer_id FROM insurance.policy"),
    (Role.READING, "SELECT * FROM insurance.policy"),
    (Role.READING, "SELECT reference FROM motorisk.quote"),
    (Role.READING, "SELECT salts FROM motorisk.quote_seal"),
    (Role.PIPELINE, "UPDATE motorisk.quote_seal SET late = 0"),
    (Role.READING, "SELECT content FROM motorisk.quarantined_row"),
    (Role.READING, "SELECT reasons FROM motorisk.quarantined_row"),
    (Role.READING, "SELECT digest FROM motorisk.api_key"),
    (Role.READING, "SELECT key FROM motorisk.quote_key"),
    (Role.READING, "INSERT INTO motorisk.quote (quote_id) VALUES (gen_random_uuid())"),
    (Role.READING, "SELECT motorisk.ensure_quote_partitions('2040-01-01')"),
    (Role.REGISTRY, "SELECT net FROM motorisk.score"),
    (Role.REGISTRY, "SELECT gross FROM motorisk.quote"),
    (Role.REGISTRY, "SELECT policy_id FROM insurance.policy"),
    (Role.REGISTRY, "INSERT INTO motorisk.model_version (state) VALUES ('candidate')"),
    (Role.REGISTRY, "UPDATE motorisk.model_version SET plan = '{}'"),
    (Role.PIPELINE, "UPDATE motorisk.model_version SET plan = '{}'"),
    (Role.PIPELINE, "UPDATE motorisk.model_version SET trained_by = 'somebody else'"),
    (Role.PIPELINE, "DELETE FROM motorisk.model_version"),
    (Role.PIPELINE, "UPDATE insurance.outcome SET risk = 0"),
    (Role.PIPELINE, "INSERT INTO insurance.policy (policy_id) VALUES ('p')"),
    (Role.PIPELINE, "UPDATE motorisk.tariff SET base_premium = 1"),
    (Role.PIPELINE, "INSERT INTO motorisk.quote (quote_id) VALUES (gen_random_uuid())"),
    (
        Role.PIPELINE,
        "INSERT INTO motorisk.model_event (version, event, actor, happened_at) VALUES (1, 'a', 'b', now())",
    ),
    (Role.PIPELINE, "SELECT digest FROM motorisk.api_key"),
    (Role.PIPELINE, "ALTER TABLE motorisk.quote DISABLE TRIGGER ALL"),
    (Role.PIPELINE, "CREATE ROLE friend"),
    (Role.IMPORTING, "UPDATE insurance.policy SET age = 20"),
    (Role.IMPORTING, "DELETE FROM insurance.outcome"),
    (Role.IMPORTING, "SELECT net FROM motorisk.score"),
    (Role.IMPORTING, "SELECT plan FROM motorisk.model_version"),
    *[
        (role, statement)
        for role in Role
        for table in ("motorisk.quote", "motorisk.quote_default", "motorisk.model_event")
        for statement in (f"UPDATE {table} SET version = 1", f"DELETE FROM {table}", f"TRUNCATE {table}")
    ],
    *[(role, "UPDATE public.alembic_version SET version_num = '0001'") for role in Role],
    *[(role, "SET ROLE postgres") for role in Role],
]


def test_what_a_role_must_not_do_the_database_refuses(platform: Platform) -> None:
    for role, statement in FORBIDDEN:
        with platform.engines[role].connect() as connection, pytest.raises(ProgrammingError) as refused:
            connection.execute(text(statement))
        assert isinstance(refused.value.orig, InsufficientPrivilege), f"{role}: {statement}: {refused.value}"


def test_not_even_the_owner_changes_or_empties_the_ledger_or_the_trail(warehouse: Engine) -> None:
    with warehouse.begin() as connection:
        connection.execute(text("SELECT motorisk.ensure_quote_partitions('2041-05-01')"))
        partitions = connection.scalars(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'motorisk.quote'::regclass")
        ).all()
    assert "motorisk.quote_2041_06" in partitions
    for name in (*partitions, "motorisk.quote", "motorisk.model_event"):
        with pytest.raises(ProgrammingError, match="append-only"), warehouse.begin() as connection:
            connection.execute(text(f"TRUNCATE {name}"))


def _record(engine: Engine, rows: int) -> None:
    """Inputs as `/predict/mock` records them."""
    features = {name: feature.is_flag or 40.0 for name, feature in FEATURES.items()}
    now = datetime.now(UTC)
    common = {"channel": "mock", "effective_date": now.date(), **features}
    with engine.begin() as connection:
        connection.execute(
            insert(quote), [{"quoted_at": now, "quote_id": uuid4(), "reference": "C-1", **common} for _ in range(rows)]
        )


def test_the_pipeline_does_its_nights_and_analysts_read_them(platform: Platform, tmp_path: Path) -> None:
    engine = platform.engines[Role.PIPELINE]
    url = SecretStr(engine.url.render_as_string(hide_password=False))
    settings = Settings(home=tmp_path, database_url=url, user="tess", approval="auto", drift_min_rows=100)
    assert train(engine, settings, END_OF_MONTH_0, CONFIGURATION).approved
    night = date(2023, 2, 28)
    assert score_portfolio(engine, night, partition_rows=500).rows == 1200
    # What the owner published the pipeline may replace, and the other way round.
    assert score_portfolio(platform.owner, night).rows == 1200
    assert score_portfolio(engine, night).rows == 1200
    assert report_drift(engine, settings, night).rows == 600
    assert len(report_performance(engine, night).months) == 1
    _record(platform.owner, 150)
    window = Monitor(engine, settings, size=100).close_window()
    assert window is not None
    assert window.rows == 100
    assert replay_days(engine, night, night).is_exact
    assert seal_quotes(engine).quotes == 150
    assert verify_audit(engine).is_intact
    _analysts_read(platform.engines[Role.READING], night)
    archived = archive_scores(engine, night, tmp_path / "archive")
    assert archived is not None
    assert archived.rows == 1200


def _analysts_read(engine: Engine, night: date) -> None:
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT rows FROM motorisk.v_score_run")) == 1200
        assert summarise_scores(connection, night).rows == 1200
        assert drift_of_night(connection, night).rows == 600
        assert heat_map(connection).months
        model = champion(connection)
        assert card_of(connection, model.version)
        together = "SELECT count(*) FROM insurance.policy JOIN motorisk.score USING (policy_id)"
        assert connection.scalar(text(together)) == 1200
        assert connection.scalar(text("SELECT count(*) FROM motorisk.quote WHERE channel = 'mock'")) == 150


def test_importing_adds_policies_and_outcomes(platform: Platform, tmp_path: Path) -> None:
    header = "policy_id,effective_date,training,age,emergency_braking,braking_distance,power,miles,risk,observed_on\n"
    file = tmp_path / "policies.csv"
    file.write_text(f"{header}imported,2022-01-01,0,35,1,40,90,20,1.5,2022-12-01\nyoung,2022-01-01,0,3,1,40,90,20,,\n")
    done = import_file(platform.engines[Role.IMPORTING], file)
    assert (done.policies, done.outcomes, done.quarantined) == (1, 1, 1)


def test_an_approver_decides_and_does_nothing_else(platform: Platform, offer: Callable[..., int]) -> None:
    version = offer(platform.owner, 1.25, trained_by="ada")
    with platform.engines[Role.REGISTRY].begin() as connection:
        shadows.start(connection, version, by="uma")
    with platform.engines[Role.REGISTRY].begin() as connection:
        assert transitions.approve(connection, version, by="uma").state == "approved"
    other = offer(platform.owner, 1.5, trained_by="ada")
    with platform.engines[Role.REGISTRY].begin() as connection:
        transitions.approve(connection, other, by="uma")
        assert transitions.rollback(connection, by="uma").version == version
        found = find_champion(connection)
    assert found is not None
    assert found.version == version


@pytest.mark.parametrize("role", [Role.PIPELINE, Role.REGISTRY])
def test_nobody_changes_a_champion_past_the_registry(warehouse: Engine, role: Role, offer: Callable[..., int]) -> None:
    version, other = (offer(warehouse, intercept, trained_by="ada") for intercept in (1.0, 1.5))
    with warehouse.begin() as connection:
        grant(connection, login_of(role), [role])
        transitions.approve(connection, version, by="uma")
    engine = create_engine(warehouse.url.set(username=login_of(role)), poolclass=NullPool)

    def attempt(change: str, told: str | None = None, number: int = version) -> None:
        with engine.begin() as connection:
            if told is not None:
                event = "INSERT INTO motorisk.model_event (version, event, actor) VALUES (:number, :told, 'eve')"
                connection.execute(text(event), {"number": number, "told": told})
            connection.execute(text(f"UPDATE motorisk.model_version SET {change} WHERE version = {number}"))

    approve = "state = 'approved', approved_at = now(), approved_by"
    for change, told, number, because in (
        ("state = 'retired'", None, version, "became retired without a word in the audit trail"),
        ("state = 'retired'", "approved", version, "became retired without a word in the audit trail"),
        ("state = 'validated'", "validated", version, "an? approved version cannot become validated"),
        ("approved_by = 'eve'", None, version, "who approved it stands"),
        (f"{approve} = ' ADA '", "approved", other, "whoever trained it cannot approve it"),
        (f"{approve} = 'eve'", "approved", other, "one_champion"),
        ("state = 'retired'", "retired", other, "a validated version cannot become retired"),
    ):
        with pytest.raises(DBAPIError, match=because):
            attempt(change, told, number)
    attempt("state = 'retired'", "retired")
    with pytest.raises(DBAPIError, match="without a word in the audit trail"):
        attempt(f"{approve} = 'eve'", None, other)
    attempt(f"{approve} = 'eve'", "approved", other)


def test_a_login_is_granted_once_and_limited(platform: Platform) -> None:
    with platform.owner.begin() as connection:
        first = grant(connection, "once@insurer", [Role.QUOTING], "pass'word%")
        again = grant(connection, "once@insurer", [Role.QUOTING])
        both = grant(connection, "once@insurer", [Role.READING])
        stored = connection.scalar(text("SELECT rolpassword FROM pg_authid WHERE rolname = 'once@insurer'"))
    assert (first.roles, first.created, first.password_set) == (["quoting"], True, True)
    assert (again.roles, again.created, again.password_set) == (["quoting"], False, False)
    assert both.roles == ["quoting", "reading"]
    assert str(stored).startswith("SCRAM-SHA-256$")


def test_the_command_grants_and_a_login_that_may_not_is_told_so_in_one_line(
    platform: Platform, command: Callable[..., Any]
) -> None:
    def motorisk(engine: Engine, *arguments: str) -> Any:
        url = engine.url.render_as_string(hide_password=False)
        return command({"MOTORISK_DATABASE_URL": url, "CLERKS_PASSWORD": "sesame"}, *arguments)

    grant_clerk = ("db", "grant", "clerk", "--role", "reading", "--role", "registry")
    done = motorisk(platform.owner, *grant_clerk, "--password-from-env", "CLERKS_PASSWORD", "--json")
    said = json.loads(done.stdout)
    assert said == {"login": "clerk", "roles": ["registry", "reading"], "created": True, "password_set": True}
    refused = motorisk(platform.owner, *grant_clerk, "--password-from-env", "NOBODYS")
    assert (refused.returncode, "NOBODYS holds no password" in refused.stderr) == (1, True)
    denied = motorisk(platform.engines[Role.READING], "clients", "list")
    assert denied.returncode == 1
    assert denied.stderr.startswith("Permission missing: permission denied for table api_key")
    assert denied.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("login", "because"),
    [
        ("postgres", "administrator"),
        ("motorisk_reading", "not with pg_ or motorisk_"),
        ("pg_monitor", "not with pg_ or motorisk_"),
        ('x" SUPERUSER', "a login's name is"),
        ("", "a login's name is"),
    ],
)
def test_what_cannot_be_a_limited_login_is_refused(platform: Platform, login: str, because: str) -> None:
    with pytest.raises(InvalidData, match=because), platform.owner.begin() as connection:
        grant(connection, login, [Role.READING])


# --- the roles of a cluster -------------------------------------------------------------------------------------------


@pytest.fixture
def other_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server whose cluster has no roles yet; `{login}` and `{database}` in their places."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("cluster") / "postgres")
    address = server.ensure_running()
    try:
        yield address.replace("postgres@/", "{login}@/")
    finally:
        server.stop()


def _engine(address: str, database: str, login: str = "postgres") -> Engine:
    return create_engine(address.format(database=database, login=login), poolclass=NullPool)


def _run(address: str, *statements: str) -> None:
    with _engine(address, "postgres").connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))


def _upgrading(address: str, database: str, login: str = "postgres") -> subprocess.Popen[str]:
    url = address.format(database=database, login=login)
    code = "import sys, sqlalchemy, motorisk.warehouse.migrate as m; m.upgrade(sqlalchemy.create_engine(sys.argv[1]))"
    command = [sys.executable, "-c", code, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_databases_of_one_cluster_migrate_at_once_and_by_logins_that_are_no_administrators(other_cluster: str) -> None:
    _run(
        other_cluster,
        "CREATE ROLE ops LOGIN CREATEROLE",
        "CREATE ROLE plain LOGIN",
        *(f"CREATE DATABASE at_once_{number}" for number in range(3)),
        "CREATE DATABASE by_ops OWNER ops",
        "CREATE DATABASE by_plain OWNER plain",
    )
    plain = _engine(other_cluster, "by_plain", "plain")
    with pytest.raises(PermissionMissing, match="an administrator has to run CREATE ROLE motorisk_pipeline NOLOGIN"):
        upgrade(plain)
    # Processes: two migrations in one process are beyond Alembic.
    for process in [_upgrading(other_cluster, f"at_once_{number}") for number in range(3)]:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
    _run(
        other_cluster,
        *(f"DROP DATABASE at_once_{number}" for number in range(3)),
        *(f"DROP ROLE {role.group}" for role in Role),
    )
    ops = _engine(other_cluster, "by_ops", "ops")
    upgrade(ops)
    with pytest.raises(PermissionMissing, match="has to run GRANT motorisk_pipeline TO plain"):
        upgrade(plain)
    _run(other_cluster, "GRANT motorisk_pipeline TO plain")
    upgrade(plain)
    with ops.begin() as connection:
        assert grant(connection, "service", [Role.QUOTING]).created
    with _engine(other_cluster, "by_ops", "service").connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM motorisk.quote")) == 0
    with pytest.raises(PermissionMissing, match="may not create roles"), plain.begin() as connection:
        grant(connection, "another", [Role.QUOTING])
    for engine in (ops, plain):
        downgrade(engine, "0009")
        upgrade(engine)
        downgrade(engine, "base")
        upgrade(engine)
