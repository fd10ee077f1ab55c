"""The first step: from what somebody has to a dataset's folder that builds at once, and says what it rests on."""

from __future__ import annotations

import datetime
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from broadsheet import scaffold
from broadsheet.contract import Row
from tests.examples_support import run

GULLS = "Gulls met at the harbour.\nThe ferry waited."
BOOKS = "The library opened its doors; rain fell."
CSV = f"""\
id,title,text,date
7,Gulls,"{GULLS}",2021-03-04
9,,The library opened.,2021-03
""".encode()


def _begin(folder: Path, files: Mapping[str, bytes], given: str = "") -> str:
    """Write *files* into *folder*, begin the dataset ``corpus`` there of *given*, or of the only file."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    result = run(folder, "init", "corpus", "--from", given or next(iter(files)))
    assert result.exit_code == 0, result.output
    return result.output


def _refused(folder: Path, given: str, code: int = 1) -> str:
    """Begin a dataset of *given*, which must fail and leave nothing."""
    before = _contents(folder)
    result = run(folder, "init", "corpus", "--from", given)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert _contents(folder) == before
    return result.output


def _contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def _built(folder: Path) -> list[Row]:
    """Build ``corpus`` in *folder*, which verifies it too; give its articles."""
    result = run(folder, "build", "corpus")
    assert result.exit_code == 0, result.output
    lines = (folder / "corpus" / "release" / "jsonl" / "articles.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in lines]


def _recipe(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "corpus" / "dataset.toml").read_text(encoding="utf-8"))


def _sql(folder: Path) -> str:
    sql: str = _recipe(folder)["articles"]["sql"]
    return sql


def _comments(folder: Path) -> str:
    lines = (folder / "corpus" / "dataset.toml").read_text(encoding="utf-8").splitlines()
    return "\n".join(line.removeprefix("# ") for line in lines if line.startswith("#"))


def _pairs(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return [(row["id"], row["text"]) for row in rows]


def test_a_csv_file_builds_at_once(tmp_path: Path) -> None:
    said = _begin(tmp_path, {"press.csv": CSV})
    assert _sql(tmp_path) == (
        'SELECT\n  "id" AS id,\n  nullif("title", \'\') AS title,\n  "text" AS text,\n  "date" AS published,\n'
        "  'source/press.csv' AS source_file\nFROM read_csv('source/press.csv')\n"
    )
    gulls, library = _built(tmp_path)
    assert run(tmp_path, "check", "corpus", "corpus/release").exit_code == 0
    assert (gulls["id"], gulls["title"], gulls["text"], gulls["published"]) == ("7", "Gulls", GULLS, "2021-03-04")
    assert (library["title"], library["published_precision"], library["language"]) == (None, "month", "und")
    assert gulls["provenance"]["source_file"] == "source/press.csv"
    assert 'source/press.csv: CSV, 2 rows, 115 bytes; delimiter ,, quote ", a header, UTF-8' in said
    assert said.endswith("corpus: begun. Next: broadsheet build corpus\n")


def test_what_was_given_is_copied_and_stays(tmp_path: Path) -> None:
    _begin(tmp_path, {"press.csv": CSV})
    assert (tmp_path / "press.csv").read_bytes() == (tmp_path / "corpus" / "source" / "press.csv").read_bytes() == CSV
    assert sorted(path.relative_to(tmp_path / "corpus").as_posix() for path in (tmp_path / "corpus").rglob("*.*")) == [
        "annotations/codebook.md",
        "annotations/datasheet.toml",
        "dataset.toml",
        "source/press.csv",
    ]


def test_the_same_input_gives_the_same_draft_to_the_byte(tmp_path: Path) -> None:
    (tmp_path / "press.csv").write_bytes(CSV.replace(b"date", b"label"))
    drafts = set()
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "broadsheet", "init", f"{seed}/corpus", "--from", "press.csv"]
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
        drafts.add(tuple(path.read_bytes() for path in sorted((tmp_path / seed).rglob("*")) if path.is_file()))
    assert len(drafts) == 1


def test_every_open_place_is_told_with_its_line(tmp_path: Path) -> None:
    said = _begin(tmp_path, {"press.csv": CSV})
    lines = (tmp_path / "corpus" / "dataset.toml").read_text(encoding="utf-8").splitlines()
    told = {int(number) for number in re.findall(r"dataset\.toml:(\d+) ", said)}
    assert told == {n for n, line in enumerate(lines, start=1) if "TO FILL IN" in line and not line.startswith("#")}
    assert "title: the title for people" in said
    assert "57 questions" in said


def test_the_datasheet_shows_what_is_not_answered_yet(tmp_path: Path) -> None:
    _begin(tmp_path, {"press.csv": CSV})
    _built(tmp_path)
    assert (tmp_path / "corpus" / "release" / "DATASHEET.md").read_text(encoding="utf-8").count(
        "Not answered yet."
    ) == 57


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\xef\xbb\xbfid;text\r\n1;Rain; all day\r\n".replace(b"Rain;", b"Rain,"), "delim = ';'"),
        (b"id\ttext\n1\tRain, all day\n", "delim = '\t'"),
        (b"id|text\n1|Rain, all day\n", "delim = '|'"),
        (b"'id','text'\n'1','Rain, all day'\n", "quote = ''''"),
        (b'id,text\n1,"Rain, all day"\n2,"He said \\"x, y\\", and left"\n', "escape = '\\'"),
        (b'id,text\n1,"Rain, all day"\n2,\'Tis late\n', "read_csv('source/a.csv')"),
    ],
)
def test_the_dialect_is_found_and_said(data: bytes, told: str, tmp_path: Path) -> None:
    _begin(tmp_path, {"a.csv": data})
    assert told in _sql(tmp_path)
    assert _pairs(_built(tmp_path))[0] == ("1", "Rain, all day")


def test_a_byte_order_mark_is_told(tmp_path: Path) -> None:
    assert "UTF-8 with a byte order mark" in _begin(tmp_path, {"a.csv": b"\xef\xbb\xbfid,text\n1,Rain\n"})
    assert _pairs(_built(tmp_path)) == [("1", "Rain")]


def test_a_file_without_a_header_has_a_marked_gap(tmp_path: Path) -> None:
    said = _begin(tmp_path, {"a.csv": b"'1','Rain fell on the harbour.'\n'2','It''s dry.'\n"})
    assert "header = false" in _sql(tmp_path)
    assert "its first line seems to be a row" in said
    assert 'The columns are\n"column0", "column1".\n"column1" has the longest values.' in _comments(tmp_path)
    failed = run(tmp_path, "build", "corpus")
    assert failed.exit_code == 1
    assert re.search(
        r"^dataset\.toml:\d+ /articles/sql: .*TO FILL IN: the column that has the text.*\[BS120\]", failed.output
    )
    recipe = tmp_path / "corpus" / "dataset.toml"
    recipe.write_text(recipe.read_text().replace('"TO FILL IN: the column that has the text"', '"column1"'))
    assert [row["text"] for row in _built(tmp_path)] == ["Rain fell on the harbour.", "It's dry."]


def test_latin_1_is_proposed_with_a_sample_and_the_byte(tmp_path: Path) -> None:
    said = _begin(tmp_path, {"a.csv": "id,text\n1,Un café à Genève\n".encode("latin-1")})
    assert "byte 16 (0xe9) is not valid UTF-8: invalid continuation byte\n" in said
    assert "latin-1 is proposed; look whether it reads well: " in said
    assert "Un café à Genève" in _comments(tmp_path)
    assert "encoding = 'latin-1'" in _sql(tmp_path)
    assert _pairs(_built(tmp_path)) == [("1", "Un café à Genève")]


def test_what_queries_cannot_read_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("id,text\n1,“Café”\n".encode("cp1252"))
    said = _refused(tmp_path, "a.csv")
    assert "a.csv: byte 10 (0x93) is not valid UTF-8" in said
    assert "iconv -f WINDOWS-1252 -t UTF-8" in said


def test_texts_may_be_in_what_queries_do_not_read(tmp_path: Path) -> None:
    said = _begin(tmp_path, {"t/a.txt": "“Café”".encode("cp1252"), "t/b.txt": "Rain – “dry”".encode()}, "t")
    assert "not in UTF-8, look whether they read well as cp1252: a.txt\n" in said
    assert _recipe(tmp_path)["texts"]["encodings"] == {"source/a.txt": "cp1252"}
    assert 'as cp1252: "“Café”"' in _comments(tmp_path)
    assert _pairs(_built(tmp_path)) == [("a", "“Café”"), ("b", "Rain – “dry”")]


def test_quoted_newlines_and_long_rows(tmp_path: Path) -> None:
    long = "Rain fell. " * 250_000
    _begin(tmp_path, {"a.csv": f'id,text\n1,"{GULLS}"\n2,{long}\n'.encode()})
    assert _pairs(_built(tmp_path)) == [("1", GULLS), ("2", long)]


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ('"a ""b""",text', ['a "b"', "text"]),
        ('"line\nbreak",text', ["line\nbreak", "text"]),
        ('back\\slash,"te""""""xt"', ["back\\slash", 'te"""xt']),
        ("'; DROP,text", ["'; DROP", "text"]),
        ("\u202eevil,text", ["\u202eevil", "text"]),
    ],
)
def test_names_of_columns_are_escaped(header: str, names: Sequence[str], tmp_path: Path) -> None:
    _begin(tmp_path, {"a.csv": f"{header}\nx,Rain\n".encode()})
    assert "\u202e" not in (tmp_path / "corpus" / "dataset.toml").read_text(encoding="utf-8")
    recipe = tmp_path / "corpus" / "dataset.toml"
    query = _sql(tmp_path)
    if "TO FILL IN" in query:
        text = recipe.read_text(encoding="utf-8")
        name = '"' + names[1].replace('"', '""') + '"'
        name = name.replace("\\", "\\\\").replace('"', '\\"')
        recipe.write_text(text.replace('"TO FILL IN: the column that has the text"', name), encoding="utf-8")
    assert next(row["text"] for row in _built(tmp_path)) == "Rain"


