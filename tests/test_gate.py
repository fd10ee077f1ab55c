"""The gate: one verdict of two engines, any number of workers, bounded memory, whatever comes in."""

from __future__ import annotations

import datetime
import decimal
import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadsheet import contract, gate, reading, release
from broadsheet.check import check
from broadsheet.contract import TABLES, Judge
from tests.examples_support import run
from tests.http_server import serving

# Two engines, one verdict --------------------------------------------------------------------------------------------

scalars = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.0, 0.5, 2**63, 10**20, "", "a", "aa", "2012-02-30", "2012-02-03"]
)
instances = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
            "enum": st.lists(scalars, min_size=1, max_size=3),
            "const": scalars,
            "minimum": st.integers(-2, 2),
            "maximum": st.integers(-2, 2),
            "minLength": st.integers(0, 2),
            "maxLength": st.integers(0, 2),
            "pattern": st.sampled_from(["^a", "a$", "^(a+)+$", "^[0-9]{4}"]),
            "format": st.sampled_from(["date", "date-time", "uri", "nonsense"]),
            "properties": properties,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=2),
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "uniqueItems": st.booleans(),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
        },
    )


schemas = st.recursive(st.booleans() | _objects(st.booleans()), _objects, max_leaves=4)


@settings(max_examples=600)
@given(schemas, instances)
def test_both_engines_give_the_same_verdict(schema: dict[str, Any] | bool, value: Any) -> None:
    judge = Judge({"allOf": [schema]})
    assert judge.accepts(value) == judge._reference.is_valid(value)  # noqa: SLF001 - the second engine
    assert bool(judge.violations(value)) != judge.accepts(value)


plain_schemas = st.recursive(st.booleans() | _objects(st.booleans()), _objects, max_leaves=4).filter(
    lambda schema: not {"pattern", "format", "integer"} & set(json.dumps(schema).split('"'))
)


@settings(max_examples=400)
@given(plain_schemas, instances)
def test_the_verdict_is_that_of_plain_jsonschema(schema: dict[str, Any] | bool, value: Any) -> None:
    """Formats, patterns and 64-bit integers apart, where the gate says more on purpose."""
    whole = {"allOf": [schema]}
    assert Judge(whole).accepts(value) == jsonschema.Draft202012Validator(whole).is_valid(value)


@pytest.mark.parametrize("table", TABLES)
@given(data=st.data())
@settings(max_examples=60)
def test_both_engines_agree_on_damaged_rows_of_the_contracts(table: str, data: st.DataObject) -> None:
    schema = contract.table_schema(table)
    line = (Path(__file__).parent.parent / "dataset" / "release" / release.jsonl_path(table)).open().readline()
    row = json.loads(line)
    column = data.draw(st.sampled_from(sorted(row)))
    row[column] = data.draw(instances)
    judge = Judge(schema)
    assert judge.accepts(row) == judge._reference.is_valid(row)  # noqa: SLF001 - the second engine


# Many workers, one answer --------------------------------------------------------------------------------------------

ROW_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "text"],
    "properties": {"id": {"type": "integer"}, "text": {"type": "string"}},
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 40 MB, judged in many stretches, with faults near their edges and anywhere."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "row.schema.json").write_text(json.dumps(ROW_SCHEMA))
    with (folder / "rows.jsonl").open("w") as file:
        for n in range(1, 40_001):
            row = {"id": str(n) if n % 4_999 == 0 else n, "text": "x" * (n % 2_000)}
            file.write(json.dumps(row) + "\n")
            if n % 9_973 == 0:
                file.write("\n\nnot json\n")
    return folder


def test_what_is_found_does_not_depend_on_the_workers(large: Path) -> None:
    found = {
        workers: list(check([str(large / "rows.jsonl")], str(large / "row.schema.json"), workers=workers))
        for workers in (1, 2, 3)
    }
    assert (large / "rows.jsonl").stat().st_size > 2 * (16 << 20)
    assert len(found[1]) == 40_000 // 4_999 + 2 * (40_000 // 9_973)
    assert found[2] == found[1]
    assert found[3] == found[1]


