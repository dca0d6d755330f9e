"""Alembic migrations; each runs the SQL file of its name beside it."""