@pytest.mark.parametrize("name", ["it's.csv", "a[1].csv", "a*b?.csv", "wörter – 1.csv"])
def test_names_of_files_are_escaped(name: str, tmp_path: Path) -> None:
    _begin(tmp_path, {name: b"id,text\n1,Rain\n", "a1.csv": b"id,text\n2,Other\n"})
    assert _pairs(_built(tmp_path)) == [("1", "Rain")]


def test_without_an_id_the_text_makes_one(tmp_path: Path) -> None:
    _begin(tmp_path, {"a.csv": b"id,text\n1,Rain\n1,Sun\n"})
    assert 'left(sha256("text"), 12) AS id' in _sql(tmp_path)
    assert "An id must stay the same for ever" in _comments(tmp_path)
    first = [row["id"] for row in _built(tmp_path)]
    (tmp_path / "corpus" / "source" / "a.csv").write_bytes(b"id,text\n1,Sun\n1,Rain\n")
    assert [row["id"] for row in _built(tmp_path)] == first[::-1]


def test_texts_that_are_there_twice_are_told_where_the_id_is_made_of_them(tmp_path: Path) -> None:
    _begin(tmp_path, {"a.csv": b"text\nRain\nRain\n"})
    assert "[BS207]" in run(tmp_path, "build", "corpus").output


