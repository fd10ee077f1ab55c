"""Rows survive Parquet and JSON Lines, and the digest is of the rows alone."""

from __future__ import annotations

import errno
import io
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet import contract, jsonl, release, tables
from broadsheet.contract import TABLES, Row


@pytest.mark.parametrize("table", TABLES)
def test_both_formats_hold_the_same_rows(table: str, corpus_release: Path, corpus_rows: dict[str, list[Row]]) -> None:
    lines, problems = jsonl.parse((corpus_release / release.jsonl_path(table)).read_bytes(), "")
    assert problems == []
    assert [line.value for line in lines] == corpus_rows[table]
    assert corpus_rows[table]


@pytest.mark.parametrize("table", TABLES)
def test_the_arrow_types_are_the_contracts(table: str, corpus_release: Path) -> None:
    found = tables.read_parquet(corpus_release / release.parquet_path(table)).schema
    assert found.equals(contract.arrow_schema(contract.table_schema(table)))


class _Full(io.RawIOBase):
    """A file with *room* for so many bytes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if size > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._room -= size
        return size


@pytest.mark.parametrize("room", [0, 100_000, 1_000_000, 1_500_000])
def test_a_file_that_cannot_be_written_is_an_error_and_no_abort(room: int) -> None:
    # Arrow aborts where it fails while the column's dictionary is given up.
    chance = random.Random(1)  # noqa: S311 - any bytes will do
    batch = pa.record_batch({"publisher": [chance.randbytes(500).hex() for _ in range(3000)]})
    writer = tables.Writer(_Full(room), batch.schema)
    writer.write(batch)
    with pytest.raises(OSError, match="No space left"):
        writer.close()


def test_the_digest_does_not_depend_on_the_order_of_rows_or_keys(corpus_rows: dict[str, list[Row]]) -> None:
    shuffler = random.Random(1)  # noqa: S311 - any order will do
    shuffled = {
        table: [_reordered(row) for row in shuffler.sample(rows, len(rows))] for table, rows in corpus_rows.items()
    }
    assert shuffled != corpus_rows
    assert tables.digest(shuffled) == tables.digest(corpus_rows)


def _reordered(row: Row) -> Row:
    return dict(reversed(row.items()))


@pytest.mark.parametrize("table", TABLES)
def test_the_digest_depends_on_every_value(table: str, corpus_rows: dict[str, list[Row]]) -> None:
    before = tables.digest(corpus_rows)
    for column, value in corpus_rows[table][0].items():
        changed = {column: _another(value)}
        rows = corpus_rows | {table: [corpus_rows[table][0] | changed, *corpus_rows[table][1:]]}
        assert tables.digest(rows) != before, column


def _another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value + "!"
        case None:
            return "!"
        case dict():
            return value | {"note": "!"}
        case _:
            return [*value, "!"]


def test_the_digest_depends_on_the_number_of_rows(corpus_rows: dict[str, list[Row]]) -> None:
    fewer = corpus_rows | {"stances": corpus_rows["stances"][:-1]}
    assert tables.digest(fewer) != tables.digest(corpus_rows)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "Infinity is not JSON"),
        (b'{"a": 1} {"b": 2}', "extra data"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": 01}', "delimiter"),
        (b"{'a': 1}", "property name"),
    ],
)
def test_json_lines_are_read_strictly(line: bytes, message: str) -> None:
    values, (problem,) = jsonl.parse(b'{"ok": 1}\n' + line + b'\n{"ok": 2}', "a.jsonl")
    assert [value.line for value in values] == [1, 3]
    assert (problem.code, problem.line) == ("BS107", 2)
    assert message in problem.message


@pytest.mark.parametrize("line", [b"[" * 100_000, b"[" * 65 + b"]" * 65, b'{"a":' * 65 + b"1" + b"}" * 65])
def test_deep_nesting_is_one_problem(line: bytes) -> None:
    values, (problem,) = jsonl.parse(line, "a.jsonl")
    assert (values, problem.code) == ([], "BS112")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('":\\\u0022')),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.sampled_from('ab":\\ '), max_size=3), inner),
    max_leaves=12,
)


@given(json_values, st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")]), st.booleans())
def test_every_json_value_is_read_however_it_is_written(value: Any, separators: tuple[str, str], ascii_: bool) -> None:
    line = json.dumps(value, separators=separators, ensure_ascii=ascii_).encode()
    assert jsonl.loads(line) == value


@given(
    st.text(st.sampled_from('a":\\ é'), max_size=4),
    json_values,
    json_values,
    st.sampled_from([(",", ":"), (", ", ": "), (",", " :"), (",", "\t:")]),
    st.booleans(),
)
def test_a_key_that_an_object_has_twice_is_always_found(
    key: str, first: Any, second: Any, separators: tuple[str, str], ascii_: bool
) -> None:
    """However it is written, and whatever stands around it that could hide it from a count."""
    comma, colon = separators
    name = json.dumps(key, ensure_ascii=ascii_)
    hidden = "".join(f"\\u{ord(letter):04x}" for letter in key)
    for one, other in ((name, name), (name, f'"{hidden}"')):
        items = comma.join(f"{item}{colon}{json.dumps(value)}" for item, value in ((one, first), (other, second)))
        line = f'[{{{items}}}{comma}":"{comma}"\\u003a"]'.encode()
        with pytest.raises(jsonl.Rejected, match="stands twice"):
            jsonl.loads(line)


def test_invalid_utf8_is_told_with_its_byte_offset() -> None:
    values, (problem,) = jsonl.parse(b'{"a": 1}\n{"a": "caf\xe9"}\n', "a.jsonl")
    assert (values, problem.code, problem.line) == ([], "BS102", 2)
    assert "byte 19 (0xe9)" in problem.message
