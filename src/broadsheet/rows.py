"""Rows: takes a file of rows, gives them one after another, each with its line, or the problem in its place.

They come as JSON Lines, as a JSON document, or as Parquet; only what is one JSON value without loss is a row.
"""

from __future__ import annotations

import codecs
import datetime
import decimal
import io
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import ahocorasick_rs
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from broadsheet import jsonl, reading
from broadsheet.jsonl import MAX_DEPTH, Rejected
from broadsheet.problems import Problem
from broadsheet.reading import Line

#: The longest JSON document, and the number of rows of a Parquet file that are held at once.
MAX_DOCUMENT = 64 << 20
PARQUET_ROWS = 16
#: A table that is larger than this, and this many times its file's size, is no data that somebody meant to publish.
PARQUET_BOMB_SIZE = 256 << 20
PARQUET_BOMB_RATIO = 1000
#: A row, or what is wrong in its place, with its line.
Rows = Iterator[tuple[int, Any] | Problem]
# U+0000, and the bidirectional controls U+202A..202E and U+2066..2069: as bytes of UTF-8, and escaped. A line is
# searched for the starts of them all at once; few lines have one, and only those are looked at closely.
_SUSPECTS = ahocorasick_rs.BytesAhoCorasick(
    [chr(point).encode() for point in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]
    + [rb"\u0000", rb"\u202", rb"\u206"],
    matchkind=ahocorasick_rs.MatchKind.LeftmostFirst,
)
_CONTROLS = re.compile(rb"\xe2(?:\x80[\xaa-\xae]|\x81[\xa6-\xa9])")
_ESCAPED_CONTROLS = re.compile(rb"\\u20(?:2[a-eA-E]|6[6-9])")


def json_lines(lines: Iterator[Line], path: str, loads: Callable[[bytes], Any] = jsonl.loads) -> Rows:
    """Give the rows of the *lines* of a JSON Lines file, each as *loads* gives it.

    This loop and that of the gate are what a check of millions of rows is made of: a line that is as it should be
    passes few steps here, and whatever is not goes elsewhere.
    """
    suspects = _SUSPECTS.find_matches_as_indexes
    empty = number = 0
    for line in lines:
        data, number, offset, cut = line
        if data.isspace():
            empty += 1
            continue
        if empty:
            yield _empty_lines(path, number, empty)
            empty = 0
        if offset == 0 or cut:
            yield from _special_line(line, path, loads)
            continue
        if suspects(data):
            yield from _controls(data, path, number)
        try:
            yield number, loads(data)
        except (Rejected, UnicodeDecodeError) as error:
            yield _unreadable(error, line, path)
    if empty:
        yield _empty_lines(path, number + 1, empty)


def _special_line(line: Line, path: str, loads: Callable[[bytes], Any]) -> Rows:
    """Give the row of a file's first line, which may start with what is no row, or the problem of one that is cut."""
    data, number, _, cut = line
    if cut:
        yield Problem("BS111", path, f"the line is longer than {reading.MAX_LINE >> 20} MiB", line=number)
        return
    if found := _preamble(data, path):
        yield found
        if found.severity == "error":
            return
        data = data[len(codecs.BOM_UTF8) :]
    yield from _controls(data, path, number)
    try:
        yield number, loads(data)
    except (Rejected, UnicodeDecodeError) as error:
        yield _unreadable(error, line, path)


def _unreadable(error: Rejected | UnicodeDecodeError, line: Line, path: str) -> Problem:
    if isinstance(error, Rejected):
        return Problem(error.code, path, str(error), line=line.number)
    return jsonl.not_utf8(line.data, error, path, line.number, line.offset)


def _empty_lines(path: str, after: int, count: int) -> Problem:
    """Warn of *count* empty lines in a row, the last of them right before line *after*."""
    message = "the line is empty" if count == 1 else f"{count:,} lines from here on are empty"
    return Problem("BS118", path, message, line=after - count, severity="warning")


def _controls(line: bytes, path: str, number: int) -> Iterator[Problem]:
    if re.search(rb"\\u0000", line) and "\0" in str(_or_none(line)):
        yield Problem("BS109", path, "a string holds U+0000", line=number)
    if _CONTROLS.search(line) or _ESCAPED_CONTROLS.search(line):
        yield Problem("BS110", path, "a text holds bidirectional control characters", line=number, severity="warning")


