"""Shapes: what people have comes out as their files say, or is a problem; no row is lost or garbled."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from broadsheet.build import Built, build
from broadsheet.contract import Row
from broadsheet.problems import InvalidData, Problem
from broadsheet.verify import verify
from tests.corpora import ANNOTATOR, DEFAULTS, TARGET, dataset_from, of_query

TEXTS = f"[texts]\nfiles = ['source/**/*.txt']\n\n[articles]\n{DEFAULTS}"
SPAN = 'SELECT id AS article_id, start::INT AS start, "end"::INT AS "end", words AS exact FROM read_csv(\'spans.csv\')'


def _built(tmp_path: Path, files: Mapping[str, str | bytes], sections: str, name: str = "dataset") -> Path:
    """Build the dataset of *files* and *sections*, have its release checked, and give its place."""
    folder = dataset_from(tmp_path / name, files, sections)
    built = build(folder)
    place = Path(built.place)
    assert verify(place) == []
    _follows_the_law(folder, built)
    return place


def _follows_the_law(folder: Path, built: Built) -> None:
    """See that every row that went into a build came out, or is among the rejects."""
    for table, given in built.given.items():
        left = folder / "rejects" / f"{table}.jsonl"
        rejects = len(left.read_bytes().splitlines()) if left.exists() else 0
        assert rejects == built.rejects.get(table, 0)
        if table != "evidence":
            assert given == len(_rows(Path(built.place), table)) + rejects


def _rows(place: Path, table: str = "articles") -> list[Row]:
    return [orjson.loads(line) for line in (place / "jsonl" / f"{table}.jsonl").read_bytes().splitlines()]


def _columns(place: Path, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in _rows(place)]


def _problems(tmp_path: Path, files: Mapping[str, str | bytes], sections: str) -> list[Problem]:
    with pytest.raises(InvalidData) as caught:
        build(dataset_from(tmp_path / "dataset", files, sections))
    assert not (tmp_path / "dataset" / "release").exists()
    with suppress(InvalidData):  # some have nothing to keep
        _follows_the_law(tmp_path / "dataset", build(tmp_path / "dataset", keep_going=True))
    return list(caught.value.problems)


# CSV -----------------------------------------------------------------------------------------------------------------


def test_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    table = '\ufeff"id";title;text;published\na1;Späte Fähre;"Die Fähre; sie kam spät.";2021-05-01\na2;;Ruhe 🚢.;\n'
    sql = "SELECT id, title, text, published FROM read_csv('a.csv', delim = ';')"
    place = _built(tmp_path, {"a.csv": table}, of_query(sql))
    assert _columns(place, "id", "title", "text", "published") == [
        ("a1", "Späte Fähre", "Die Fähre; sie kam spät.", "2021-05-01"),
        ("a2", None, "Ruhe 🚢.", None),
    ]


def test_quoted_line_feeds_stay_where_they_are(tmp_path: Path) -> None:
    text = 'The ferry\n\nwas late, "again",\nand empty.'
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("id", "text"), ("a1", text), ("a2", "Short")])
    place = _built(tmp_path, {"a.csv": out.getvalue()}, of_query("SELECT id, text FROM read_csv('a.csv')"))
    assert _columns(place, "id", "text") == [("a1", text), ("a2", "Short")]


TRUTH = [
    ("a1", "Late", "It's late, she said.\nVery; late."),
    ("a2", "Open | 'again'", "Plain text"),
    ("a3", 'Say "hi"', "A tab\there, and no more"),
]
NAMES = ("id", "title", "text")


def _written(quote: str, escape: str, *, header: bool) -> str:
    def field(value: str) -> str:
        if escape != quote:
            value = value.replace(escape, escape * 2)
        return quote + value.replace(quote, escape + quote) + quote

    rows = [NAMES, *TRUTH] if header else TRUTH
    return "".join(",".join(map(field, row)) + "\n" for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize(("quote", "escape"), [("'", "'"), ("'", "\\"), ('"', '"'), ('"', "\\")])
def test_no_wrong_dialect_loses_or_garbles_a_row(quote: str, escape: str, *, header: bool, tmp_path: Path) -> None:
    right = {"quote": quote, "escape": escape, "header": str(header).lower(), "delim": ","}
    wrong = {
        "quote": ["", "'", '"', None],
        "escape": ["'", '"', "\\", None],
        "header": ["true", "false", None],
        "delim": [";", "|", "\\t", None],
    }
    dialects: list[dict[str, str | None]] = [{**right}]
    dialects += [{**right, name: value} for name, values in wrong.items() for value in values if value != right[name]]
    dialects += [{**right, "quote": marks, "header": None, "escape": None} for marks in wrong["quote"]]
    (tmp_path / "a.csv").write_text(_written(quote, escape, header=header))
    outcomes = [_of_dialect(dialect, tmp_path) for dialect in dialects]
    assert outcomes[0] == TRUTH
    for dialect, outcome in zip(dialects, outcomes, strict=True):
        assert outcome in (TRUTH, None), dialect


def _of_dialect(dialect: Mapping[str, str | None], folder: Path) -> list[tuple[str, ...]] | None:
    """Give the rows of ``a.csv`` in *dialect*, or None where it is a problem."""
    from broadsheet.query import Query, batches  # noqa: PLC0415 - a build for each of hundreds would take minutes

    told = {name: value for name, value in dialect.items() if value is not None}
    options = "".join(f", {name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in told.items())
    columns = "id, title, text" if told.get("header") != "false" else "column0 AS id, column1 AS title, column2 AS text"
    query = Query(f"SELECT {columns} FROM read_csv('a.csv'{options})", "dataset.toml", 1, "")
    try:
        return [tuple(row.values()) for batch in batches(query, folder, folder) for row in batch.to_pylist()]
    except InvalidData as error:
        return None if "Traceback" not in str(error) else []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('a.csv') t(id, title, text)",
        "SELECT #1 AS id, #2 AS title, #3 AS text FROM read_csv('a.csv')",
        "FROM read_csv('a.csv', names = ['id', 'title', 'text'], header = true)",
        "SELECT 'x' AS id, 'y' AS title, 'z' AS text UNION ALL FROM read_csv('a.csv')",
        "WITH t(id, title, text) AS (FROM read_csv('a.csv')) FROM t",
    ],
)
def test_the_first_row_is_not_taken_for_names(sql: str, tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, {"a.csv": "a1,Late,The ferry.\na2,Open,The library.\n"}, of_query(sql))
    assert (problem.code, problem.path, problem.line) == ("BS122", "a.csv", 1)


def test_names_are_not_taken_for_a_row(tmp_path: Path) -> None:
    sql = "FROM read_csv('a.csv', names = ['id', 'title', 'text'], header = false)"
    table = "id,title,text\na1,Late,The ferry.\n"
    (problem,) = _problems(tmp_path, {"a.csv": table}, of_query(sql))
    assert (problem.code, problem.line) == ("BS122", 1)
    place = _built(tmp_path, {"a.csv": table}, of_query(sql.replace("false", "false, skip = 1")), "mended")
    assert _columns(place, "id", "title", "text") == [("a1", "Late", "The ferry.")]


def test_marks_around_some_values_are_told(tmp_path: Path) -> None:
    table = "id,title,text\na1,Late,'It''s late'\na2,Open,Plain\n"
    (problem,) = _problems(tmp_path, {"a.csv": table}, of_query("SELECT id, title, text FROM read_csv('a.csv')"))
    assert (problem.code, problem.path) == ("BS122", "a.csv")
    sql = "SELECT id, title, text FROM read_csv('a.csv', quote = '''')"
    assert _columns(_built(tmp_path, {"a.csv": table}, of_query(sql), "mended"), "text") == [("It's late",), ("Plain",)]


# JSON ----------------------------------------------------------------------------------------------------------------


def test_a_json_document_for_each_article_with_keys_of_its_own(tmp_path: Path) -> None:
    documents: list[dict[str, Any]] = []
    for n in range(300):
        document: dict[str, Any] = {"headline": f"Tide {n}", "body": f"The tide of day {n}.\n" + "Water. " * 2000}
        document |= {f"only{n}": {"deep": [n]}} if n % 3 else {"by": f"Keeper {n}", "words": ["tide", str(n)]}
        documents.append(document)
    files = {f"source/t{n:03}.json": json.dumps(document) for n, document in enumerate(documents)}
    sql = "SELECT stem AS id, text->>'$.headline' AS title, text->>'$.body' AS text, text->>'$.by' AS author FROM texts"
    place = _built(tmp_path, files, f"[texts]\nfiles = ['source/*.json']\n{of_query(sql)}")
    expected = [(f"t{n:03}", one["headline"], one["body"], one.get("by")) for n, one in enumerate(documents)]
    assert _columns(place, "id", "title", "text", "author") == expected


def test_nested_lines_with_dates_in_objects_and_keys_first_seen_late(tmp_path: Path) -> None:
    def line(n: int) -> dict[str, Any]:
        more = {"byline": {"name": "Anna Harbour"}} if n == 21_000 else {}
        return {
            "_id": {"$oid": f"{n:06}"},
            "posted": {"$date": f"2021-05-{n % 28 + 1:02}T10:00:00Z"},
            "b": f"T{n}.",
        } | more

    lines = [line(n) for n in range(21_001)]
    sql = """
        SELECT _id."$oid" AS id, b AS text, posted."$date"[:10] AS published, byline.name AS author
        FROM read_json('a.jsonl')
    """
    place = _built(tmp_path, {"a.jsonl": b"".join(orjson.dumps(one) + b"\n" for one in lines)}, of_query(sql))
    expected = [
        (one["_id"]["$oid"], one["b"], one["posted"]["$date"][:10], one.get("byline", {}).get("name")) for one in lines
    ]
    assert _columns(place, "id", "text", "published", "author") == expected


def test_text_in_json_stays_as_it_is_written(tmp_path: Path) -> None:
    lines = [
        {"id": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "title": "12:30", "text": "0012", "author": "2021-05-01"},
        {
            "id": "B0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "title": "08:05",
            "text": "1e5",
            "author": "2021-05-02 10:00:00",
        },
    ]
    for name, data in {
        "lines": "".join(json.dumps(line) + "\n" for line in lines),
        "document": json.dumps(lines),
    }.items():
        sql = "SELECT id, title, text, author FROM read_json('a.json')"
        place = _built(tmp_path, {"a.json": data}, of_query(sql), name)
        assert _columns(place, *lines[0]) == [tuple(line.values()) for line in lines]


def test_values_of_several_types_are_no_garbled_text(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [{"id": "a", "title": "Late"}, {"id": "b", "title": 1984}, {"id": "c", "title": None}]
    data = "".join(json.dumps(line | {"text": f"Of {line['id']}."}) + "\n" for line in lines)
    found = _problems(tmp_path, {"a.jsonl": data}, of_query("FROM read_json('a.jsonl')"))
    assert [(one.code, one.line, one.pointer) for one in found] == [("BS204", 2, "/title")]
    sql = "SELECT * REPLACE (title->>'$' AS title) FROM read_json('a.jsonl')"
    place = _built(tmp_path, {"a.jsonl": data}, of_query(sql), "mended")
    assert _columns(place, "title") == [("Late",), ("1984",), (None,)]


@pytest.mark.parametrize("number", ["99999999999999999999::HUGEINT", "18446744073709551615::UBIGINT", "'inf'::DOUBLE"])
def test_a_number_that_no_column_holds_is_a_problem(number: str, tmp_path: Path) -> None:
    sql = f"SELECT 'a' AS id, 'Tide.' AS text, {number} AS stance_intensity"
    found = _problems(tmp_path, {}, of_query(sql))
    assert {one.code for one in found} & {"BS113", "BS107"}
    assert {one.line for one in found} == {1}


# Texts ---------------------------------------------------------------------------------------------------------------


def test_stems_that_recur_in_every_class(tmp_path: Path) -> None:
    files = {f"source/{kind}/{n}.txt": f"{kind} number {n}." for kind in ("for", "against") for n in (1, 2)}
    found = _problems(tmp_path, files, TEXTS)
    assert {one.code for one in found} == {"BS207"}
    assert all("folder || '/' || stem AS id" in one.hint for one in found)
    sql = "SELECT folder || '/' || stem AS id, text FROM texts"
    place = _built(tmp_path, files, f"[texts]\nfiles = ['source/**/*.txt']\n{of_query(sql)}", "mended")
    expected = {(name.removeprefix("source/").removesuffix(".txt"), text) for name, text in files.items()}
    assert set(_columns(place, "id", "text")) == expected


UNSAFE = [
    "../../up",
    "..",
    "/etc/passwd",
    "a:b c#d",
    'it\'s "so"',
    "🚢",
    "<b>x</b>",
    "{{ s }}",
    "`a` | b",
    "a\\b",
    "%2e%2e",
]


def test_identifiers_never_become_paths(tmp_path: Path) -> None:
    def files(ids: Sequence[str]) -> dict[str, str | bytes]:
        lines = [{"id": one, "text": f"Text {n}.", "label": "favor"} for n, one in enumerate(ids)]
        return {"a.jsonl": "".join(json.dumps(line) + "\n" for line in lines)}

    stances = (
        "[stances]\nsql = \"SELECT id AS article_id, label AS stance, 'author' AS holder FROM read_json('a.jsonl')\""
    )
    sections = of_query("SELECT id, text FROM read_json('a.jsonl')", stances)
    places = [
        _built(tmp_path / name, files(ids), sections)
        for name, ids in (("plain", [f"a{n}" for n in range(len(UNSAFE))]), ("unsafe", UNSAFE))
    ]
    plain, unsafe = (
        {path.relative_to(place.parent.parent).as_posix() for path in place.parent.parent.rglob("*")}
        for place in places
    )
    assert plain == unsafe
    assert [row["id"] for row in _rows(places[1])] == UNSAFE
    for document in ("README.md", "DATASHEET.md"):
        headings = [
            [line.split()[0] for line in (place / document).read_text().splitlines() if line.startswith("#")]
            for place in places
        ]
        assert headings[0] == headings[1]
    assert "<b>" not in (places[1] / "DATASHEET.md").read_text()


@pytest.mark.slow
def test_fourteen_thousand_files_are_nothing_special(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"source/{n % 90:02}/{n:05}.txt": f"Report {n} of the quay." for n in range(14_000)
    }
    place = _built(tmp_path, files, TEXTS)
    assert sorted(_columns(place, "id", "text")) == sorted((Path(name).stem, text) for name, text in files.items())


def test_one_latin_1_file_among_others(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"source/a.txt": "Die Fähre.", "source/b.txt": "Das Café.".encode("latin-1")}
    (problem,) = _problems(tmp_path, files, TEXTS)
    assert (problem.code, problem.path) == ("BS102", "source/b.txt")
    assert "byte 7 (0xe9)" in problem.message
    assert "[texts.encodings]" in problem.hint
    cured = TEXTS.replace("\n\n[articles]", "\n\n[texts.encodings]\n'source/b.txt' = 'latin-1'\n\n[articles]")
    place = _built(tmp_path, files, cured, "cured")
    assert _columns(place, "id", "text") == [("a", "Die Fähre."), ("b", "Das Café.")]


@pytest.mark.parametrize(
    ("encoding", "data", "code"),
    [("undefined", b"x", "BS105"), ("hex", b"x", "BS105"), ("utf-7", b"+2AA-", "BS102"), ("utf-16", b"x", "BS102")],
)
def test_an_encoding_that_gives_no_text_is_a_problem(encoding: str, data: bytes, code: str, tmp_path: Path) -> None:
    sections = TEXTS.replace("\n\n[articles]", f"\nencodings = {{ '*' = '{encoding}' }}\n\n[articles]")
    (problem,) = _problems(tmp_path, {"source/a.txt": data}, sections)
    assert (problem.code, problem.path) == (code, "source/a.txt")


def test_a_file_whose_name_is_not_utf_8_is_a_problem(tmp_path: Path) -> None:
    dataset = dataset_from(tmp_path / "dataset", {"source/a.txt": "Tide."}, TEXTS)
    Path(os.fsdecode(os.fsencode(dataset / "source") + b"/caf\xe9.txt")).write_text("Coffee.")
    with pytest.raises(InvalidData) as caught:
        build(dataset)
    assert [one.code for one in caught.value.problems] == ["BS102"]


#: Line n of one file belongs to line n of the other; the FULL JOIN keeps a line that has no partner, as a problem.
PARALLEL = """
    WITH lines AS (
        SELECT name, n, line
        FROM texts, unnest(string_split(rtrim(text, chr(10)), chr(10))) WITH ORDINALITY AS of_text(line, n)
    )
    SELECT split_part(m.line, chr(9), 1) AS id, split_part(m.line, chr(9), 2) AS title, t.line AS text
    FROM (FROM lines WHERE name = 'texts.txt') t FULL JOIN (FROM lines WHERE name = 'rows.tsv') m USING (n)
    ORDER BY n