def test_contracts_are_told_and_keys_found_over_the_stretches(corpus_release: Path, tmp_path: Path) -> None:
    lines = (corpus_release / release.jsonl_path("paragraphs")).read_text().splitlines(keepends=True)
    path = tmp_path / "paragraphs.jsonl"
    with path.open("w") as file:
        for copy in range(200):
            file.writelines(line.replace('"article_id":"', f'"article_id":"{copy}-') for line in lines)
        file.write(lines[0].replace('"article_id":"', '"article_id":"0-'))
    found = {workers: list(check([str(path)], workers=workers)) for workers in (1, 2)}
    assert [(p.code, p.line) for p in found[1]] == [("BS207", 200 * len(lines) + 1)]
    assert found[2] == found[1]


@pytest.mark.parametrize("at_once", [1, 7, 50_000])
def test_quotes_are_held_against_the_articles_given_beside_them(
    at_once: int, corpus_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "QUOTED_ROWS", at_once)
    articles = str(corpus_release / release.parquet_path("articles"))
    lines = (corpus_release / release.jsonl_path("stances")).read_text().splitlines()
    moved = []
    for number in (1, 30, 60):
        row = json.loads(lines[number - 1])
        if row["evidence"]:
            row["evidence"][0]["start"] -= 1
            row["evidence"][0]["end"] -= 1
            lines[number - 1] = json.dumps(row)
            moved.append(number)
    path = tmp_path / "stances.jsonl"
    path.write_text("\n".join(lines))
    assert sorted((p.code, p.line, p.pointer) for p in check([articles, str(path)])) == [
        ("BS401", number, "/evidence/0") for number in moved
    ]
    assert list(check([str(path)])) == []


# Bounded memory ------------------------------------------------------------------------------------------------------

# The high-water mark in /proc is this program's own; `ru_maxrss` starts at that of the process it was forked from.
MEASURED = """
import re, sys
from broadsheet.cli import app
try:
    app(sys.argv[1:])
except SystemExit as stop:
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
    print(f"exit {stop.code}, {peak} MiB")
"""


def _measured(folder: Path, *arguments: str) -> tuple[str, int, int]:
    """Run a check in a process of its own; give what it printed, its exit code, and its peak memory in MiB."""
    finished = subprocess.run(
        [sys.executable, "-c", MEASURED, "check", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    *told, last = finished.stdout.splitlines()
    code, peak = last.removeprefix("exit ").removesuffix(" MiB").split(", ")
    return "\n".join(told), int(code), int(peak)


def test_a_line_of_200_mb_is_told_in_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "row.schema.json").write_text(json.dumps(ROW_SCHEMA))
    with (tmp_path / "rows.jsonl").open("w") as file:
        file.write('{"id": 1, "text": "')
        for _ in range(200):
            file.write("x" * (1 << 20))
        file.write('"}\n{"id": "2", "text": "two"}\n')
    told, code, peak = _measured(tmp_path, "rows.jsonl", "--schema", "row.schema.json", "--workers", "1")
    assert [line.split(":")[1][:2].strip() for line in told.splitlines()[:2]] == ["1", "2"]
    assert (code, "[BS111]" in told, "[BS204]" in told) == (1, True, True)
    assert peak < 512


def test_a_parquet_bomb_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """A few kilobytes that stand for 3 GB: one long value, a thousand times, as a dictionary."""
    (tmp_path / "row.schema.json").write_text(json.dumps(ROW_SCHEMA))
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000, pa.int32()), pa.array(["x" * (3 << 20)]))
    table = pa.table({"id": pa.array(range(1_000), pa.int64()), "text": texts})
    pq.write_table(table, tmp_path / "rows.parquet", compression="zstd", store_schema=False)
    assert (tmp_path / "rows.parquet").stat().st_size < 10_000
    told, code, peak = _measured(tmp_path, "rows.parquet", "--schema", "row.schema.json")
    assert (code, "[BS114]" in told, "1 problem" in told) == (1, True, True)
    assert peak < 512


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([float("nan")]), ["BS107"]),
        (pa.array([float("inf")]), ["BS107"]),
        (pa.array([b"bytes"]), ["BS107"]),
        (pa.array([[{"a": float("nan")}]]), ["BS107"]),
        (pa.array([1.5]), []),
        (pa.array([datetime.datetime(2012, 2, 3, 10, tzinfo=datetime.UTC)]), []),
        (pa.array([decimal.Decimal("1.50")]), []),
        (pa.array([[{"when": datetime.date(2012, 2, 3)}]]), []),
    ],
)
def test_what_a_table_holds_is_json_or_told(column: pa.Array, expected: list[str], tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["value"], "properties": {"value": {"not": {"type": "null"}}}}
    (tmp_path / "row.schema.json").write_text(json.dumps(schema))
    pq.write_table(pa.table({"value": column}), tmp_path / "rows.parquet")
    found = list(check([str(tmp_path / "rows.parquet")], str(tmp_path / "row.schema.json")))
    assert [problem.code for problem in found] == expected


