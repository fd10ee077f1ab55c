"""Rows survive Parquet and JSON Lines, and the digest is of the rows alone."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

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
        (b'{"a": 123456789012345678901234567890}', "64-bit"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": 01}', "delimiter"),
        (b"{'a': 1}", "property name"),
    ],
)
def test_json_lines_are_read_strictly(line: bytes, message: str) -> None:
    values, (problem,) = jsonl.parse(b'{"ok": 1}\n' + line + b'\n{"ok": 2}', "a.jsonl")
    assert [value.line for value in values] == [1, 3]
    assert (problem.code, problem.line) == ("BS107", 2)
    assert message in problem.message


def test_invalid_utf8_is_told_with_its_byte_offset() -> None:
    values, (problem,) = jsonl.parse(b'{"a": 1}\n{"a": "caf\xe9"}\n', "a.jsonl")
    assert (values, problem.code, problem.line) == ([], "BS102", 2)
    assert "byte 19 (0xe9)" in problem.message