"""


@pytest.mark.parametrize("lines", [3, 2])
def test_files_whose_lines_belong_together(lines: int, tmp_path: Path) -> None:
    texts = ["The tide, it rose.", 'A "gale" blew.', "Fog; 'thick'."]
    files = {"texts.txt": "\n".join(texts) + "\n", "rows.tsv": "".join(f"a{n}\tTitle {n}\n" for n in range(lines))}
    sections = f"[texts]\nfiles = ['texts.txt', 'rows.tsv']\n{of_query(PARALLEL)}"
    if lines < len(texts):
        assert {(one.code, one.line) for one in _problems(tmp_path, files, sections)} == {("BS204", 3)}
        return
    place = _built(tmp_path, files, sections)
    assert _columns(place, "id", "title", "text") == [(f"a{n}", f"Title {n}", text) for n, text in enumerate(texts)]


METADATA = [{"file": "source/a.txt", "id": "one", "title": "Tide"}, {"file": "b", "id": "two", "title": "Gale"}]


def _table(rows: Sequence[Mapping[str, str]], kind: str) -> bytes:
    if kind == "jsonl":
        return b"".join(orjson.dumps(row) + b"\n" for row in rows)
    if kind == "parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(list(rows)), sink)
        return bytes(sink.getvalue())
    out = io.StringIO(newline="")
    csv.writer(out, delimiter="\t" if kind == "tsv" else ",").writerows([rows[0], *(row.values() for row in rows)])
    return out.getvalue().encode()


@pytest.mark.parametrize(
    "kind", ["csv", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("tsv", "jsonl")), "parquet"]
)
def test_texts_with_a_table_of_metadata(kind: str, tmp_path: Path) -> None:
    sections = TEXTS.replace("\n\n[articles]", f"\nmetadata = 'rows.{kind}'\n\n[articles]")
    texts: dict[str, str | bytes] = {"source/a.txt": "It rose.", "source/b.txt": "It blew."}
    place = _built(tmp_path, texts | {f"rows.{kind}": _table(METADATA, kind)}, sections)
    assert _columns(place, "id", "title", "text") == [("one", "Tide", "It rose."), ("two", "Gale", "It blew.")]
    assert [row["provenance"]["source_file"] for row in _rows(place)] == ["source/a.txt", "source/b.txt"]
    # A text without a row, a row without a text, a stem in two folders.
    (tmp_path / "wrong").mkdir()
    for number, (more, rows, codes) in enumerate(
        [
            ({"source/c.txt": "It fell."}, METADATA, {"BS204"}),
            ({}, [*METADATA, {"file": "c", "id": "three", "title": "Fog"}], {"BS201"}),
            ({"source/other/b.txt": "It blew again."}, METADATA, {"BS207"}),
        ]
    ):
        (tmp_path / f"{number}").mkdir()
        found = _problems(tmp_path / f"{number}", texts | more | {f"rows.{kind}": _table(rows, kind)}, sections)
        assert {one.code for one in found} == codes


# Labels and spans ----------------------------------------------------------------------------------------------------


def test_texts_joined_to_labels_of_several_targets_and_annotators(tmp_path: Path) -> None:
    people = TARGET + TARGET.replace('"harbour"', '"library"') + ANNOTATOR + ANNOTATOR.replace('"desk"', '"second"')
    labels = [("a1", "harbour", "desk", "For"), ("a1", "harbour", "second", "Anti"), ("a2", "library", "second", "For")]
    stances = """[stances]
