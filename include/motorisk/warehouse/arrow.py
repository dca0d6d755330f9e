"""Arrow tables from and to COPY's CSV."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import pyarrow as pa
import pyarrow.csv
from psycopg2 import sql
from sqlalchemy import Connection

from motorisk.domain.policy import FEATURES
from motorisk.warehouse.copying import copy_in

BLOCK_BYTES = 8 * 1024 * 1024

FEATURE_TYPES: dict[str, pa.DataType] = {
    name: pa.bool_() if feature.is_flag else pa.float64() for name, feature in FEATURES.items()
}
FEATURE_COLUMNS = sql.SQL(", ").join(sql.Identifier(name) for name in FEATURES)


def read_batches(content: IO[bytes], types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    """Parse what `copy_out` wrote, batch by batch; `types` names the query's columns in their order."""
    if not content.read(1):  # Arrow refuses empty input
        return
    content.seek(0)
    yield from pa.csv.open_csv(
        content,
        read_options=pa.csv.ReadOptions(column_names=list(types), block_size=BLOCK_BYTES),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict(types), true_values=["t"], false_values=["f"], strings_can_be_null=False
        ),
    )


def write_table(connection: Connection, table: str, columns: Sequence[str], rows: pa.Table) -> int:
    """COPY an Arrow table's columns into a table of the database; return the row count."""
    content = io.BytesIO()
    pa.csv.write_csv(rows.select(list(columns)), content, pa.csv.WriteOptions(include_header=False))
    content.seek(0)
    return copy_in(connection, table, columns, content)