def test_dates_that_are_not_iso_are_left_to_people(tmp_path: Path) -> None:
    said = _begin(tmp_path, {"a.csv": b"id,text,date\n1,Rain,03/04/2021\n2,Sun,05/04/2021\n"})
    assert "published" not in _sql(tmp_path)
    assert '"date" not mapped (not all are dates of ISO 8601, see below): every row, "03/04/2021", "05/04/2021"' in said
    assert 'published = { format = "%d/%m/%Y" }  # or "%m/%d/%Y", …' in _comments(tmp_path)
    assert [row["published"] for row in _built(tmp_path)] == [None, None]


def test_labels_are_drafted_with_their_counts_and_the_draft_works(tmp_path: Path) -> None:
    data = b"id,text,label\n1,Rain,pro\n2,Sun,con\n3,Fog,pro\n4,Snow,\n"
    _begin(tmp_path, {"a.csv": data})
    _built(tmp_path)
    comments = _comments(tmp_path)
    assert '"con" = "TO FILL IN"  # 1 row\n"pro" = "TO FILL IN"  # 2 rows' in comments
    draft = comments[comments.index("[[targets]]") :].replace("\n#\n", "\n\n")
    for old, new in (
        ("human, model or rule", "human"),
        ('"con" = "', '"con" = "against'),
        ('"pro" = "', '"pro" = "favor'),
    ):
        draft = draft.replace(old, new)
    draft = re.sub("TO FILL IN(: )?", "", draft).replace('name = ""', 'name = "Rain"')
    with (tmp_path / "corpus" / "dataset.toml").open("a", encoding="utf-8") as file:
        file.write(draft + "\n")
    assert [row["stance"] for row in _built(tmp_path)] == ["favor", "against", "favor", None]