def test_a_gzip_bomb_is_stopped_in_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "row.schema.json").write_text(json.dumps(ROW_SCHEMA))
    with gzip.open(tmp_path / "rows.jsonl.gz", "wb") as file:
        for _ in range(1_000):
            file.write(b" " * (1 << 20))
    told, code, peak = _measured(tmp_path, "rows.jsonl.gz", "--schema", "row.schema.json")
    assert (code, "[BS114]" in told) == (1, True)
    assert peak < 512


def test_memory_does_not_grow_with_the_file(large: Path) -> None:
    before = _measured(large, "rows.jsonl", "--schema", "row.schema.json", "--workers", "1")[2]
    path = large / "four.jsonl"
    with path.open("wb") as file:
        for _ in range(4):
            file.write((large / "rows.jsonl").read_bytes())
    after = _measured(large, "four.jsonl", "--schema", "row.schema.json", "--workers", "1")[2]
    path.unlink()
    assert after < before + 40


# Where files come from -----------------------------------------------------------------------------------------------


def test_a_release_is_judged_from_its_url(corpus_release: Path, tmp_path: Path) -> None:
    with serving(corpus_release) as served:
        assert list(check([served.url])) == []
        assert sum(served.sent.values()) > 300_000
    damaged = Path(shutil.copytree(corpus_release, tmp_path / "damaged"))
    path = damaged / release.jsonl_path("stances")
    path.write_bytes(path.read_bytes().replace(b'"against"', b'"neutral"', 1))
    with serving(damaged) as served:
        assert [(problem.code, problem.path) for problem in check([served.url])] == [("BS503", "jsonl/stances.jsonl")]


def test_a_url_that_lists_files_outside_the_release_gets_nothing_written(corpus_release: Path, tmp_path: Path) -> None:
    hostile = Path(shutil.copytree(corpus_release, tmp_path / "hostile"))
    (hostile / "SHA256SUMS").write_text(f"{'0' * 64}  ../../outside.txt\n")
    with serving(hostile) as served:
        assert [problem.code for problem in check([served.url])] == ["BS502"]
        assert list(served.sent) == ["/SHA256SUMS"]


@pytest.mark.parametrize("table", TABLES)
def test_a_file_is_judged_from_its_url(table: str, corpus_release: Path) -> None:
    with serving(corpus_release) as served:
        for path in (release.jsonl_path(table), release.parquet_path(table)):
            assert list(check([f"{served.url}/{path}"])) == []


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_rows_are_judged(compression: str, corpus_release: Path, tmp_path: Path) -> None:
    rows = (corpus_release / release.jsonl_path("stances")).read_bytes()
    path = tmp_path / ("stances.jsonl" + {"gzip": ".gz", "zstd": ".zst"}[compression])
    with pa.output_stream(path, compression=compression) as file:
        file.write(rows.replace(b'"is_gold":true', b'"is_gold":1', 1))
    assert [(problem.code, problem.pointer) for problem in check([str(path)])] == [("BS204", "/is_gold")]


