"""Tables: takes rows, gives Arrow and Parquet, and takes them back; and the digest of the rows themselves."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from broadsheet import contract, jsonl
from broadsheet.contract import Row, Schema

Tables = Mapping[str, Sequence[Row]]

#: Rows in a row group, at most. Text of ordinary articles keeps a group far below 100 MB uncompressed.
ROW_GROUP_ROWS = 10_000


def to_arrow(rows: Iterable[Row], schema: Schema) -> pa.Table:
    """Give *rows* as an Arrow table with the types of *schema*; each column is one chunk."""
    arrow_schema = contract.arrow_schema(schema)
    return pa.Table.from_pylist([_to_arrow_row(row, arrow_schema) for row in rows], schema=arrow_schema)


def from_arrow(table: pa.Table) -> list[Row]:
    """Give the rows of *table* as JSON values: a date becomes YYYY-MM-DD."""
    return [{name: _to_json(value) for name, value in row.items()} for row in table.to_pylist()]


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write *table* to *path*: zstd, with page index and page checksums, the same bytes for the same rows."""
    pq.write_table(
        table.combine_chunks(),
        path,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=3,
        write_page_index=True,
        write_page_checksum=True,
    )


def read_parquet(path: Path) -> pa.Table:
    """Give the table in *path*, page checksums verified; raise what pyarrow raises on a damaged file."""
    # One file, read as such: a path with `=` in it is no partition.
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read()


def digest(tables: Tables) -> str:
    """Give the logical digest of *tables*: ``sha256:`` and 64 hexadecimal digits.

    It depends on the rows alone, not on files, formats or the order of rows: each table is the SHA-256 of its rows in
    canonical JSON (RFC 8785), sorted by primary key, each ended by a line feed; the whole is the SHA-256 of the lines
    ``<table's digest>  <table>`` in the tables' order.
    """
    lines = (f"{table_digest(table, rows)}  {table}\n" for table, rows in tables.items())
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def table_digest(table: str, rows: Sequence[Row]) -> str:
    """Give the SHA-256 of one table's rows, as `digest` folds it in."""
    key = contract.primary_key(contract.table_schema(table))
    ordered = sorted(rows, key=lambda row: [row[column] for column in key])
    return hashlib.sha256(b"".join(jsonl.canonical(row) + b"\n" for row in ordered)).hexdigest()


def _to_arrow_row(row: Row, schema: pa.Schema) -> dict[str, Any]:
    # Dates stand in top-level columns only; nested values pass as they are.
    return {
        field.name: datetime.date.fromisoformat(row[field.name])
        if pa.types.is_date(field.type) and row[field.name] is not None
        else row[field.name]
        for field in schema
    }


def _to_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else value
