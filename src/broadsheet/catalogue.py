"""The catalogue: takes the flat columns of every row of every shard, gives what only all rows together can tell.

That are keys and texts which are there twice, references to rows that are not there, the logical digest, and figures.
The columns lie on disk; DuckDB sorts, joins and counts them in bounded memory.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from broadsheet import contract, tables
from broadsheet.rules import Given
from broadsheet.sql import literal

#: The columns that are entered of each table, beside the digest and the place of each row.
COLUMNS: Mapping[str, Sequence[str]] = {
    "articles": (
        *("id", "text_sha256", "duplicate_of", "language", "genre", "publisher", "author", "published"),
        *("published_precision", "n_chars", "n_words", "n_paragraphs", "rights"),
    ),
    "paragraphs": ("article_id", "index"),
    "stances": (
        *("article_id", "target_id", "annotator_id", "annotator_kind", "stance", "intensity", "is_gold"),
        *("aggregation", "publisher"),
    ),
}
MEMORY = "192MB"


class Place(NamedTuple):
    """Where a row stands: its *line* in the *path*, counted from the start of the input's *stretch*, if it has one."""

    split: str
    stretch: int
    path: str
    line: int


class Entries:
    """What one shard enters into the catalogue."""

    def __init__(self, split: str) -> None:
        """Start with no rows, all of the *split*."""
        self._split = split
        self._batches: dict[str, list[pa.RecordBatch]] = {table: [] for table in COLUMNS}

    def add(self, table: str, batch: pa.RecordBatch, rows: Sequence[Given], more: Mapping[str, pa.Array]) -> None:
        """Enter the *rows* of *table*, which are those of *batch*; *more* has columns that the batch has not."""
        arrays = {name: more[name] if name in more else batch.column(name) for name in COLUMNS[table]}
        arrays |= {
            "digest": pa.array([tables.row_digest(row.canonical) for row in rows], pa.binary(32)),
            "split": pa.repeat(self._split, len(rows)),
            "stretch": pa.array([row.stretch for row in rows], pa.int32()),
            "path": pa.array([row.path for row in rows], pa.string()),
            "line": pa.array([row.line for row in rows], pa.int32()),
        }
        self._batches[table].append(pa.record_batch(arrays))

    def encoded(self) -> dict[str, bytes]:
        """Give the entries of each table that has rows as the bytes of a Parquet file."""
        return {
            table: tables.to_parquet_bytes(pa.Table.from_batches(batches))
            for table, batches in self._batches.items()
            if batches
        }


class Catalogue:
    """The entries of all shards, in a *folder* of its own."""

    def __init__(self, folder: Path) -> None:
        """Start with no entries in *folder*."""
        self._folder = folder
        self._tables: set[str] = set()
        self._count = 0
        self._database: duckdb.DuckDBPyConnection | None = None

    def enter(self, entries: Mapping[str, bytes]) -> None:
        """Take the encoded *entries* of one more shard."""
        self._count += 1
        for table, data in entries.items():
            self._tables.add(table)
            (self._folder / f"{table}-{self._count:06d}.parquet").write_bytes(data)

    @property
    def tables(self) -> list[str]:
        """The tables that have rows, in order."""
        return [table for table in contract.TABLES if table in self._tables]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Give the rows of a query over the views of the tables."""
        found: list[tuple[Any, ...]] = self._connection().execute(sql).fetchall()
        return found

    def digests(self) -> dict[str, str]:
        """Give the digest of each table that has rows: see `tables.digest`."""
        return {table: self._digest(table) for table in self.tables}

    def repeated(self, table: str, columns: Sequence[str], where: str = "true") -> Iterator[tuple[Place, Place]]:
        """Give the places of rows whose *columns* are those of an earlier row, each after the earliest one's."""
        key = ", ".join(f'"{column}"' for column in columns)
        sql = f"""
            WITH twice AS (SELECT {key} FROM {table} WHERE {where} GROUP BY ALL HAVING count(*) > 1)
            SELECT {key}, split, stretch, path, line FROM {table} SEMI JOIN twice USING ({key}) WHERE {where}
            ORDER BY stretch, line, path
        """
        first: dict[tuple[Any, ...], Place] = {}
        for row in self.query(sql):
            place = Place(*row[len(columns) :])
            if first.setdefault(row[: len(columns)], place) is not place:
                yield first[row[: len(columns)]], place

    def missing(self, table: str, column: str) -> Iterator[tuple[str, Place]]:
        """Give each value of *column* that is no article's id, with its place."""
        sql = f"""
            SELECT "{column}", split, stretch, path, line FROM {table}
            WHERE "{column}" IS NOT NULL AND "{column}" NOT IN (SELECT id FROM articles)
            ORDER BY stretch, line, path
        """
        for value, *place in self.query(sql):
            yield value, Place(*place)

    def unknown_targets(self, targets: Sequence[str]) -> Iterator[tuple[str, Place]]:
        """Give each target of a stance that is none of *targets*, with its place."""
        if "stances" not in self._tables:
            return
        known = ", ".join(map(literal, targets))
        sql = f"""
            SELECT target_id, split, stretch, path, line FROM stances
            WHERE target_id NOT IN ({known}) ORDER BY stretch, line, path
        """
        for value, *place in self.query(sql):
            yield value, Place(*place)

    def leaks(self) -> Iterator[tuple[Place, Place]]:
        """Give the places of articles that are duplicates of one in another split, each after that one's."""
        sql = """
            SELECT b.split, b.stretch, b.path, b.line, a.split, a.stretch, a.path, a.line
            FROM articles a JOIN articles b ON a.duplicate_of = b.id WHERE a.split <> b.split
            ORDER BY a.stretch, a.line, a.path
        """
        for row in self.query(sql):
            yield Place(*row[:4]), Place(*row[4:])

    def ids(self) -> Iterator[str]:
        """Give the ids of all articles, sorted by code points."""
        for batch in self._connection().sql("SELECT id FROM articles ORDER BY id").to_arrow_reader(100_000):
            yield from batch.column(0).to_pylist()

    def close(self) -> None:
        """Let go of the database."""
        if self._database is not None:
            self._database.close()

    def _digest(self, table: str) -> str:
        key = ", ".join(f'"{column}"' for column in contract.primary_key(contract.table_schema(table)))
        hasher = hashlib.sha256()
        sql = f"SELECT digest FROM {table} ORDER BY {key}, digest"
        for batch in self._connection().sql(sql).to_arrow_reader(100_000):
            column = batch.column(0).cast(pa.binary(32))
            hasher.update(memoryview(column.buffers()[1])[32 * column.offset : 32 * (column.offset + len(column))])
        return hasher.hexdigest()

    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._database is None:
            self._database = duckdb.connect(
                config={"memory_limit": MEMORY, "temp_directory": str(self._folder / "spill"), "threads": 2}
            )
            for table in self.tables:
                files = f"{glob.escape(str(self._folder))}/{table}-*.parquet"
                self._database.execute(f"CREATE VIEW {table} AS FROM read_parquet({literal(files)})")
        return self._database
