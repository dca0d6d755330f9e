"""Migrations go up and down, and their tables are those that the code knows."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from motorisk.errors import SchemaOutdated
from motorisk.warehouse import migrations
from motorisk.warehouse.migrate import downgrade, upgrade
from motorisk.warehouse.schema import LATEST_REVISION, current_revision, require_current
from motorisk.warehouse.tables import metadata

SCHEMAS = ("insurance", "motorisk")


def _tables(engine: Engine) -> set[str]:
    return {f"{schema}.{name}" for schema in SCHEMAS for name in inspect(engine).get_table_names(schema=schema)}


def test_migrations_go_down_to_nothing_and_up_again(warehouse: Engine) -> None:
    before = _tables(warehouse)
    downgrade(warehouse, "base")
    assert current_revision(warehouse) is None
    assert not set(SCHEMAS) & set(inspect(warehouse).get_schema_names())
    upgrade(warehouse)
    assert current_revision(warehouse) == LATEST_REVISION
    assert _tables(warehouse) == before


def test_the_code_names_the_newest_migration() -> None:
    assert ScriptDirectory(Path(migrations.__file__).parent).get_current_head() == LATEST_REVISION


def test_upgrading_again_changes_nothing(warehouse: Engine) -> None:
    upgrade(warehouse)
    require_current(warehouse)


@pytest.mark.fault("two at once")
def test_two_upgrades_at_once_wait_for_each_other(warehouse: Engine) -> None:
    downgrade(warehouse, "base")
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(upgrade, warehouse) for _ in range(2)]:
            done.result()
    require_current(warehouse)


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_the_migrations_make_the_columns_that_the_code_knows(warehouse: Engine, name: str) -> None:
    table = metadata.tables[name]
    found = {column["name"]: column for column in inspect(warehouse).get_columns(table.name, schema=table.schema)}
    assert list(found) == [column.name for column in table.columns]
    for column in table.columns:
        in_database = found[column.name]
        kinds = [kind.compile(warehouse.dialect) for kind in (in_database["type"], column.type)]
        assert kinds[0] == kinds[1], column.name
        assert in_database["nullable"] == column.nullable, column.name


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_the_migrations_say_what_each_table_is_for_and_each_column_means(warehouse: Engine, name: str) -> None:
    table, found = metadata.tables[name], inspect(warehouse)
    assert found.get_table_comment(table.name, schema=table.schema)["text"] == table.comment
    columns = found.get_columns(table.name, schema=table.schema)
    assert [column["name"] for column in columns if not column["comment"]] == []
    nullable = [column for column in columns if column["nullable"]]
    assert [column["name"] for column in nullable if "null: " not in (column["comment"] or "")] == []


def test_a_downgrade_leaves_the_comments_that_there_were(warehouse: Engine) -> None:
    def comments() -> set[tuple[str, str, str | None]]:
        found = inspect(warehouse)
        return {
            (key[1], column["name"], column["comment"])
            for schema in SCHEMAS
            for key, columns in found.get_multi_columns(schema=schema).items()
            for column in columns
        } | {
            (key[1], "", comment["text"])
            for schema in SCHEMAS
            for key, comment in found.get_multi_table_comment(schema=schema).items()
        }

    after = comments()
    downgrade(warehouse, "0012")
    left = comments()
    upgrade(warehouse)
    assert comments() == after
    downgrade(warehouse, "base")
    upgrade(warehouse, "0012")
    assert left == comments() != after


@pytest.mark.fault("migrations ahead")
def test_a_database_behind_or_ahead_says_what_to_do(warehouse: Engine) -> None:
    downgrade(warehouse, "base")
    with pytest.raises(SchemaOutdated, match="run `motorisk db upgrade`"):
        require_current(warehouse)
    upgrade(warehouse)
    with warehouse.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaOutdated, match="newer than this code"):
        require_current(warehouse)


POLICY = (
    "INSERT INTO insurance.policy (policy_id, effective_date, expiry_date, training, age, emergency_braking, "
    "braking_distance, power, miles) VALUES "
)


@pytest.mark.bad_input("policy")
@pytest.mark.parametrize(
    "values",
    [
        "('', '2024-01-01', '2025-01-01', false, 35, false, 40, 90, 20)",
        "('p', '2024-01-01', '2024-01-01', false, 35, false, 40, 90, 20)",
        "('p', '2024-01-01', '2025-01-01', false, 14.9, false, 40, 90, 20)",
        "('p', '2024-01-01', '2025-01-01', false, 'NaN', false, 40, 90, 20)",
        "('p', '2024-01-01', '2025-01-01', false, 35, false, 0, 90, 20)",
        "('p', '2024-01-01', '2025-01-01', false, 35, false, 'Infinity', 90, 20)",
        "('p', '2024-01-01', '2025-01-01', false, 35, false, 40, 'NaN', 20)",
        "('p', '2024-01-01', '2025-01-01', false, 35, false, 40, 90, -0.1)",
        "('p', '2024-01-01', '2025-01-01', null, 35, false, 40, 90, 20)",
    ],
)
def test_the_database_itself_refuses_impossible_policies(warehouse: Engine, values: str) -> None:
    with pytest.raises(IntegrityError), warehouse.begin() as connection:
        connection.execute(text(POLICY + values))


@pytest.mark.fault("tampered records")
def test_the_audit_trail_and_the_ledger_accept_no_change(warehouse: Engine) -> None:
    with warehouse.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO motorisk.quote (quote_id, channel, effective_date, training, age, emergency_braking, "
                "braking_distance, power, miles) "
                "VALUES (gen_random_uuid(), 'mock', now(), false, 35, false, 40, 90, 20)"
            )
        )
    for statement in ("UPDATE motorisk.quote SET age = 36", "DELETE FROM motorisk.quote"):
        with pytest.raises(ProgrammingError, match="append-only"), warehouse.begin() as connection:
            connection.execute(text(statement))


def test_the_ledger_takes_quotes_of_the_page_and_no_unknown_channel(warehouse: Engine) -> None:
    row = (
        "INSERT INTO motorisk.quote (quote_id, channel, effective_date, training, age, emergency_braking, "
        "braking_distance, power, miles, version, digest, tariff, predictor, risk_class, p_low, p_medium, p_high, "
        "net, insurance_tax, gross) VALUES (gen_random_uuid(), :channel, now(), false, 35, false, 40, 90, 20, "
        "1, 'd', 'standard', 'rules', 'low', 100000000, 0, 0, 100, 19, 119)"
    )
    with warehouse.begin() as connection:
        connection.execute(text(row), {"channel": "page"})
    with pytest.raises(IntegrityError, match="quote_channel_check"), warehouse.begin() as connection:
        connection.execute(text(row), {"channel": "window"})
    downgrade(warehouse, "0002")
    with warehouse.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM motorisk.quote WHERE channel = 'page'")) == 1
    with pytest.raises(IntegrityError, match="quote_channel_check"), warehouse.begin() as connection:
        connection.execute(text(row), {"channel": "page"})
    upgrade(warehouse)