@pytest.mark.parametrize(
    ("values", "languages"),
    [(["en", "de-CH"], ["en", "de-CH"]), (["en", ""], ["en", "und"]), (["English", "German"], ["und", "und"])],
)
def test_languages_are_taken_where_they_are_tags(values: list[str], languages: list[str], tmp_path: Path) -> None:
    rows = "".join(f"{n},Rain {n},{value}\n" for n, value in enumerate(values))
    _begin(tmp_path, {"a.csv": f"id,text,lang\n{rows}".encode()})
    assert [row["language"] for row in _built(tmp_path)] == languages


def test_an_address_is_kept_in_a_field_of_its_own(tmp_path: Path) -> None:
    _begin(tmp_path, {"a.csv": b"id,text,url\n1,Rain,https://example.org/1\n2,Sun,\n"})
    assert [row["url"] for row in _built(tmp_path)] == ["https://example.org/1", None]


def test_rows_without_a_text_are_told(tmp_path: Path) -> None:
    _begin(tmp_path, {"a.csv": b"id,text\n1,Rain\n2,\n"})
    assert "1 row without a text: the build will refuse them" in _comments(tmp_path)
    assert run(tmp_path, "build", "corpus").exit_code == 1


def test_json_lines_may_be_ragged_and_nested(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"_id": {"$oid": "a1"}, "headline": "Gulls", "body": GULLS, "date": {"$date": "2021-03-04T10:00:00Z"}, "n": 1},
        {"_id": {"$oid": "b2"}, "body": BOOKS, "tags": ["rain"], 'odd "key"': None},
    ]
    said = _begin(tmp_path, {"a.jsonl": b"\xef\xbb\xbf" + b"\n".join(map(orjson.dumps, rows)) + b"\n"})
    assert 'left(json->>\'$."date"."$date"\', 10)' in _sql(tmp_path)
    assert '"headline"    → title: 1 of 2 rows, "Gulls"' in said
    assert re.search(r'"tags" +not mapped: 1 of 2 rows, lists, "\[\\"rain\\"\]"', said)
    gulls, library = _built(tmp_path)
    assert (gulls["id"], gulls["text"], gulls["title"], gulls["published"]) == ("a1", GULLS, "Gulls", "2021-03-04")
    assert (library["id"], library["title"], library["published"]) == ("b2", None, None)


def test_a_key_of_two_types_is_text(tmp_path: Path) -> None:
    _begin(tmp_path, {"a.jsonl": b'{"id":1,"text":"Rain"}\n{"id":"x","text":"Sun"}\n'})
    assert _pairs(_built(tmp_path)) == [("1", "Rain"), ("x", "Sun")]


