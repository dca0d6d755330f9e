"""Postgres: connections, the embedded server, tables, migrations and bulk loading."""