sql = '''SELECT a AS article_id, t AS target_id, w AS annotator_id, l AS stance, 'author' AS holder, false AS is_gold
FROM read_csv('l.csv')'''

[stance.labels]
For = "favor"
Anti = "against"
"""
    files = {
        "a.csv": "id,text\na1,The wall is good.\na2,The hall is good.\n",
        "l.csv": "a,t,w,l\n" + "".join(",".join(label) + "\n" for label in labels),
    }
    place = _built(tmp_path, files, of_query("SELECT id, text FROM read_csv('a.csv')", stances + people))
    names = {"For": "favor", "Anti": "against"}
    found = [
        (row["article_id"], row["target_id"], row["annotator_id"], row["stance"]) for row in _rows(place, "stances")
    ]
    assert sorted(found) == sorted((*label[:3], names[label[3]]) for label in labels)


@pytest.mark.parametrize(
    ("preset", "labels"),
    [
        ("fnc-1", {"agree": "favor", "disagree": "against", "discuss": "neutral", "unrelated": "not_addressed"}),
        ("semeval-2016", {"FAVOR": "favor", "AGAINST": "against", "NONE": "unclear"}),
    ],
)
def test_labels_of_a_known_scheme_and_a_leaning(preset: str, labels: Mapping[str, str], tmp_path: Path) -> None:
    leanings = itertools.cycle([("Left", "left"), ("CENTER", "center"), ("right", "right"), ("", None)])
    rows = [(f"a{n}", label, next(leanings)) for n, label in enumerate(labels)]
    table = "id,text,label,side\n" + "".join(f"{one},Text of {one}.,{label},{side[0]}\n" for one, label, side in rows)
    more = f"""[leaning]
