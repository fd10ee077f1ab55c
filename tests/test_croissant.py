"""croissant.json: MLCommons' own library finds nothing wrong in it, and reads the rows that the release has."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlcroissant
import pytest

from broadsheet import contract, release, tables
from broadsheet.build import build
from broadsheet.contract import Row
from broadsheet.verify import verify
from tests import corpora

#: Fields of a dataset's own, of every type there is.
OWN: dict[str, dict[str, Any]] = {
    "desk": {"description": "Whose.", "type": "string"},
    "page": {"description": "Where.", "type": ["integer", "null"]},
    "weight": {"description": "How much.", "type": "number"},
    "front": {"description": "Whether.", "type": "boolean"},
    "seen": {"description": "When.", "type": ["string", "null"], "format": "date"},
    "topics": {"description": "On what.", "type": "array", "items": {"type": "string"}},
    "edition": {
        "description": "Which.",
        "type": "object",
        "additionalProperties": False,
        "properties": {"name": {"type": "string"}, "number": {"type": ["integer", "null"]}},
    },
    "marks": {
        "description": "Marks.",
        "type": "array",
        "items": {"type": "object", "additionalProperties": False, "properties": {"place": {"type": "integer"}}},
    },
}


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with two splits, several shards and fields of its own. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("own") / "own"
    rows: list[Row] = [
        row
        | {"desk": f"desk {n % 3}", "page": None if n % 4 else n, "weight": n / 4, "front": n % 2 == 0}
        | {"seen": None if n % 5 else f"2021-05-{n % 28 + 1:02}", "topics": [f"t{n}", "é😀"][: n % 3]}
        | {"edition": {"name": f"No. {n}", "number": n}, "marks": [{"place": n}, {"place": n + 1}][: n % 3]}
        for n, row in enumerate(corpora.articles(60))
    ]
    corpora.dataset_of(rows, folder)
    lines = (folder / "source" / "articles.jsonl").read_bytes().splitlines(keepends=True)
    for split, own_lines in {"train": lines[:40], "test": lines[40:]}.items():
        (folder / "source" / f"{split}.jsonl").write_bytes(b"".join(own_lines))
    recipe = (folder / "dataset.toml").read_text(encoding="utf-8")
    old, new = 'files = ["source/*.jsonl"]', 'files = {train = ["source/train.jsonl"], test = ["source/test.jsonl"]}'
    assert old in recipe
    (folder / "dataset.toml").write_text(recipe.replace(old, new), encoding="utf-8")
    (folder / "schema").mkdir()
    (folder / "schema" / "articles.schema.json").write_text(json.dumps({"properties": OWN}))
    build(folder)
    return folder / "release"


def _rows(place: Path, table: str) -> list[Row]:
    return [
        row | {"split": path.name.partition("-")[0]}
        for path in sorted((place / "data" / table).glob("*.parquet"))
        for row in tables.from_arrow(tables.read_parquet(path))
    ]


def _leaves(field: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    inner = field.get("subField", ())
    yield from (leaf for one in inner for leaf in _leaves(one)) if inner else [field]


def _expected(row: Row, path: Sequence[str]) -> Any:
    """Give what *row* has at *path*; of a list, what each of its elements has."""
    value = row[path[0]]
    for step in path[1:]:
        value = [item[step] for item in value] if isinstance(value, list) else None if value is None else value[step]
    return value


def _got(record: Mapping[str, Any], key: str) -> Any:
    """Give what *record* has for the field *key*, which it has under its own name, or in the field it is part of."""
    if key in record:
        return _plain(record[key])
    parent = record[key.rpartition("/")[0]]
    return [_plain(item[key]) for item in parent] if isinstance(parent, list) else _plain(parent[key])


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    return value.date().isoformat() if isinstance(value, datetime.datetime) else value


@pytest.mark.parametrize("which", ["corpus", "own"])
def test_the_library_of_croissant_reads_what_the_release_holds(
    request: pytest.FixtureRequest, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place: Path = request.getfixturevalue({"corpus": "corpus_release", "own": "own"}[which])
    # It looks for files beside the document.
    monkeypatch.chdir(place)
    dataset = mlcroissant.Dataset(jsonld=place / release.CROISSANT)
    assert not dataset.metadata.ctx.issues.errors
    document = json.loads((place / release.CROISSANT).read_bytes())
    for record_set in document["recordSet"]:
        table = record_set["@id"]
        if table == "splits":
            continue
        keys = [one["@id"] for one in record_set["key"]]
        rows = sorted(_rows(place, table), key=lambda row: [row[key.rpartition("/")[2]] for key in keys])
        records = sorted(dataset.records(table), key=lambda record: [_plain(record[key]) for key in keys])
        assert len(records) == len(rows) > 0
        for leaf in (leaf for field in record_set["field"] for leaf in _leaves(field) if "source" in leaf):
            path = leaf["@id"].split("/")[1:]
            got = [_got(record, leaf["@id"]) for record in records]
            assert got == [row["split"] if path == ["split"] else _expected(row, path) for row in rows], leaf["@id"]


def test_every_field_has_its_type_its_words_and_a_place(own: Path) -> None:
    document = json.loads((own / release.CROISSANT).read_bytes())
    (articles,) = (one for one in document["recordSet"] if one["@id"] == "articles")
    fields = {field["name"]: field for field in articles["field"]}
    assert [*fields] == [*contract.table_schema("articles")["properties"], *OWN, "split"]
    assert {name: fields[name].get("dataType") for name in OWN} == {
        "desk": "sc:Text",
        "page": "sc:Integer",
        "weight": "sc:Float",
        "front": "sc:Boolean",
        "seen": "sc:Date",
        "topics": "sc:Text",
        "edition": None,
        "marks": None,
    }
    assert {name for name in OWN if fields[name].get("isArray")} == {"topics", "marks"}
    assert all(fields[name]["description"] == OWN[name]["description"] for name in OWN)
    assert [inner["@id"] for inner in fields["edition"]["subField"]] == [
        "articles/edition/name",
        "articles/edition/number",
    ]


def test_every_data_file_is_there_with_its_digest(own: Path) -> None:
    document = json.loads((own / release.CROISSANT).read_bytes())
    found = {one["contentUrl"]: one["sha256"] for one in document["distribution"] if one["@type"] == "cr:FileObject"}
    expected = {name: sha256 for name, sha256 in release.listed(own)[0].items() if name.startswith(("data/", "jsonl/"))}
    assert found == expected
    assert {name.rpartition("/")[2].partition("-")[0] for name in found if name.endswith("parquet")} == {
        "train",
        "test",
    }


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"version": "0.1.0"', '"version": "0.1.1"', "version: '0.1.1'"),
        ('"identifier": "sha256:', '"identifier": "sha256:0', "identifier: "),
        ('"sha256": "', '"sha256": "0', "sha256 of data/articles/test-00000-of-00001.parquet"),
        ('"name": "page"', '"name": "pages"', "the fields of articles"),
        ('"recordSet": [', '"recordSets": [', "it is no Croissant document"),
    ],
)
def test_a_document_that_says_something_else_than_the_data_is_found(
    own: Path, tmp_path: Path, old: str, new: str, says: str
) -> None:
    place = Path(shutil.copytree(own, tmp_path / "release"))
    path = place / release.CROISSANT
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    release.write_checksums(place)
    found = verify(place)
    assert {(problem.code, problem.path) for problem in found} == {("BS509", release.CROISSANT)}
    assert says in found[0].message


def test_a_licence_is_named_only_where_it_holds_for_all(corpus_release: Path, own: Path) -> None:
    """A machine that reads the URL of an open licence would take it for that of the texts."""
    corpus = json.loads((corpus_release / release.CROISSANT).read_bytes())
    assert corpus["license"]["url"] == release.LICENSE
    assert corpus["sdLicense"] == "https://creativecommons.org/licenses/by/4.0/"
    assert "datePublished" not in json.loads((own / release.CROISSANT).read_bytes())