def test_standard_input_is_json_lines(tmp_path: Path) -> None:
    (tmp_path / "row.schema.json").write_text(json.dumps(ROW_SCHEMA))
    finished = subprocess.run(
        [sys.executable, "-m", "broadsheet", "check", "-", "--schema", "row.schema.json"],
        cwd=tmp_path,
        input=b'{"id": 1, "text": "one"}\n{"id": 2}\n',
        capture_output=True,
        check=False,
    )
    assert finished.stdout.decode() == "-:2 /text: the field 'text' is missing [BS201]\n1 problem\n"
    assert finished.returncode == 1


@pytest.mark.parametrize("writer", ["pandas", "polars", "duckdb"])
@pytest.mark.parametrize("table", TABLES)
def test_parquet_of_other_writers_is_judged_by_its_rows(
    writer: str, table: str, corpus_release: Path, tmp_path: Path
) -> None:
    source, path = str(corpus_release / release.parquet_path(table)), str(tmp_path / "rows.parquet")
    match writer:
        case "pandas":
            pd.read_parquet(source, dtype_backend="pyarrow").to_parquet(path)
        case "polars":
            pl.read_parquet(source).write_parquet(path)
        case _:
            duckdb.execute(f"copy (select * from '{source}') to '{path}' (format parquet)")  # noqa: S608 - ours
    assert list(check([path])) == []


@pytest.mark.parametrize(
    ("column", "fits"),
    [
        (pa.array([1], pa.int32()), True),
        (pa.array([1], pa.uint8()), True),
        (pa.array([1.0]), False),
        (pa.array(["1"]), False),
        (pa.array([True]), False),
        (pa.array([[1]]), False),
    ],
)
def test_columns_of_a_schema_of_ones_own_may_be_of_any_width(column: pa.Array, fits: bool, tmp_path: Path) -> None:
    (tmp_path / "row.schema.json").write_text(json.dumps(ROW_SCHEMA))
    pq.write_table(pa.table({"id": column, "text": pa.array(["a"], pa.large_string())}), tmp_path / "rows.parquet")
    found = list(check([str(tmp_path / "rows.parquet")], str(tmp_path / "row.schema.json")))
    assert [problem.code for problem in found] == ([] if fits else ["BS505"])


# What is printed -----------------------------------------------------------------------------------------------------


def test_the_totals_are_true_however_few_are_shown(large: Path) -> None:
    arguments = ["check", "rows.jsonl", "--schema", "row.schema.json", "--max-problems", "3"]
    text = run(large, *arguments)
    assert text.output.endswith("12 problems, 4 warnings, of which the first 3 are shown\n")
    told = json.loads(run(large, *arguments, "--format", "json").output)
    assert (told["errors"], told["warnings"], len(told["problems"])) == (12, 4, 3)


@pytest.mark.parametrize("format_", ["text", "json", "github", "junit", "sarif"])
def test_every_format_keeps_the_exit_code(format_: str, large: Path, corpus_release: Path) -> None:
    assert run(large, "check", "rows.jsonl", "--schema", "row.schema.json", "--format", format_).exit_code == 1
    assert run(corpus_release, "check", ".", "--format", format_).exit_code == 0
    assert run(large, "check", "nowhere.jsonl", "--format", format_).exit_code == 2


def test_lines_are_found_at_any_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    data = b"one\n\ntwo\nthree"
    path.write_bytes(data)
    for cut in range(1, len(data)):
        parts = [*reading.lines(str(path), 0, cut), *reading.lines(str(path), cut, len(data))]
        assert b"".join(line.data for line in parts) == data
        assert [data[line.offset :].startswith(line.data) for line in parts] == [True] * len(parts)
