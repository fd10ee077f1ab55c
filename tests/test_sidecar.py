"""The sidecar: rows in files of their own come to their article, all of them, and none is lost in silence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadsheet import contract, jsonl, sidecar
from broadsheet.contract import Row
from broadsheet.problems import MAX_ERRORS, Problem
from broadsheet.sidecar import Sidecar, Source


def _line(article: str, index: int = 0, text: str = "a line") -> Row:
    place = {"start": None, "end": None, "start_byte": 0, "end_byte": 6}
    return {"article_id": article, "index": index, "role": "title", "text": text, **place}


def _label(article: str, annotator: str = "first") -> Row:
    return {
        "article_id": article,
        "target_id": "tram",
        "stance": "not_addressed",
        "intensity": None,
        "holder": "author",
        "confidence": "high",
        "rationale": "By the rules.",
        "basis": "stated",
        "evidence": [],
        "annotator_id": annotator,
        "annotator_kind": "human",
        "guideline_version": "1.0",
        "annotated_on": "2021-06-01",
        "is_gold": False,
        "aggregation": "none",
        "n_annotators": 1,
    }


def _source(folder: Path, name: str, rows: Sequence[Row]) -> Source:
    (folder / name).write_bytes(jsonl.serialize(rows))
    return Source(re.split("[-.]", name)[0], str(folder / name), name)


def _written(folder: Path, *sources: Source) -> tuple[int, list[Problem]]:
    schemas = {table: contract.table_schema(table) for table in contract.TABLES}
    counts, problems = sidecar.write(folder / "sidecar.sqlite", sources, schemas)
    return counts.total(), problems


@contextmanager
def _opened(folder: Path) -> Iterator[Sidecar]:
    index = Sidecar(str(folder / "sidecar.sqlite"))
    try:
        yield index
    finally:
        index.close()


def test_each_article_has_its_rows_by_table_in_the_order_of_the_files(tmp_path: Path) -> None:
    lines = _source(tmp_path, "paragraphs-1.jsonl", [_line("b", 0), _line("a", 0), _line("b", 1)])
    more = _source(tmp_path, "paragraphs-2.jsonl", [_line("a", 1)])
    labels = _source(tmp_path, "stances-1.jsonl", [_label("a")])
    assert _written(tmp_path, lines, more, labels) == (5, [])
    with _opened(tmp_path) as index:
        found = index.of("a")
        places = [(row.path, row.line, row.pointer, row.stretch) for row in found.paragraphs]
        assert places == [("paragraphs-1.jsonl", 2, "", -1), ("paragraphs-2.jsonl", 1, "", -1)]
        assert [row.value for row in found.paragraphs] == [_line("a", 0), _line("a", 1)]
        assert [row.canonical for row in found.stances] == [jsonl.canonical(_label("a"))]
        assert [row.value["index"] for row in index.of("b").paragraphs] == [0, 1]
        assert (found.entries, found.duplicate_of) == (3, None)
        assert (index.of("c").entries, index.of("c").duplicate_of) == (0, None)


def test_no_rows_make_an_index_too(tmp_path: Path) -> None:
    assert _written(tmp_path) == (0, [])
    with _opened(tmp_path) as index:
        assert (index.of("a").paragraphs, index.of("a").stances, index.of("a").duplicate_of) == ([], [], None)
        assert list(index.unknown(iter(["a"]))) == []


def test_of_each_unknown_article_the_first_row_is_told(tmp_path: Path) -> None:
    lines = _source(tmp_path, "paragraphs.jsonl", [_line("a"), _line("z"), _line("z", 1), _line("é"), _line("🙂")])
    labels = _source(tmp_path, "stances.jsonl", [_label("z"), _label("A"), _label("a")])
    _written(tmp_path, lines, labels)
    with _opened(tmp_path) as index:
        found = list(index.unknown(iter(["a", "b", "é"])))
        assert list(index.unknown(iter(["A", "a", "z", "é", "🙂"]))) == []
        assert len(list(index.unknown(iter([])))) == 5
    assert [(p.code, p.path, p.line, p.pointer) for p in found] == [
        ("BS208", "stances.jsonl", 2, "/article_id"),
        ("BS208", "paragraphs.jsonl", 2, "/article_id"),
        ("BS208", "paragraphs.jsonl", 5, "/article_id"),
    ]
    assert [p.message for p in found] == [f"there is no article '{name}'" for name in ("A", "z", "🙂")]


names = st.text(st.sampled_from("aAbé日\ue000\uffff🙂\U0010ffff' %\"\\_"), min_size=1, max_size=3)


@settings(max_examples=50, deadline=None)
@given(st.lists(names, max_size=12), st.sets(names, max_size=12))
def test_whatever_the_identifiers_are_the_unknown_ones_are_found(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], known: set[str]
) -> None:
    """SQLite and Python must sort alike: by code points."""
    folder = tmp_path_factory.mktemp("names")
    assert _written(folder, _source(folder, "stances.jsonl", [_label(name) for name in rows])) == (len(rows), [])
    with _opened(folder) as index:
        found = [problem.message for problem in index.unknown(iter(sorted(known)))]
        assert found == [f"there is no article '{name}'" for name in sorted(set(rows) - known)]
        for name in set(rows):
            assert len(index.of(name).stances) == rows.count(name)


def test_what_is_wrong_is_told_with_its_line_and_the_rest_is_read(tmp_path: Path) -> None:
    source = _source(tmp_path, "stances.jsonl", [])
    lines = [
        b"\xef\xbb\xbf" + orjson.dumps(_label("a")),
        b"",
        orjson.dumps(_label("b") | {"stance": "pro"}),
        b"{not json",
        orjson.dumps(_label("c")).replace(b'"is_gold":false', b'"is_gold":false,"is_gold":false'),
        b"[1]",
        orjson.dumps(_label("d")).replace(b'"n_annotators":1', b'"n_annotators":1.0') + b"\r",
        orjson.dumps({name: value for name, value in _label("e").items() if name != "article_id"}),
        orjson.dumps(_label("f")),
    ]
    Path(source.path).write_bytes(b"\n".join(lines))
    count, problems = _written(tmp_path, source)
    assert count == 3
    assert [(p.code, p.line, p.pointer, p.severity) for p in problems] == [
        ("BS116", None, "", "warning"),
        ("BS118", 2, "", "warning"),
        ("BS203", 3, "/stance", "error"),
        ("BS107", 4, "", "error"),
        ("BS107", 5, "", "error"),
        ("BS204", 6, "", "error"),
        ("BS201", 8, "/article_id", "error"),
    ]
    with _opened(tmp_path) as index:
        (row,) = index.of("d").stances
        assert (row.value, row.canonical) == (_label("d"), jsonl.canonical(_label("d")))
        assert type(row.value["n_annotators"]) is int


def test_a_file_of_nothing_but_errors_is_read_no_further_than_somebody_reads(tmp_path: Path) -> None:
    source = _source(tmp_path, "stances.jsonl", [_label(f"{n}") | {"stance": "pro"} for n in range(250)])
    count, problems = _written(tmp_path, source)
    assert (count, len(problems)) == (0, MAX_ERRORS)
    assert [problem.line for problem in problems] == list(range(1, 101))


def test_a_file_that_is_no_json_at_all_is_read_no_further_either(tmp_path: Path) -> None:
    source = _source(tmp_path, "stances.jsonl", [])
    Path(source.path).write_bytes(b"not json\n" * 250)
    assert len(_written(tmp_path, source)[1]) == MAX_ERRORS


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_rows_are_joined(compression: str, tmp_path: Path) -> None:
    path = tmp_path / ("stances.jsonl" + {"gzip": ".gz", "zstd": ".zst"}[compression])
    with pa.output_stream(str(path), compression=compression) as file:
        file.write(jsonl.serialize([_label("a"), _label("b")]))
    assert _written(tmp_path, Source("stances", str(path), path.name)) == (2, [])
    with _opened(tmp_path) as index:
        assert [(row.path, row.line) for row in index.of("b").stances] == [(path.name, 2)]


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b", "a%20b", "日'\""])
def test_the_index_may_lie_anywhere(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    assert _written(folder, _source(folder, "stances.jsonl", [_label("a")])) == (1, [])
    with _opened(folder) as index:
        assert index.of("a").stances[0].value == json.loads(json.dumps(_label("a")))


def test_articles_that_are_near_duplicates_are_noted_beside_the_rows(tmp_path: Path) -> None:
    _written(tmp_path, _source(tmp_path, "stances.jsonl", [_label("b"), _label("z")]))
    path = tmp_path / "sidecar.sqlite"
    assert sidecar.note_duplicates(path, iter([])) == 0
    assert sidecar.note_duplicates(path, iter([("b", "a"), ("c", "a'é🙂")])) == 2
    with _opened(tmp_path) as index:
        assert (index.of("b").duplicate_of, index.of("b").entries, len(index.of("b").stances)) == ("a", 2, 1)
        assert (index.of("c").entries, index.of("c").duplicate_of) == (1, "a'é🙂")
        assert index.of("a").entries == 0
        # They come from the articles themselves, so none of them is unknown.
        assert [problem.message for problem in index.unknown(iter(["a"]))] == [
            "there is no article 'b'",
            "there is no article 'z'",
        ]


def test_more_rows_than_are_written_at_once(tmp_path: Path) -> None:
    source = _source(tmp_path, "paragraphs.jsonl", [_line(f"{n % 7}", n // 7) for n in range(20_003)])
    assert _written(tmp_path, source) == (20_003, [])
    with _opened(tmp_path) as index:
        assert [row.line for row in index.of("3").paragraphs] == list(range(4, 20_004, 7))
