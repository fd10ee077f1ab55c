"""Tables: takes rows, gives Arrow and Parquet, and takes them back; and the digest of the rows themselves."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from broadsheet import contract, jsonl
from broadsheet.contract import Row, Schema

Tables = Mapping[str, Sequence[Row]]

#: The size of a row group, as Arrow, in bytes: what a process must hold of a table. The hub's viewer refuses groups
#: over 286 MiB; small ones spoil what content-defined chunking saves.
ROW_GROUP = 32 << 20
#: Columns whose values hardly repeat: a dictionary of them would be made only to be thrown away.
_DISTINCT = {"id", "title", "text", "text_sha256", "rationale"}


def to_batch(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    """Give *rows*, which keep the contract, as a record batch with the Arrow *schema* of it."""
    # A field's name is made anew each time it is asked for, so it is asked for once, and not for every row.
    columns = [[row[name] for row in rows] for name in schema.names]
    return pa.record_batch(list(map(_column, columns, schema.types)), schema=schema)


def to_arrow(rows: Iterable[Row], schema: Schema) -> pa.Table:
    """Give *rows* as an Arrow table with the types of *schema*; each column is one chunk."""
    return pa.Table.from_batches([to_batch(list(rows), contract.arrow_schema(schema))])


def from_arrow(table: pa.Table) -> list[Row]:
    """Give the rows of *table* as JSON values: a date becomes YYYY-MM-DD."""
    return [{name: _to_json(value) for name, value in row.items()} for row in table.to_pylist()]


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write *table* to *path*, as `Writer` does."""
    with path.open("wb") as file:
        writer = Writer(file, table.schema)
        for batch in table.combine_chunks().to_batches():
            writer.write(batch)
        writer.close()


def read_parquet(path: Path) -> pa.Table:
    """Give the table in *path*, page checksums verified; raise what pyarrow raises on a damaged file."""
    # One file, read as such: a path with `=` in it is no partition.
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read()


class Trace(NamedTuple):
    """What tells one row group from another, whatever its layout in memory: a *digest* (XXH3) and *num_bytes*.

    The size is that of all values, with four bytes for each string's and each list's length.
    """

    digest: bytes
    num_bytes: int


class Writer:
    """Writes record batches to one Parquet *file*: the same bytes for the same rows, however they came in batches.

    Zstandard at level 3, content-defined chunks (so that the next version shares most bytes with this one), page index
    and page checksums.
    """

    def __init__(self, file: BinaryIO | RawIOBase, schema: pa.Schema) -> None:
        """Start the file of a table with the Arrow *schema*."""
        self._schema = schema
        self._sink = _Sink(file)
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=_dictionaries(schema),
            use_content_defined_chunking=True,
            write_page_index=True,
            write_page_checksum=True,
        )
        self._waiting: list[pa.RecordBatch] = []
        self._size = self.rows = 0
        self.traces: list[Trace] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Take *batch*, which is much smaller than a row group; groups are written as they fill up."""
        self._waiting.append(batch)
        self._size += batch.nbytes
        self.rows += len(batch)
        if self._size >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the footer; a table without rows has no row group."""
        if self._waiting:
            self._flush()
        self._writer.close()
        self._sink.check()

    def _flush(self) -> None:
        # Bytes depend on how columns are chunked, so each is made one chunk; what is not needed any more goes at once.
        group = pa.Table.from_batches(self._waiting, self._schema).combine_chunks()
        self._waiting, self._size = [], 0
        self.traces.append(trace(group))
        self._writer.write_table(group, row_group_size=max(1, len(group)))
        self._sink.check()


class _Sink(RawIOBase):
    """The *file* that Arrow writes to. It keeps an error for `check`: where chunks follow the content, Arrow aborts."""

    def __init__(self, file: BinaryIO | RawIOBase) -> None:
        super().__init__()
        self._file, self._size = file, 0
        self._error: OSError | None = None

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def tell(self) -> int:
        """Give how much was written."""
        return self._size

    def write(self, data: Any) -> int:
        """Write *data*, or drop it, after an error."""
        size = memoryview(data).nbytes
        try:
            if self._error is None:
                self._file.write(data)
        except OSError as error:
            self._error = error
        self._size += size
        return size

    def check(self) -> None:
        """Raise the error there was."""
        if self._error is not None:
            raise self._error