@pytest.mark.parametrize(
    "data",
    [
        b'[{"id": "1", "text": "Rain"}, {"id": "2", "text": "Sun"}]',
        b'{"count": 2, "items": [{"id": "1", "text": "Rain"}, {"id": "2", "text": "Sun"}]}',
        b'{"1": {"text": "Rain"}, "2": {"text": "Sun"}}',
        b'{"id": "1", "text": "Rain"}\n{"id": "2", "text": "Sun"}\n',
    ],
    ids=["array", "under a key", "by id", "lines"],
)
def test_a_json_document_of_rows(data: bytes, tmp_path: Path) -> None:
    _begin(tmp_path, {"a.json": data})
    assert _pairs(_built(tmp_path)) == [("1", "Rain"), ("2", "Sun")]


def test_a_json_document_of_one_article(tmp_path: Path) -> None:
    _begin(tmp_path, {"a.json": b'{"id": "1", "text": "Rain",\n "source": {"name": "Harbour Post"}}'})
    assert _pairs(_built(tmp_path)) == [("1", "Rain")]


def test_parquet_with_its_types(tmp_path: Path) -> None:
    day = datetime.date(2021, 3, 4)
    table = pa.table(
        {
            "id": [1, 2],
            "text": [GULLS, BOOKS],
            "date": [day, None],
            "published_at": [datetime.datetime(2021, 3, 4, 10), None],  # noqa: DTZ001
            "author": pa.array(["A", "B"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(table.drop_columns(["date"]), tmp_path / "b.parquet")
    for name in ("a", "b"):
        _begin(tmp_path, {}, f"{name}.parquet")
        first, second = _built(tmp_path)
        assert (first["id"], first["text"], first["published"], first["author"]) == ("1", GULLS, "2021-03-04", "A")
        assert second["published"] is None
        shutil.rmtree(tmp_path / "corpus")


def test_a_folder_of_texts_with_stems_that_recur(tmp_path: Path) -> None:
    files = {"t/harbour/one.txt": b"Rain", "t/library/one.txt": b"Sun", "t/library/two.txt": b"Fog", "t/.hidden": b"x"}
    said = _begin(tmp_path, files, "t")
    assert '"library": 2 files' in said
    assert "left out, for they are hidden or no files: .hidden" in said
    assert _pairs(_built(tmp_path)) == [("harbour/one", "Rain"), ("library/one", "Sun"), ("library/two", "Fog")]
    assert not (tmp_path / "corpus" / "source" / ".hidden").exists()


def test_what_is_left_out_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "elsewhere").symlink_to(tmp_path)
    (tmp_path / "t" / "broken").symlink_to("nowhere")
    said = _begin(tmp_path, {"t/one.txt": b"Rain", "t/.git/config": b"x"}, "t")
    assert "left out, for they are hidden or no files: .git/config, broken, elsewhere" in said
    assert _pairs(_built(tmp_path)) == [("one", "Rain")]


def test_a_folder_of_texts_with_folders_that_recur_too(tmp_path: Path) -> None:
    _begin(tmp_path, {"t/a/x/one.txt": b"Rain", "t/b/x/one.txt": b"Sun"}, "t")
    assert _pairs(_built(tmp_path)) == [("a/x/one.txt", "Rain"), ("b/x/one.txt", "Sun")]


@pytest.mark.parametrize("suffix", ["", ".txt"])
def test_files_of_text_need_no_ending(suffix: str, tmp_path: Path) -> None:
    _begin(tmp_path, {f"t/one{suffix}": b"Rain", f"t/two{suffix}": b"Sun"}, "t")
    assert _pairs(_built(tmp_path)) == [("one", "Rain"), ("two", "Sun")]


def test_one_text_is_an_article(tmp_path: Path) -> None:
    _begin(tmp_path, {"a[b].txt": b"Rain"})
    assert _pairs(_built(tmp_path)) == [("a[b]", "Rain")]


def test_a_table_may_be_called_text(tmp_path: Path) -> None:
    _begin(tmp_path, {"a.txt": b"ID\tTarget\tTweet\tStance\n1\tFerry\tRain, again\tAGAINST\n"})
    assert '"AGAINST" = "against"  # 1 row' in _comments(tmp_path)
    assert _pairs(_built(tmp_path)) == [("1", "Rain, again")]


@pytest.mark.parametrize("named", ["one.txt", "one", "x/one.txt"], ids=["name", "stem", "path"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_table_that_names_the_texts_is_joined(named: str, form: str, tmp_path: Path) -> None:
    other = named.replace("one", "two")
    table = f"file,headline\n{named},Gulls\n{other},Books\n".encode()
    if form == "jsonl":
        table = b'{"file":"%s","headline":"Gulls"}\n{"file":"%s","headline":"Books"}\n' % (
            named.encode(),
            other.encode(),
        )
    said = _begin(tmp_path, {f"t/meta.{form}": table, "t/x/one.txt": b"Rain", "t/x/two.txt": b"Sun"}, "t")
    assert '"file" names the texts, by their' in said
    rows = _built(tmp_path)
    assert [(row["id"], row["title"], row["text"]) for row in rows] == [
        ("one", "Gulls", "Rain"),
        ("two", "Books", "Sun"),
    ]


def test_a_row_that_names_no_text_is_refused_and_none_is_lost(tmp_path: Path) -> None:
    table = b"file,headline\none,Gulls\ntwo,Books\nthree,Nothing\n"
    _begin(tmp_path, {"t/meta.csv": table, "t/one.txt": b"Rain", "t/two.txt": b"Sun"}, "t")
    assert run(tmp_path, "build", "corpus").exit_code == 1


def test_a_folder_of_json_documents(tmp_path: Path) -> None:
    files = {
        f"t/{n}.json": json.dumps({"title": f"No {n}", "body": text, "date": "2021-03-04"}).encode()
        for n, text in enumerate((GULLS, BOOKS))
    }
    _begin(tmp_path, files, "t")
    assert "text->>'$.\"body\"' AS text" in _sql(tmp_path)
    rows = _built(tmp_path)
    assert _pairs(rows) == [("0", GULLS), ("1", BOOKS)]
    assert [row["title"] for row in rows] == ["No 0", "No 1"]


def test_a_folder_with_one_table_and_a_note_about_it(tmp_path: Path) -> None:
    _begin(tmp_path, {"t/README.md": b"About.", "t/press.csv": CSV}, "t")
    assert len(_built(tmp_path)) == 2


def test_tables_alike_are_read_as_one(tmp_path: Path) -> None:
    files = {"t/b.csv": b"id,text\n3,Fog\n", "t/a.csv": b"id,text\n1,Rain\n2,Sun\n", "t/other.csv": b"x,y\n1,2\n"}
    said = _begin(tmp_path, files, "t")
    assert "nothing is taken from it yet" in said
    assert _pairs(_built(tmp_path)) == [("1", "Rain"), ("2", "Sun"), ("3", "Fog")]


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    _begin(tmp_path, {"a.jsonl.gz": gzip.compress(b'{"id":"1","text":"Rain"}\n')})
    assert _pairs(_built(tmp_path)) == [("1", "Rain")]


def test_without_anything_given_there_is_an_outline(tmp_path: Path) -> None:
    said = run(tmp_path, "init", "corpus")
    assert said.exit_code == 0, said.output
    assert list((tmp_path / "corpus" / "source").iterdir()) == []
    failed = run(tmp_path, "build", "corpus")
    assert failed.exit_code == 1
    assert "source/TO FILL IN.csv" in failed.output


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("My Corpus", "my-corpus"),
        ("Zürich_2021", "zurich-2021"),
        ("新闻", "my-dataset"),
        ("a" * 120, "a" * 96),
        ("x/y", "y"),
    ],
)
def test_the_folder_names_the_dataset(folder: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    assert run(tmp_path, "init", folder, "--from", "a.csv").exit_code == 0
    assert tomllib.loads((tmp_path / folder / "dataset.toml").read_text(encoding="utf-8"))["name"] == name
    assert run(tmp_path, "build", folder).exit_code == 0


def test_a_folder_that_is_there_and_empty_is_filled(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "corpus").mkdir()
    assert run(tmp_path / "corpus", "init", ".", "--from", "../a.csv").exit_code == 0
    assert len(_built(tmp_path)) == 2


def test_what_is_given_may_hold_the_new_folder(tmp_path: Path) -> None:
    _begin(tmp_path, {"a.csv": CSV}, ".")
    assert [path.name for path in (tmp_path / "corpus" / "source").iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.csv", b"", "BS119"),
        ("a.csv", b"id,text\n", "BS119"),
        ("a.jsonl", b"", "BS119"),
        ("a.json", b"[]", "BS119"),
        ("a.json", b"[1, 2]", "BS204"),
        ("a.json", b"3", "BS204"),
        ("a.json", b'{"a": ', "BS107"),
        ("a.jsonl", b'{"id": 1}\n{"id": \n', "BS107"),
        ("a.jsonl", b'{"id": "\xff"}\n', "BS102"),
        ("a.csv", b"id,text\n1,a\n2,b,c,d\n3,c\n4,d\n", "BS122"),
        ("a.csv", b"id,text\n1,\x81\xff\n", "BS102"),
        ("a.csv", b"id,text\n1,\0\n", "BS123"),
        ("a.xlsx", b"PK\x03\x04rest", "BS123"),
        ("a.csv", b"PK\x03\x04rest", "BS123"),
        ("a.xls", b"\xd0\xcf\x11\xe0rest", "BS123"),
        ("a.pdf", b"%PDF-1.7", "BS123"),
        ("a.parquet", b"PAR1 and nothing more", "BS504"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "BS115"),
        ("folder/a.xlsx", b"PK\x03\x04rest", "BS123"),
        ("folder/.hidden", b"x", "BS119"),
    ],
)
def test_what_cannot_be_read_is_told_and_nothing_is_left(name: str, data: bytes, code: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(data)
    assert f"[{code}]" in _refused(tmp_path, name.split("/", maxsplit=1)[0])


def test_a_row_that_does_not_fit_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'id;text\n1;"a\nb"\n2;b;c\n3;c\n4;d\n')
    assert "a.csv:4: the row has 3 fields, the first one 2 [BS122]" in _refused(tmp_path, "a.csv")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    assert "[BS603]" in _refused(tmp_path, "nowhere.csv", 2)


def test_a_device_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = run(tmp_path, "init", "corpus", "--from", "pipe")
    assert (result.exit_code, (tmp_path / "corpus").exists()) == (2, False)


def test_a_folder_that_has_something_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "mine.txt").write_text("mine")
    assert "the folder is not empty [BS602]" in _refused(tmp_path, "a.csv", 2)


def test_a_file_in_the_way_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "corpus").write_text("mine")
    assert "[BS602]" in _refused(tmp_path, "a.csv", 2)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("target", ["new", "empty", "deep"])
def test_what_fails_midway_leaves_nothing(
    error: BaseException, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    folder = "x/y/corpus" if target == "deep" else "corpus"
    if target == "empty":
        (tmp_path / folder).mkdir()

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(scaffold, "_codebook", fail)
    before = _contents(tmp_path)
    result = run(tmp_path, "init", folder, "--from", "a.csv")
    assert result.exit_code == (2 if isinstance(error, OSError) else 130), result.output
    assert _contents(tmp_path) == before


def test_what_fails_on_the_way_into_an_empty_folder_leaves_it_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "corpus").mkdir()
    rename = Path.rename

    def fail(path: Path, goal: Path) -> Path:
        if path.name == "dataset.toml":
            raise KeyboardInterrupt
        return rename(path, goal)

    monkeypatch.setattr(Path, "rename", fail)
    before = _contents(tmp_path)
    assert run(tmp_path, "init", "corpus", "--from", "a.csv").exit_code == 130
    assert _contents(tmp_path) == before
