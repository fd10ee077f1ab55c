"""The release is really consumable: by load_dataset, by a JSON Schema validator, by plain Parquet readers."""

from __future__ import annotations

import datetime
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pandas as pd
import polars as pl
import pytest

from broadsheet import contract, release, tables
from broadsheet.build import build
from broadsheet.contract import TABLES, Row
from tests.conftest import REPOSITORY
from tests.http_server import serving

LOAD = """
import json, sys
from datasets import load_dataset

folder, config, streaming = json.loads(sys.argv[1])
loaded = load_dataset(folder, config, split="train", streaming=streaming)
print(json.dumps({
    "config": loaded.info.config_name,
    "version": str(loaded.info.version),
    "features": {name: str(feature) for name, feature in loaded.features.items()},
    "labels": {name: feature.names for name, feature in loaded.features.items() if hasattr(feature, "names")},
    "rows": list(loaded),
}, default=str))
"""


def _load(folder: Path, cache: Path, config: str | None = None, *, streaming: bool = False) -> dict[str, Any]:
    """Load *folder* in a new process, offline, with *cache* as the only cache."""
    home = {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    finished = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps([str(folder), config, streaming])],
        env=os.environ | home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    loaded: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return loaded


def test_load_dataset_gives_the_articles_by_default(
    corpus_release: Path, corpus_rows: dict[str, list[Row]], tmp_path: Path
) -> None:
    loaded = _load(corpus_release, tmp_path)
    assert loaded["config"] == "articles"
    assert loaded["features"]["published"] == "Value('date32')"
    assert loaded["features"]["provenance"].startswith("{'source_file': Value('string')")
    assert loaded["labels"]["stance"] == ["favor", "against", "neutral", "not_addressed", "unclear"]
    names = loaded["labels"]["stance"]
    assert [names[row["stance"]] for row in loaded["rows"]] == [row["stance"] for row in corpus_rows["articles"]]
    for found, row in zip(loaded["rows"], corpus_rows["articles"], strict=True):
        for column in ("id", "text", "published", "provenance", "rights", "references"):
            assert found[column] == row[column]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("table", TABLES)
def test_load_dataset_gives_each_table(
    table: str,
    streaming: bool,
    corpus_release: Path,
    corpus_rows: dict[str, list[Row]],
    tmp_path: Path,
) -> None:
    loaded = _load(corpus_release, tmp_path, table, streaming=streaming)
    expected = corpus_rows[table]
    assert [row[_text(table)] for row in loaded["rows"]] == [row[_text(table)] for row in expected]
    assert list(loaded["features"]) == list(expected[0])
    for column, names in loaded["labels"].items():
        assert [None if row[column] is None else names[row[column]] for row in loaded["rows"]] == [
            row[column] for row in expected
        ]


def _text(table: str) -> str:
    return {"articles": "text", "paragraphs": "text", "stances": "rationale"}[table]


def test_a_rebuilt_release_loads_its_new_rows_from_the_same_cache(minimal: Path, tmp_path: Path) -> None:
    """The cache of `datasets` goes by the card's version and description, not by the files."""
    build(minimal)
    before = _load(minimal / "release", tmp_path / "cache", "stances")
    path = minimal / "annotations" / "stance" / "first.jsonl"
    path.write_text(path.read_text().replace("By the rules.", "By other words.", 1))
    build(minimal)
    after = _load(minimal / "release", tmp_path / "cache", "stances")
    assert "By other words." not in [row["rationale"] for row in before["rows"]]
    assert "By other words." in [row["rationale"] for row in after["rows"]]


def test_a_truncated_release_does_not_load(corpus_release: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus_release, tmp_path / "release"))
    whole = tables.read_parquet(folder / release.parquet_path("stances"))
    tables.write_parquet(whole.slice(0, 10), folder / release.parquet_path("stances"))
    with pytest.raises(AssertionError, match="NonMatchingSplitsSizesError"):
        _load(folder, tmp_path / "cache", "stances")


