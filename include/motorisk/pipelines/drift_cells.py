"""Columns that the database adds up: of millions of rows, counts and sums by cell of a grid cross the connection.

`monitoring/columns.py` states the error bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from psycopg2 import sql
from sqlalchemy import Connection

from motorisk.monitoring.columns import Column, Counts, Floats, Grid, Sketch
from motorisk.monitoring.measures import MEASURES
from motorisk.monitoring.reference import Reference

Columns = dict[str, Column]

# One whole number to group by; the cells beside the grid's, -1 and the last, are the outliers' below and above.
_CELLS = sql.SQL(
    """
    SELECT {period} * (%(cells)s + 2) + 1
           + least(greatest(floor(({value} - %(lower)s) / %(width)s), -1), %(cells)s)::integer,
           count(*), sum({value})
    FROM {source} AND {value} IS NOT NULL
    GROUP BY 1
    """
)
_ONE = sql.SQL("1")
_COUNTS = sql.SQL("SELECT {period}, count(*), {counts} FROM {source} GROUP BY 1")
_VALUES = sql.SQL("SELECT {values} FROM {source}")


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of the database: what stands after FROM (with a WHERE), and the SQL of each measure.

    `period` gives the number of the period that a row belongs to, from 1 on. Flags are never null.
    """

    rows: sql.Composable
    values: Mapping[str, sql.Composable]
    parameters: Mapping[str, object]
    period: sql.Composable = field(default_factory=lambda: _ONE)


def exact_columns(connection: Connection, reference: Reference, source: Source) -> Columns:
    """Every value of the source's rows."""
    query = _VALUES.format(values=sql.SQL(", ").join(source.values.values()), source=source.rows)
    values = np.array(_rows(connection, query, source.parameters), dtype=np.float64)
    return {name: reference.column(name, values[:, column]) for column, name in enumerate(source.values)}


def reduced_columns(connection: Connection, reference: Reference, source: Source, periods: int) -> list[Columns]:
    """What the database adds up, by period; nothing in periods without rows."""
    found: list[Columns] = [{} for _ in range(periods)]
    flags = [name for name in source.values if MEASURES[name].is_flag]
    numbers = [name for name in source.values if name not in flags]
    missing = _count(connection, source, flags, numbers, found)
    for name in numbers:
        grid = Grid(reference.ranges[name])
        asked = {"lower": grid.tolerated.lower, "width": grid.width, "cells": grid.cells}
        query = _CELLS.format(period=source.period, value=source.values[name], source=source.rows)
        rows = np.array(_rows(connection, query, {**source.parameters, **asked})).reshape(-1, 3)
        filled, cells = np.divmod(rows[:, 0].astype(np.int64), grid.cells + 2)
        for number in missing:
            here = filled == number
            sketch = _sketched(grid, cells[here] - 1, rows[here, 1].astype(np.int64), rows[here, 2].astype(np.float64))
            sketch.missing = missing[number][name]
            found[number - 1][name] = sketch.column()
    return found


def _count(
    connection: Connection, source: Source, flags: list[str], numbers: list[str], found: list[Columns]
) -> dict[int, dict[str, int]]:
    """Fill the flags' columns in; return how many rows of each period lack each number."""
    having = [sql.SQL("count(*) FILTER (WHERE {})").format(source.values[name]) for name in flags]
    having += [sql.SQL("count({})").format(source.values[name]) for name in numbers]
    query = _COUNTS.format(period=source.period, counts=sql.SQL(", ").join(having), source=source.rows)
    missing = {}
    for number, total, *counts in _rows(connection, query, source.parameters):
        for name, count in zip(flags, counts, strict=False):
            found[number - 1][name] = Column(np.array([0.0, 1.0]), np.array([total - count, count], dtype=np.float64))
        missing[number] = {name: total - count for name, count in zip(numbers, counts[len(flags) :], strict=True)}
    return missing


def _sketched(grid: Grid, cells: Counts, counts: Counts, sums: Floats) -> Sketch:
    """What a sketch would hold after adding the rows of these cells; -1 and the last are beside the grid."""
    sketch = Sketch(grid)
    inside = (cells >= 0) & (cells < grid.cells)
    sketch.counts[cells[inside]] = counts[inside]
    sketch.sums[cells[inside]] = sums[inside]
    for beside, cell, value in ((-1, 0, grid.tolerated.lower), (grid.cells, grid.cells - 1, grid.tolerated.upper)):
        outliers = int(counts[cells == beside].sum())
        sketch.counts[cell] += outliers
        sketch.sums[cell] += outliers * value
        sketch.outliers += outliers
    return sketch


def _rows(connection: Connection, query: sql.Composable, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Rows by the driver itself: a hundred thousand cells need no objects of SQLAlchemy's."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101  the connection is open
    with driver.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