def trace(table: pa.Table) -> Trace:
    """Give the trace of *table*: equal for equal rows, whether they were made here or read from a file."""
    return _trace_columns(table.combine_chunks().columns)


def trace_file(file: IO[bytes]) -> list[Trace]:
    """Give the trace of each row group of a Parquet *file*, page checksums verified; one column is held at a time.

    Raises what pyarrow raises on a damaged file.
    """
    traces = []
    with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
        names = parquet.schema_arrow.names
        for group in range(parquet.num_row_groups):
            columns = (parquet.read_row_group(group, [name], use_threads=False).column(0) for name in names)
            traces.append(_trace_columns(columns))
    return traces


def digest(tables: Tables) -> str:
    """Give the logical digest of *tables*: ``sha256:`` and 64 hexadecimal digits.

    It depends on the rows alone, not on files, formats or the order of rows. The digest of a row is the SHA-256 of its
    canonical JSON (RFC 8785); a table's is the SHA-256 of its rows' digests, as bytes, in the order of the primary key;
    the whole is that of the tables' digests, as `fold` joins them.
    """
    return fold({table: table_digest(table, rows) for table, rows in tables.items()})


def table_digest(table: str, rows: Sequence[Row]) -> str:
    """Give the SHA-256 of one table's rows, as `digest` folds it in."""
    key = contract.primary_key(contract.table_schema(table))
    ordered = sorted(rows, key=lambda row: [row[column] for column in key])
    return hashlib.sha256(b"".join(row_digest(jsonl.canonical(row)) for row in ordered)).hexdigest()


def row_digest(canonical: bytes) -> bytes:
    """Give the SHA-256 of a row in canonical form."""
    return hashlib.sha256(canonical).digest()


def fold(digests: Mapping[str, str]) -> str:
    """Give the logical digest from the hexadecimal *digests* of the tables: that of lines ``<digest>  <table>``."""
    lines = (f"{digests[table]}  {table}\n" for table in contract.TABLES if table in digests)
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    # Dates stand in top-level columns only; nested values pass as they are.
    if pa.types.is_date(kind):
        values = [value and _date(value) for value in values]
    return pa.array(values, kind)


_date = datetime.date.fromisoformat


def _to_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else value


def _dictionaries(schema: pa.Schema) -> list[str]:
    """Give the columns of *schema* that are worth a dictionary: flat, and of values that repeat."""
    # An empty list would mean all columns.
    return [field.name for field in schema if pa.types.is_string(field.type) and field.name not in _DISTINCT] or [""]


def _trace_columns(columns: Iterable[pa.ChunkedArray]) -> Trace:
    hasher, size = xxhash.xxh3_128(), 0
    for column in columns:
        if column.num_chunks:
            whole = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
            size += _trace(whole, hasher)
    return Trace(hasher.digest(), size)


def _trace(array: pa.Array, hasher: xxhash.xxh3_128) -> int:
    """Take the values of *array* into *hasher*, nulls too, and give their size."""
    kind = array.type
    hasher.update(len(array).to_bytes(8, "little"))
    if array.null_count:
        hasher.update(np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes())
    if pa.types.is_struct(kind):
        return sum(_trace(child, hasher) for child in array.flatten())
    if pa.types.is_list(kind):
        return _trace(pc.fill_null(array.value_lengths(), 0), hasher) + _trace(array.flatten(), hasher)
    if pa.types.is_string(kind):
        return _trace(pc.fill_null(pc.binary_length(array), 0), hasher) + _trace_bytes(array, hasher)
    values = pc.fill_null(array, _zero(kind)) if array.null_count else array
    data = np.ascontiguousarray(values.to_numpy(zero_copy_only=False))
    hasher.update(data.view(np.uint8).data)
    return data.nbytes


def _trace_bytes(array: pa.Array, hasher: xxhash.xxh3_128) -> int:
    if array.null_count:
        array = pc.fill_null(array, "")
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return 0
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    start, stop = int(bounds[0]), int(bounds[-1])
    hasher.update(memoryview(data)[start:stop])
    return stop - start


def _zero(kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(0).cast(kind) if pa.types.is_boolean(kind) else pa.scalar(0, pa.int32()).cast(kind)


def to_parquet_bytes(table: pa.Table) -> bytes:
    """Give a small *table* as the bytes of a Parquet file, to be handed from one process to another."""
    sink = BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=1, write_statistics=False)
    return sink.getvalue()