@pytest.mark.parametrize("table", TABLES)
def test_jsonschema_validates_every_line_against_the_published_schema(table: str, corpus_release: Path) -> None:
    schema = json.loads((corpus_release / release.schema_path(TABLES[table])).read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    lines = (corpus_release / release.jsonl_path(table)).read_text(encoding="utf-8").splitlines()
    assert [error.message for line in lines for error in validator.iter_errors(json.loads(line))] == []
    broken = json.loads(lines[0])
    del broken[next(iter(broken))]
    assert list(validator.iter_errors(broken))


@pytest.mark.parametrize("table", TABLES)
def test_pandas_polars_and_duckdb_read_the_file(
    table: str, corpus_release: Path, corpus_rows: dict[str, list[Row]]
) -> None:
    path = corpus_release / release.parquet_path(table)
    expected = [row[_text(table)] for row in corpus_rows[table]]
    assert pd.read_parquet(path)[_text(table)].to_list() == expected
    assert pl.read_parquet(path)[_text(table)].to_list() == expected
    found = duckdb.execute(f"select {_text(table)} from read_parquet(?)", [str(path)]).fetchall()  # noqa: S608 - ours
    assert [text for (text,) in found] == expected


def test_dates_labels_and_structs_arrive_as_such(corpus_release: Path) -> None:
    path = str(corpus_release / release.parquet_path("articles"))
    query = (
        "select published, stance, provenance.claims[1].basis from read_parquet(?) where published_precision = 'day'"
    )
    assert duckdb.execute(query, [path]).fetchall() == [(datetime.date(2012, 9, 27), "against", "stated")]


def test_a_plain_download_over_http_is_the_file(corpus_release: Path, corpus_rows: dict[str, list[Row]]) -> None:
    with serving(corpus_release) as served:
        url = f"{served.url}/{release.parquet_path('articles')}"
        assert pd.read_parquet(url)["id"].to_list() == [row["id"] for row in corpus_rows["articles"]]
        found = pl.scan_parquet(url).select("id", "stance").collect()
        assert found["stance"].to_list() == [row["stance"] for row in corpus_rows["articles"]]


def test_two_columns_over_http_do_not_fetch_the_whole_file(corpus_rows: dict[str, list[Row]], tmp_path: Path) -> None:
    """A reader asks for 256 KiB of footer at once, so a file must be larger to show it: the corpus, grown."""
    path = tmp_path / release.parquet_path("articles")
    path.parent.mkdir(parents=True)
    noise = random.Random(1)  # noqa: S311 - text that does not compress, not a secret
    rows = [
        row | {"id": f"{row['id']}-{n}", "text": noise.randbytes(4_000).hex()}
        for n in range(100)
        for row in corpus_rows["articles"]
    ]
    tables.write_parquet(tables.to_arrow(rows, contract.table_schema("articles")), path)
    with serving(tmp_path) as served:
        url = f"{served.url}/{release.parquet_path('articles')}"
        found = pl.scan_parquet(url).select("id", "stance").collect()
        assert found["id"].to_list() == [row["id"] for row in rows]
        sent = sum(served.sent.values())
    assert 0 < sent < 0.15 * path.stat().st_size


@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "Pacific/Kiritimati", "LANG": "tr_TR.UTF-8", "LC_ALL": "C", "PYTHONHASHSEED": "1", "umask": "077"},
        {"TZ": "America/New_York", "LANG": "C.UTF-8", "PYTHONHASHSEED": "4242", "PYTHONUTF8": "0", "umask": "002"},
    ],
)
def test_two_builds_under_different_circumstances_are_the_same_bytes(
    environment: dict[str, str], corpus_release: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "broadsheet", "build", str(REPOSITORY / "dataset"), "--out", str(tmp_path / "out")]
    umask = int(environment["umask"], 8)
    variables = os.environ | {name: value for name, value in environment.items() if name != "umask"}
    finished = subprocess.run(
        command, env=variables, cwd=tmp_path, umask=umask, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert _contents(tmp_path / "out") == _contents(corpus_release)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_sha256sum_itself_accepts_the_checksums(corpus_release: Path) -> None:
    finished = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=corpus_release, capture_output=True, check=False
    )
    assert finished.returncode == 0
    assert len(finished.stdout.splitlines()) == len(_contents(corpus_release)) - 1
