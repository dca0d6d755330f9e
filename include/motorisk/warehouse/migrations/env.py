"""What Alembic runs for each command: the connection comes from `motorisk.warehouse.migrate`."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=True, version_table_schema="public")
with context.begin_transaction():
    context.run_migrations()