preset = "left-center-right"

[stance]
preset = "{preset}"

[stances]
sql = "SELECT id AS article_id, label AS stance, 'author' AS holder FROM read_csv('a.csv')"
"""
    place = _built(
        tmp_path, {"a.csv": table}, of_query("SELECT id, text, side AS leaning FROM read_csv('a.csv')", more)
    )
    assert _columns(place, "id", "leaning", "stance") == [(one, side[1], labels[label]) for one, label, side in rows]
    assert [row["stance"] for row in _rows(place, "stances")] == list(labels.values())


def _evidence(unit: str, frame: str, sql: str = SPAN) -> str:
    stances = "SELECT id AS article_id, 'favor' AS stance, 'author' AS holder FROM read_csv('a.csv')"
    parts = [f"[stances]\nsql = {json.dumps(stances)}", f"[evidence]\nsql = {json.dumps(sql)}"]
    return "\n\n".join(parts) + f'\nunit = "{unit}"\nframe = "{frame}"\n'


def _width(text: str, unit: str) -> int:
    return {
        "code_point": len(text),
        "utf-16": len(text.encode("utf-16-le")) // 2,
        "byte": len(text.encode()),
    }[unit]


@pytest.mark.parametrize("frame", ["article", "file_with_bom"])
@pytest.mark.parametrize("unit", ["code_point", "utf-16", "byte"])
def test_spans_count_as_the_source_counts(unit: str, frame: str, tmp_path: Path) -> None:
    text, words = "🚢 Die Fähre 🌊: ein schönes Schiff 🎉.", "schönes Schiff 🎉"
    before = ("\ufeff" if frame == "file_with_bom" else "") + text[: text.index(words)]
    start = _width(before, unit)
    spans = f"id,start,end,words\na1,{start},{start + _width(words, unit)},{words}\n"
    files = {"a.csv": "id\na1\n", "source/a1.txt": "\ufeff" + text, "spans.csv": spans}
    sections = "[texts]\nfiles = ['source/*.txt']\n" + of_query(
        "SELECT stem AS id, text FROM texts", _evidence(unit, frame)
    )
    (quote,) = _rows(_built(tmp_path, files, sections), "stances")[0]["evidence"]
    place = text.index(words)
    assert (quote["exact"], quote["start"], quote["end"]) == (words, place, place + len(words))
    if (unit, frame) != ("utf-16", "article"):
        return
    # In any other unit, or from elsewhere, the words are not there.
    wrong = [_evidence("code_point", frame), _evidence("byte", frame), _evidence(unit, "file_with_bom")]
    for number, changed in enumerate(wrong):
        (tmp_path / str(number)).mkdir()
        sections = "[texts]\nfiles = ['source/*.txt']\n" + of_query("SELECT stem AS id, text FROM texts", changed)
        assert {one.code for one in _problems(tmp_path / str(number), files, sections)} == {"BS401"}


def test_a_sentence_that_occurs_twice(tmp_path: Path) -> None:
    sentence = "It rained."
    text = f"{sentence} Then {sentence}"
    sql = (
        'SELECT id AS article_id, start::INT AS start, "end"::INT AS "end", sentence, at::INT AS sentence_start '
        "FROM read_csv('spans.csv')"
    ).replace("at::INT", "place::INT")
    sections = of_query("SELECT id, text FROM read_csv('a.csv')", _evidence("code_point", "sentence", sql))
    files = {"a.csv": f"id,text\na1,{text}\n", "spans.csv": f"id,start,end,sentence,place\na1,3,9,{sentence},\n"}
    assert [one.code for one in _problems(tmp_path, files, sections)] == ["BS402"]
    second = text.rindex(sentence)
    files["spans.csv"] = files["spans.csv"].replace(f"{sentence},\n", f"{sentence},{second}\n")
    (quote,) = _rows(_built(tmp_path, files, sections, "mended"), "stances")[0]["evidence"]
    assert (quote["exact"], quote["start"]) == ("rained", second + 3)


# Other containers ----------------------------------------------------------------------------------------------------


def test_parquet_of_any_writer_has_the_digest_of_the_same_csv(tmp_path: Path) -> None:
    rows = [{"id": f"a{n}", "title": f"Kind {n % 3}", "text": f"Fähre {n}: „spät“."} for n in range(50)]
    table = pa.Table.from_pylist(rows)
    types = [pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.large_string()]
    large = table.cast(pa.schema([pa.field(name, kind) for name, kind in zip(rows[0], types, strict=True)]))
    pq.write_table(large, tmp_path / "pyarrow.parquet")
    pl.DataFrame(rows).write_parquet(tmp_path / "polars.parquet")
    duckdb.connect().execute(
        f"COPY (FROM read_json('{tmp_path}/a.jsonl')) TO '{tmp_path}/duckdb.parquet'"
        if (tmp_path / "a.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        else ""
    )
    out = io.StringIO(newline="")
    csv.writer(out).writerows([rows[0], *(row.values() for row in rows)])
    (tmp_path / "python.csv").write_text(out.getvalue())
    digests = set()
    for name in ("pyarrow.parquet", "polars.parquet", "duckdb.parquet", "python.csv"):
        reader = f"read_{Path(name).suffix[1:]}('{name}')"
        sections = of_query(f"SELECT id, title, text FROM {reader}")
        built = build(dataset_from(tmp_path / Path(name).stem, {name: (tmp_path / name).read_bytes()}, sections))
        assert _columns(Path(built.place), *rows[0]) == [tuple(row.values()) for row in rows]
        digests.add(built.digest)
    assert len(digests) == 1


@pytest.mark.parametrize("reader", ["read_csv", "read_json", "read_text"])
def test_a_spreadsheet_is_refused_with_the_way_out(reader: str, tmp_path: Path) -> None:
    sections = of_query(f"SELECT id, text FROM {reader}('a.xlsx')")
    (problem,) = _problems(tmp_path, {"a.xlsx": b"PK\x03\x04 and so on"}, sections)
    assert (problem.code, problem.path) == ("BS123", "a.xlsx")
    assert "CSV" in problem.hint


def test_a_pointer_of_git_lfs_is_no_data(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    for number, (files, sections) in enumerate(
        [
            ({"source/a.txt": pointer, "source/b.txt": "Tide."}, TEXTS),
            ({"source/a.txt": pointer}, of_query("SELECT id, text FROM read_csv('source/a.txt')")),
            ({"source/a.txt": pointer}, of_query("SELECT id, text FROM read_parquet('source/a.txt')")),
        ]
    ):
        (tmp_path / str(number)).mkdir()
        (problem,) = _problems(tmp_path / str(number), files, sections)
        assert (problem.code, problem.path) == ("BS115", "source/a.txt")


# Fields of one's own -------------------------------------------------------------------------------------------------

FIELDS = {
    "desk": {
        "title": "Desk",
        "description": "Whose.",
        "type": "string",
        "x-class-label": True,
        "enum": ["port", "city"],
    },
    "page": {"title": "Page", "description": "Where.", "type": ["integer", "null"]},
    "topics": {"title": "Topics", "description": "On what.", "type": "array", "items": {"type": "string"}},
    "edition": {
        "title": "Edition",
        "description": "Which.",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {"name": {"type": ["string", "null"]}, "number": {"type": ["integer", "null"]}},
    },
    "seen": {"title": "Seen", "description": "When.", "type": ["string", "null"], "format": "date"},
}


def test_fields_of_ones_own_reach_every_part_of_a_release(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"desk": "port", "page": 3, "topics": ["tide"], "edition": {"name": "Late", "number": 2}, "seen": "2021-05-01"},
        {"desk": "city", "page": None, "topics": [], "edition": {"name": None, "number": None}, "seen": None},
        {"desk": "port", "page": 4, "topics": ["a", "b"], "edition": None, "seen": "2021-05-02"},
    ]
    rows = [{"id": f"a{n}", "text": f"Text {n}."} | line for n, line in enumerate(lines)]
    files = {
        "a.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "schema/articles.schema.json": json.dumps({"properties": FIELDS}),
    }
    place = _built(tmp_path, files, of_query("FROM read_json('a.jsonl')"))
    assert [{name: row[name] for name in FIELDS} for row in _rows(place)] == lines
    table = pq.read_table(place / "data" / "articles")
    assert {name: str(table.schema.field(name).type) for name in FIELDS} == {
        "desk": "string",
        "page": "int64",
        "topics": "list<element: string not null>",
        "edition": "struct<name: string, number: int64>",
        "seen": "date32[day]",
    }
    sheet = (place / "DATASHEET.md").read_text()
    assert all(f"`{name}`" in sheet for name in FIELDS)
    record_sets = json.loads((place / "croissant.json").read_bytes())["recordSet"]
    fields = {
        field["name"]: field.get("dataType")
        for one in record_sets
        if one["@id"] == "articles"
        for field in one["field"]
    }
    assert [fields[name] for name in FIELDS] == ["sc:Text", "sc:Integer", "sc:Text", None, "sc:Date"]
    script = (
        "import json, sys; from datasets import load_dataset\n"
        "rows = load_dataset(sys.argv[1], 'articles', split='train')\n"
        "print(json.dumps([rows.features['desk'].names, [rows.features['desk'].int2str(n) for n in rows['desk']], "
        "list(rows['topics']), list(rows['edition']), str(rows.features['seen'].dtype)], default=str))"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    said = subprocess.run(
        [sys.executable, "-c", script, str(place)], env=environment, capture_output=True, text=True, check=True
    ).stdout
    names, desks, topics, editions, dtype = json.loads(said.splitlines()[-1])
    assert (names, desks, topics) == (["port", "city"], ["port", "city", "port"], [line["topics"] for line in lines])
    assert editions[0] == lines[0]["edition"]
    assert dtype == "date32"


def test_a_column_that_nobody_knows_is_a_problem(tmp_path: Path) -> None:
    sql = "SELECT 'a' AS id, 'Tide.' AS text, 'x' AS autor, 1 AS page"
    found = _problems(tmp_path, {}, of_query(sql))
    assert [one.code for one in found] == ["BS202", "BS202"]
    assert "author" in found[0].hint


@pytest.mark.parametrize(
    "field",
    [
        {"type": ["string", "integer"]},
        {"type": "object"},
        {"type": "array"},
        {"type": "array", "items": {"type": ["string", "integer"]}},
        {"type": "null"},
        {"enum": ["a", "b"]},
        {"type": "object", "additionalProperties": {"type": "string"}, "properties": {"a": {"type": "string"}}},
        {"$ref": "#/$defs/x"},
        True,
    ],
)
def test_a_field_that_no_column_can_hold_is_a_problem(field: Any, tmp_path: Path) -> None:
    files = {"schema/articles.schema.json": json.dumps({"properties": {"page": field}})}
    found = _problems(tmp_path, files, of_query("SELECT 'a' AS id, 'Tide.' AS text"))
    assert {one.code for one in found} == {"BS124"}


def test_the_digest_of_a_text_is_that_of_its_bytes(tmp_path: Path) -> None:
    data = "\ufeffDie Fähre 🚢.\n".encode()
    (row,) = _rows(_built(tmp_path, {"source/a.txt": data}, TEXTS))
    assert row["provenance"]["source_sha256"] == hashlib.sha256(data).hexdigest()
    assert row["text"] == data.decode().removeprefix("\ufeff")