def _or_none(line: bytes) -> Any:
    try:
        return orjson.dumps(orjson.loads(line)).decode().replace("\\u0000", "\0")
    except orjson.JSONDecodeError:
        return None


def _preamble(data: bytes, path: str) -> Problem | None:
    """Give the problem of what a file starts with, if it is one: a byte order mark, or a pointer of Git LFS."""
    if data.startswith(codecs.BOM_UTF8):
        return Problem("BS116", path, "the file starts with a byte order mark; it was skipped", severity="warning")
    return lfs_pointer(data, path)


def lfs_pointer(data: bytes, path: str) -> Problem | None:
    """Give the problem that *data* is a pointer of Git LFS, if it is."""
    if not data.startswith(reading.LFS_POINTER):
        return None
    return Problem("BS115", path, "the file is a pointer of Git LFS, not the data", hint="Run `git lfs pull`.")


def document(path: str, *, array_of_rows: bool) -> Rows:
    """Give a JSON document, as one row or as the rows of its array; rows are counted from 1, as lines are."""
    data = reading.whole(path, MAX_DOCUMENT, "One document is held in memory: use JSON Lines for many rows.")
    if found := _preamble(data, path):
        yield found
        if found.severity == "error":
            return
        data = data[len(codecs.BOM_UTF8) :]
    yield from _controls(data, path, 1)
    try:
        value = jsonl.loads(data)
        if jsonl.depth(value) > MAX_DEPTH:
            raise jsonl.too_deep()
    except UnicodeDecodeError as error:
        yield jsonl.not_utf8(data, error, path, data.count(b"\n", 0, error.start) + 1, 0)
        return
    except Rejected as error:
        yield Problem(error.code, path, str(error), line=1)
        return
    if not array_of_rows:
        yield 1, value
    elif isinstance(value, list):
        yield from enumerate(value, start=1)
    else:
        yield Problem("BS204", path, "with --rows, the document must be an array of rows", line=1)


def parquet(path: str, check_columns: Callable[[pa.Schema], list[Problem]]) -> Rows:
    """Give the rows of a Parquet file, few at a time."""
    with reading.opened(path) as stream:
        source = stream if stream.seekable() else io.BytesIO(stream.read())
        if found := lfs_pointer(source.read(len(reading.LFS_POINTER)), path):
            yield found
            return
        size = source.seek(0, io.SEEK_END)
        try:
            file = pq.ParquetFile(source, page_checksum_verification=True)
            if problems := check_columns(file.schema_arrow):
                yield from problems
                return
            yield from _batch_rows(file, path, size)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            yield Problem("BS504", path, f"it cannot be read: {error}")


def _batch_rows(file: pq.ParquetFile, path: str, size: int) -> Rows:
    number = expanded = 0
    for batch in file.iter_batches(batch_size=PARQUET_ROWS):
        expanded += batch.nbytes
        if expanded > PARQUET_BOMB_SIZE and expanded > PARQUET_BOMB_RATIO * size:
            yield Problem("BS114", path, f"{size:,} bytes grew to more than {expanded:,}", line=number + 1)
            return
        for row in batch.to_pylist():
            number += 1
            try:
                yield number, as_json(row)
            except Rejected as error:
                yield Problem(error.code, path, str(error), line=number)


def as_json(value: Any) -> Any:
    """Give what pyarrow gives for a value as JSON has it: dates and times in ISO 8601, decimals as numbers."""
    match value:
        case int() if not -(2**63) <= value < 2**63:
            raise Rejected("BS113", f"{value} does not fit in a signed 64-bit integer")
        case None | str() | bool() | int():
            return value
        case dict():
            return {key: as_json(item) for key, item in value.items()}
        case list():
            return [as_json(item) for item in value]
        case float():
            if not math.isfinite(value):
                raise Rejected("BS107", f"the row is no JSON value: {value} is not JSON")
            return value
        case datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal():
            return as_json(int(value)) if value == value.to_integral_value() else float(value)
        case _:
            raise Rejected("BS107", f"the row is no JSON value: it holds {type(value).__name__}")
