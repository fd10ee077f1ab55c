"""The build: the input alone decides what comes out, and what is wrong in it is told where it stands."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import pairwise
from multiprocessing import active_children
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet import jsonl, release, shards, sources, tables
from broadsheet.build import Built, build
from broadsheet.contract import TABLES, Row
from broadsheet.problems import MAX_ERRORS, CannotRun, InvalidData, Problem
from broadsheet.progress import Tell
from broadsheet.sources import File
from broadsheet.verify import verify
from tests.conftest import CORPUS, REPOSITORY
from tests.examples_support import EXAMPLES, MINIMAL, run

ROWS = 120
#: So small that the rows make several shards.
SMALL = 150_000
#: A label that says nothing, but for its article.
LABEL: Row = {
    "target_id": "harbour-plan",
    "stance": "not_addressed",
    "intensity": None,
    "holder": "author",
    "confidence": "high",
    "rationale": "So.",
    "basis": "stated",
    "evidence": [],
    "annotator_id": "first",
    "annotator_kind": "human",
    "guideline_version": "1.0",
    "annotated_on": "2021-06-01",
    "is_gold": False,
    "aggregation": "none",
    "n_annotators": 1,
}


def _bench(rows: int, out: Path) -> None:
    spec = importlib.util.spec_from_file_location("bench_corpus", REPOSITORY / "scripts" / "bench" / "corpus.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_corpus"] = module
    spec.loader.exec_module(module)
    module.write(rows, 1, out)


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Rows of articles as lines of JSON, each with its line feed."""
    path = tmp_path_factory.mktemp("bench") / "rows.jsonl"
    _bench(ROWS, path)
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture(scope="session")
def rows(lines: list[bytes]) -> list[Row]:
    """The same as rows."""
    return [orjson.loads(line) for line in lines]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have small inputs cut into several shards."""
    monkeypatch.setattr(sources, "SMALLEST", SMALL)


def _dataset(
    folder: Path, files: Mapping[str, bytes | Sequence[Row]], recipe: str = "", targets: str = "harbour-plan north-line"
) -> Path:
    """Lay out a dataset without pages in *folder*: the *files*, and a recipe that has the section *recipe*."""
    (folder / "annotations").mkdir(parents=True)
    for name in ("codebook.md", "datasheet.toml"):
        shutil.copyfile(MINIMAL / "annotations" / name, folder / "annotations" / name)
    text = (EXAMPLES / "invalid" / "BS119-no-rows" / "dataset.toml").read_text()
    section = recipe or f"[articles]\nfiles = {json.dumps([*files])}"
    text = text.replace('[articles]\nfiles = ["source/*.jsonl"]', section)
    for old, new in zip(("tram", "north-line"), targets.split(), strict=False):
        text = text.replace(f'id = "{old}"', f'id = "{new}"')
    (folder / "dataset.toml").write_text(text)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data if isinstance(data, bytes) else jsonl.serialize(data))
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _rows(place: Path, table: str, split: str = "train") -> list[Row]:
    """The rows of a release's Parquet files, shard after shard."""
    paths = sorted((place / "data" / table).glob(f"{split}-*.parquet"))
    return [row for path in paths for row in tables.from_arrow(tables.read_parquet(path))]


def _twins(place: Path, table: str, split: str = "train") -> list[Row]:
    """The same rows from the JSON Lines."""
    total = len(sorted((place / "data" / table).glob(f"{split}-*.parquet")))
    paths = [place / release.jsonl_path(table, split, number, total) for number in range(total)]
    return [orjson.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def _place(built: Built) -> Path:
    return Path(built.place)


def _problems(folder: Path, workers: int | None = None) -> list[Problem]:
    with pytest.raises(InvalidData) as caught:
        build(folder, workers=workers)
    return list(caught.value.problems)


def _told(problems: Sequence[Problem]) -> list[tuple[str, str, int | None, str]]:
    return [(problem.code, problem.path, problem.line, problem.pointer) for problem in problems]


def _broadsheet(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "broadsheet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# The same rows, the same release -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def one_by_one(lines: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A dataset of several shards, built in this process; and the digest."""
    folder = _dataset(tmp_path_factory.mktemp("built") / "dataset", {"rows.jsonl": b"".join(lines)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "SMALLEST", SMALL)
        return folder, build(folder).digest


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("workers", [None, 1, 2, 8])
def test_the_release_does_not_depend_on_the_workers(
    workers: int | None, one_by_one: tuple[Path, str], tmp_path: Path
) -> None:
    folder, digest = one_by_one
    built = build(folder, tmp_path / "release", workers=workers)
    assert built.digest == digest
    assert _contents(_place(built)) == _contents(folder / "release")
    assert verify(_place(built), workers) == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("workers", [None, 2])
def test_a_second_build_in_the_same_place_changes_nothing(
    workers: int | None, lines: list[bytes], tmp_path: Path
) -> None:
    folder = _dataset(tmp_path / "dataset", {"rows.jsonl": b"".join(lines)})
    before = _contents(_place(build(folder, workers=workers)))
    assert _contents(_place(build(folder, workers=workers))) == before
    assert sorted(path.name for path in folder.iterdir()) == ["annotations", "dataset.toml", "release", "rows.jsonl"]


def test_new_processes_with_any_number_of_workers_make_the_same_release(lines: list[bytes], tmp_path: Path) -> None:
    """Splits are shards of their own, however small."""
    files = {f"{split}.jsonl": b"".join(lines[n::3]) for n, split in enumerate(("train", "test", "dev"))}
    recipe = "[articles.files]\n" + "\n".join(f'{split} = ["{split}.jsonl"]' for split in ("train", "test", "dev"))
    folder = _dataset(tmp_path / "dataset", files, recipe)
    expected = build(folder)
    for workers in ("1", "3"):
        place = tmp_path / f"release-{workers}"
        finished = _broadsheet("build", str(folder), "--out", str(place), "--workers", workers)
        assert finished.returncode == 0, finished.stderr
        assert f"{ROWS} articles" in finished.stdout
        assert expected.digest in finished.stdout
        assert _contents(place) == _contents(folder / "release")
    finished = _broadsheet("check", str(folder / "release"), "--workers", "2")
    assert finished.returncode == 0, finished.stdout


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_compressed_rows_make_the_same_release(
    ending: str, lines: list[bytes], one_by_one: tuple[Path, str], tmp_path: Path
) -> None:
    data = b"".join(lines)
    match ending:
        case ".gz":
            data = gzip.compress(data)
        case ".zst":
            data = pa.Codec("zstd").compress(data, asbytes=True)
    folder = _dataset(tmp_path / "dataset", {f"rows.jsonl{ending}": data})
    assert _contents(_place(build(folder))) == _contents(one_by_one[0] / "release")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "files",
    [
        ["a.jsonl", "b.jsonl", "c.jsonl"],
        ["a.jsonl.gz", "b.jsonl", "c.jsonl"],
        ["in/a.jsonl", "in/b.jsonl", "in/c.jsonl"],
    ],
)
@pytest.mark.parametrize("pattern", [False, True])
def test_several_files_have_the_same_rows_as_one(
    files: list[str], pattern: bool, lines: list[bytes], one_by_one: tuple[Path, str], tmp_path: Path
) -> None:
    parts = [b"".join(part) for part in (lines[:7], lines[7:90], lines[90:])]
    data = {
        name: gzip.compress(part) if name.endswith(".gz") else part for name, part in zip(files, parts, strict=True)
    }
    recipe = "[articles]\nfiles = " + json.dumps(["**/?.jsonl*"] if pattern else files)
    built = build(_dataset(tmp_path / "dataset", data, recipe))
    assert built.digest == one_by_one[1]
    assert _twins(_place(built), "articles") == [orjson.loads(line) for line in lines]
    assert verify(_place(built)) == []


@pytest.mark.parametrize("smallest", [20_000, 333_333, 32 << 20])
def test_the_digest_does_not_depend_on_the_cut(
    smallest: int, lines: list[bytes], rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SMALLEST", smallest)
    built = build(_dataset(tmp_path / "dataset", {"rows.jsonl": b"".join(lines)}))
    parquet, twins = ({"articles": read(_place(built), "articles")} for read in (_rows, _twins))
    assert parquet["articles"] == twins["articles"]
    assert tables.digest({"articles": rows}) == built.digest == tables.digest(parquet) == tables.digest(twins)
    card = (_place(built) / release.CARD).read_text(encoding="utf-8")
    assert set(re.findall(r"sha256:[0-9a-f]{64}", card)) == {built.digest}
    assert built.rows == {"articles": ROWS}
    assert verify(_place(built)) == []


def test_keys_are_sorted_alike_by_all_who_take_the_digest(rows: list[Row], tmp_path: Path) -> None:
    """By code points: not as UTF-16 has them, nor by any language."""
    names = [
        "\ue000",
        "\uffff",
        "🙂",
        "\U0010ffff",
        "z",
        "Z",
        "é",
        "e\u0301",
        "a b",
        "a",
        "A",
        "ä",
        "a'",
        '"',
        "%",
        "日",
    ]
    given_rows = [row | {"id": name} for row, name in zip(rows, names, strict=False)]
    built = build(_dataset(tmp_path / "dataset", {"rows.jsonl": given_rows}))
    assert built.digest == tables.digest({"articles": given_rows})
    assert verify(_place(built)) == []


def test_the_order_of_rows_changes_files_and_not_the_digest(
    lines: list[bytes], one_by_one: tuple[Path, str], tmp_path: Path
) -> None:
    shuffled = random.Random(1).sample(lines, len(lines))  # noqa: S311 - any order will do
    built = build(_dataset(tmp_path / "dataset", {"rows.jsonl": b"".join(shuffled)}))
    assert built.digest == one_by_one[1]
    assert _twins(_place(built), "articles") == [orjson.loads(line) for line in shuffled]


# Shards --------------------------------------------------------------------------------------------------------------


def test_shards_have_their_true_total_and_the_rows_in_order(one_by_one: tuple[Path, str], rows: list[Row]) -> None:
    place = one_by_one[0] / "release"
    names = sorted(path.name for path in (place / "data" / "articles").iterdir())
    total = len(names)
    assert total > 3
    assert names == [f"train-{number:05d}-of-{total:05d}.parquet" for number in range(total)]
    assert sorted(path.name for path in (place / "jsonl" / "articles").iterdir()) == [
        f"train-{number:05d}-of-{total:05d}.jsonl" for number in range(total)
    ]
    assert _rows(place, "articles") == rows
    assert _twins(place, "articles") == rows
    assert {path.name for path in (place / "data").iterdir()} == {"articles"}


def test_load_dataset_gives_the_rows_of_all_shards(
    one_by_one: tuple[Path, str], rows: list[Row], tmp_path: Path
) -> None:
    script = """
import json, sys
from datasets import load_dataset
loaded = load_dataset(sys.argv[1], "articles", split="train")
print(json.dumps([[row["id"], row["text"]] for row in loaded]))
"""
    home = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    finished = subprocess.run(
        [sys.executable, "-c", script, str(one_by_one[0] / "release")],
        env=os.environ | home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout.splitlines()[-1]) == [[row["id"], row["text"]] for row in rows]


def test_row_groups_are_within_their_limit(
    lines: list[bytes], rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit, block = 100_000, 20_000
    monkeypatch.setattr(tables, "ROW_GROUP", limit)
    monkeypatch.setattr(shards, "BLOCK", block)
    place = _place(build(_dataset(tmp_path / "dataset", {"rows.jsonl": b"".join(lines)})))
    with pq.ParquetFile(place / release.parquet_path("articles")) as file:
        groups = [file.read_row_group(number) for number in range(file.num_row_groups)]
    assert len(groups) > 3
    longest = max(map(len, lines))
    assert all(group.nbytes < limit + 2 * (block + longest) for group in groups)
    assert all(group.nbytes >= limit / 2 for group in groups[:-1])
    assert _rows(place, "articles") == rows
    assert verify(place) == []


file_sizes = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3 << 30)), max_size=12)


@given(file_sizes, st.sampled_from([1, 1 << 20, sources.SMALLEST]))
def test_the_cut_loses_nothing_and_keeps_within_the_limits(sizes: list[tuple[str, int]], smallest: int) -> None:
    files = [File(f"{n}", f"{n}", split, size) for n, (split, size) in enumerate(sizes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "SMALLEST", smallest)
        found = sources.cut(files)
    assert sources.cut(files) == sources.cut(list(files))
    stretches = [stretch for shard in found for stretch in shard.stretches]
    assert [stretch.number for stretch in stretches] == list(range(len(stretches)))
    for file in files:
        own = [stretch for stretch in stretches if stretch.path == file.path]
        edges = [0, *(stretch.end for stretch in own)]
        assert [(stretch.start, stretch.end) for stretch in own] == list(pairwise(edges))
        assert edges[-1] == file.size
    for split in dict.fromkeys(split for split, _ in sizes):
        own_shards = [shard for shard in found if shard.split == split]
        assert [(shard.number, shard.total) for shard in own_shards] == [
            (number, len(own_shards)) for number in range(len(own_shards))
        ]
    loads = [sum(stretch.end - stretch.start for stretch in shard.stretches) for shard in found]
    assert max(loads, default=0) <= sources.LARGEST
    assert list(dict.fromkeys(shard.split for shard in found)) == [*dict.fromkeys(s for s, _ in sizes)]


@pytest.mark.usefixtures("small")
def test_a_line_longer_than_a_shard_leaves_shards_without_rows(rows: list[Row], tmp_path: Path) -> None:
    long = rows[0] | {"rights": rows[0]["rights"] | {"usage_terms": "x" * (4 * SMALL)}}
    given_rows = [long, *rows[1:40]]
    place = _place(build(_dataset(tmp_path / "dataset", {"rows.jsonl": given_rows})))
    counts = [pq.read_metadata(path).num_rows for path in sorted((place / "data" / "articles").iterdir())]
    assert 0 in counts
    assert sum(counts) == 40
    assert _rows(place, "articles") == given_rows
    assert verify(place) == []


@pytest.mark.usefixtures("small")
def test_each_split_has_its_own_rows_and_shards(lines: list[bytes], rows: list[Row], tmp_path: Path) -> None:
    recipe = '[articles.files]\ntrain = ["a.jsonl", "b.jsonl"]\ntest = ["c.jsonl"]'
    files = {"a.jsonl": b"".join(lines[:50]), "b.jsonl": b"".join(lines[50:100]), "c.jsonl": b"".join(lines[100:])}
    built = build(_dataset(tmp_path / "dataset", files, recipe), workers=2)
    assert _rows(_place(built), "articles") == rows[:100]
    assert _rows(_place(built), "articles", "test") == rows[100:] == _twins(_place(built), "articles", "test")
    assert built.rows == {"articles": ROWS}
    assert verify(_place(built)) == []


# Lines and labels, inline or in files of their own -------------------------------------------------------------------


@pytest.fixture(scope="session")
def released() -> dict[str, list[Row]]:
    """The rows of the release of the first corpus."""
    place = CORPUS / "release" / "jsonl"
    return {table: [orjson.loads(line) for line in (place / f"{table}.jsonl").open("rb")] for table in TABLES}


@pytest.fixture(scope="session")
def records(released: dict[str, list[Row]]) -> list[Row]:
    """The same, put together again: each article with its lines and labels."""
    return [
        article
        | {table: [row for row in released[table] if row["article_id"] == article["id"]] for table in shards.CARRIED}
        for article in released["articles"]
    ]


def _card_digest() -> str:
    (digest,) = set(re.findall(r"sha256:[0-9a-f]{64}", (CORPUS / "release" / release.CARD).read_text()))
    return str(digest)


OWN_FILES = '[articles]\nfiles = ["articles.jsonl"]\n\n' + "\n\n".join(
    f'[{table}]\nfiles = ["{table}-*.jsonl"]' for table in shards.CARRIED
)


def _interleaved(given_rows: list[Row], seed: int) -> list[Row]:
    """Give the rows in another order across articles; those of each stay in theirs."""
    shuffler = random.Random(seed)  # noqa: S311 - any order will do
    turns = [row["article_id"] for row in given_rows]
    shuffler.shuffle(turns)
    waiting = {name: iter([row for row in given_rows if row["article_id"] == name]) for name in set(turns)}
    return [next(waiting[name]) for name in turns]


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("smallest", [32 << 20, 50_000])
def test_records_put_together_from_a_release_give_its_digest(
    smallest: int, workers: int | None, records: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SMALLEST", smallest)
    folder = _dataset(tmp_path / "dataset", {"rows.jsonl": records}, targets="mek us-delisting")
    built = build(folder, workers=workers)
    assert built.digest == _card_digest()
    assert built.rows == {"articles": 10, "paragraphs": 269, "stances": 60}
    assert verify(_place(built)) == []


@pytest.mark.parametrize(
    ("smallest", "seed", "workers"), [(32 << 20, None, None), (32 << 20, 1, None), (50_000, 2, None), (50_000, 3, 2)]
)
def test_rows_in_files_of_their_own_give_the_same_in_any_order_of_articles(
    *,
    smallest: int,
    seed: int | None,
    workers: int | None,
    released: dict[str, list[Row]],
    records: list[Row],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "SMALLEST", smallest)
    files: dict[str, Sequence[Row]] = {"articles.jsonl": released["articles"]}
    for table in shards.CARRIED:
        own = released[table] if seed is None else _interleaved(released[table], seed)
        files |= {f"{table}-1.jsonl": own[:31], f"{table}-2.jsonl": own[31:]}
    built = build(_dataset(tmp_path / "own", files, OWN_FILES, "mek us-delisting"), workers=workers)
    assert built.digest == _card_digest()
    assert verify(_place(built)) == []
    if smallest > SMALL and seed is None:
        inline = build(_dataset(tmp_path / "inline", {"rows.jsonl": records}, targets="mek us-delisting"))
        assert _contents(_place(inline)) == _contents(_place(built))


def test_some_rows_inline_and_others_in_files_of_their_own(
    released: dict[str, list[Row]], records: list[Row], tmp_path: Path
) -> None:
    articles = [{k: v for k, v in record.items() if k != "stances"} for record in records]
    files: dict[str, Sequence[Row]] = {"articles.jsonl": articles, "stances-1.jsonl": released["stances"]}
    recipe = '[articles]\nfiles = ["articles.jsonl"]\n\n[stances]\nfiles = ["stances-1.jsonl"]'
    built = build(_dataset(tmp_path / "dataset", files, recipe, "mek us-delisting"))
    assert built.digest == _card_digest()


def test_articles_may_come_in_any_order_with_their_lines(records: list[Row], tmp_path: Path) -> None:
    """And what is built is verified without a problem."""
    folder = _dataset(tmp_path / "dataset", {"rows.jsonl": records[::-1]}, targets="mek us-delisting")
    built = build(folder)
    assert built.digest == _card_digest()
    assert _twins(_place(built), "articles")[0]["id"] == records[-1]["id"]
    assert verify(_place(built)) == []


@pytest.mark.parametrize("how", ["one left out", "two splits"])
def test_what_is_built_of_a_part_of_the_articles_is_verified_without_a_problem(
    how: str, records: list[Row], tmp_path: Path
) -> None:
    if how == "one left out":
        folder = _dataset(tmp_path / "dataset", {"rows.jsonl": records[1:]}, targets="mek us-delisting")
    else:
        recipe = '[articles.files]\ntrain = ["a.jsonl"]\ntest = ["b.jsonl"]'
        files = {"a.jsonl": records[::2], "b.jsonl": records[1::2]}
        folder = _dataset(tmp_path / "dataset", files, recipe, "mek us-delisting")
    assert verify(_place(build(folder))) == []


@pytest.mark.parametrize("kept", ["one annotator", "one target", "gold labels alone"])
def test_labels_that_cannot_be_compared_are_released_all_the_same(
    kept: str, records: list[Row], tmp_path: Path
) -> None:
    def is_kept(row: Row) -> bool:
        match kept:
            case "one annotator":
                return bool(row["annotator_id"] == "pass-a")
            case "one target":
                return bool(row["target_id"] == "mek")
            case _:
                return bool(row["is_gold"])

    given_rows = [
        record
        | {"stances": [row for row in record["stances"] if is_kept(row)]}
        | ({"stance": None, "stance_intensity": None} if kept == "one annotator" else {})
        for record in records
    ]
    built = build(_dataset(tmp_path / "dataset", {"rows.jsonl": given_rows}, targets="mek us-delisting"))
    assert built.rows["stances"] == sum(len(row["stances"]) for row in given_rows)
    assert verify(_place(built)) == []


def test_a_label_for_a_target_that_the_recipe_has_not_is_a_problem(records: list[Row], tmp_path: Path) -> None:
    found = _problems(_dataset(tmp_path / "dataset", {"rows.jsonl": records}, targets="mek us-listing"))
    assert {problem.code for problem in found} == {"BS208"}


def test_a_row_of_an_article_that_is_not_there_is_told(released: dict[str, list[Row]], tmp_path: Path) -> None:
    stray = released["stances"][3] | {"article_id": "nowhere"}
    files: dict[str, Sequence[Row]] = {
        "articles.jsonl": released["articles"],
        "paragraphs-1.jsonl": released["paragraphs"],
        "stances-1.jsonl": [*released["stances"][:40], stray, *released["stances"][40:], stray],
    }
    found = _problems(_dataset(tmp_path / "dataset", files, OWN_FILES, "mek us-delisting"))
    assert _told(found) == [("BS208", "stances-1.jsonl", 41, "/article_id")]
    assert "'nowhere'" in found[0].message


def test_as_many_labels_come_out_as_go_in(rows: list[Row], tmp_path: Path) -> None:
    """More of them than are put into the index at once."""
    labels = [
        LABEL | {"article_id": row["id"], "target_id": target, "annotator_id": f"annotator-{number}"}
        for row in rows
        for target in ("harbour-plan", "north-line")
        for number in range(45)
    ]
    assert len(labels) == 10_800
    bare = [row | {"stance": None, "stance_intensity": None} for row in rows]
    recipe = '[articles]\nfiles = ["articles.jsonl"]\n\n[stances]\nfiles = ["stances.jsonl"]'
    files: dict[str, Sequence[Row]] = {"articles.jsonl": bare, "stances.jsonl": labels}
    built = build(_dataset(tmp_path / "dataset", files, recipe))
    assert built.rows == {"articles": ROWS, "stances": len(labels)}
    assert built.digest == tables.digest({"articles": bare, "stances": labels})


def test_a_label_that_is_given_twice_is_told(released: dict[str, list[Row]], tmp_path: Path) -> None:
    own = next(row for row in released["stances"] if row["annotator_id"] == "pass-a")
    files: dict[str, Sequence[Row]] = {
        "articles.jsonl": released["articles"],
        "paragraphs-1.jsonl": released["paragraphs"],
        "stances-1.jsonl": released["stances"],
        "stances-2.jsonl": [own],
    }
    found = _problems(_dataset(tmp_path / "dataset", files, OWN_FILES, "mek us-delisting"))
    assert _told(found) == [("BS207", "stances-2.jsonl", 1, "")]
    first = released["stances"].index(own) + 1
    assert f"stances-1.jsonl:{first}" in found[0].message


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("name", "carried", "expected"),
    [
        ("stances", {}, ("BS204", "/stances")),
        ("stances", "none", ("BS204", "/stances")),
        ("paragraphs", 1, ("BS204", "/paragraphs")),
        ("stances", ["none"], ("BS204", "/stances/0")),
        ("stances", [{"stance": "pro"}], ("BS203", "/stances/0/stance")),
        ("stances", [{}, {"is_gold": 1}], ("BS204", "/stances/1/is_gold")),
        ("stances", [{"article_id": "nowhere"}], ("BS208", "/stances/0")),
        ("stances", [{"stanec": "favor"}], ("BS202", "/stances/0/stanec")),
        ("paragraphs", [{"role": "headline"}], ("BS203", "/paragraphs/0/role")),
        ("paragraphs", [{"index": 7}], ("BS507", "/paragraphs/0")),
    ],
)
def test_what_is_carried_along_is_judged_and_its_place_told(
    *, name: str, carried: Any, expected: tuple[str, str], lines: list[bytes], rows: list[Row], tmp_path: Path
) -> None:
    row = rows[100]
    whole = {
        "paragraphs": {"index": 0, "role": "title", "text": "Title", "start": None, "end": None, "start_byte": 0}
        | {"article_id": row["id"], "end_byte": 5},
        "stances": LABEL | {"article_id": row["id"]},
    }
    if isinstance(carried, list):
        carried = [whole[name] | item if isinstance(item, dict) else item for item in carried]
    data = [*lines[:100], jsonl.serialize([row | {name: carried}]), *lines[101:]]
    found = _problems(_dataset(tmp_path / "dataset", {"rows.jsonl": b"".join(data)}))
    code, pointer = expected
    assert (code, "rows.jsonl", 101, pointer) in _told(found)
    assert {problem.line for problem in found} == {101}


# What is wrong, and where --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("first", "again", "workers"), [(1, 121, None), (37, 100, 2), (120, 121, None), (60, 61, None)]
)
def test_a_key_that_is_there_twice_is_told_with_both_lines(
    first: int, again: int, workers: int | None, lines: list[bytes], tmp_path: Path
) -> None:
    data = [*lines]
    data.insert(again - 1, lines[first - 1])
    found = _problems(_dataset(tmp_path / "dataset", {"rows.jsonl": b"".join(data)}), workers)
    assert _told(found) == [("BS207", "rows.jsonl", again, ""), ("BS209", "rows.jsonl", again, "")]
    assert f"rows.jsonl:{first} " in found[0].message
    assert found[1].severity == "warning"


@pytest.mark.usefixtures("small")
def test_a_key_that_is_there_twice_is_told_over_files_and_splits(lines: list[bytes], tmp_path: Path) -> None:
    recipe = '[articles.files]\ntrain = ["a.jsonl", "b.jsonl"]\ntest = ["c.jsonl.gz"]'
    files = {
        "a.jsonl": b"".join(lines[:50]),
        "b.jsonl": b"".join([*lines[50:90], lines[49]]),
        "c.jsonl.gz": gzip.compress(b"".join([*lines[90:], lines[60]])),
    }
    found = _problems(_dataset(tmp_path / "dataset", files, recipe))
    assert [told for told in _told(found) if told[0] == "BS207"] == [
        ("BS207", "b.jsonl", 41, ""),
        ("BS207", "c.jsonl.gz", 31, ""),
    ]
    assert ["a.jsonl:50 " in found[0].message, "b.jsonl:11 " in found[1].message] == [True, True]


def test_one_file_in_two_splits_is_told_with_its_true_lines(lines: list[bytes], tmp_path: Path) -> None:
    recipe = '[articles.files]\ntrain = ["a.jsonl"]\ntest = ["a.jsonl"]'
    found = _problems(_dataset(tmp_path / "dataset", {"a.jsonl": b"".join(lines[:3])}, recipe))
    keys = [problem for problem in found if problem.code == "BS207"]
    assert [(problem.line, problem.message) for problem in keys] == [
        (n, f"the key is that of a.jsonl:{n} too") for n in (1, 2, 3)
    ]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("workers", [None, 2])
def test_a_text_that_is_there_twice_is_a_warning(
    workers: int | None, lines: list[bytes], rows: list[Row], tmp_path: Path
) -> None:
    again = rows[9] | {"id": "again"}
    known = rows[19] | {"id": "known", "duplicate_of": rows[19]["id"]}
    data = b"".join([*lines, jsonl.serialize([again, known])])
    built = build(_dataset(tmp_path / "dataset", {"rows.jsonl": data}), workers=workers)
    assert _told(built.problems) == [("BS209", "rows.jsonl", 121, "")]
    assert "rows.jsonl:10 " in built.problems[0].message
    assert {warning.severity for warning in built.problems} == {"warning"}
    assert built.rows == {"articles": ROWS + 2}
    assert verify(_place(built)) == []


@pytest.mark.usefixtures("small")
def test_a_text_in_train_and_test_is_a_warning(lines: list[bytes], rows: list[Row], tmp_path: Path) -> None:
    recipe = '[articles.files]\ntrain = ["a.jsonl"]\ntest = ["b.jsonl"]'
    files = {
        "a.jsonl": b"".join(lines[:80]),
        "b.jsonl": b"".join([*lines[80:], jsonl.serialize([rows[70] | {"id": "again"}])]),
    }
    built = build(_dataset(tmp_path / "dataset", files, recipe))
    assert [(w.code, w.path, w.line, w.severity) for w in built.problems] == [("BS210", "b.jsonl", 41, "warning")]
    assert "a.jsonl:71 " in built.problems[0].message
    finished = _broadsheet("build", str(tmp_path / "dataset"), "--out", str(tmp_path / "out"))
    assert finished.returncode == 0
    assert "b.jsonl:41: " in finished.stderr
    assert "[BS210] (warning)" in finished.stderr


def test_a_duplicate_of_an_article_that_is_not_there_is_told(
    lines: list[bytes], rows: list[Row], tmp_path: Path
) -> None:
    data = b"".join([*lines[:20], jsonl.serialize([rows[20] | {"duplicate_of": "nowhere"}])])
    found = _problems(_dataset(tmp_path / "dataset", {"rows.jsonl": data}))
    assert _told(found) == [("BS208", "rows.jsonl", 21, "")]


@pytest.mark.parametrize(
    ("smallest", "workers", "ending"),
    [(20_000, None, ""), (SMALL, None, ""), (32 << 20, None, ""), (SMALL, 2, ""), (40_000, None, ".gz")],
)
def test_what_is_wrong_is_told_with_its_true_line_in_any_shard(
    *,
    ending: str,
    smallest: int,
    workers: int | None,
    lines: list[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "SMALLEST", smallest)
    data = [*lines]
    for number in (1, 58, 59, 120):
        data[number - 1] = data[number - 1].replace(b'"language":"en"', b'"language":"EN"')
    data[29] = data[29].replace(b'"n_words":', b'"n_words":1')
    data[87] = b"not json\n"
    whole = b"".join(data)
    folder = _dataset(tmp_path / "dataset", {f"rows.jsonl{ending}": gzip.compress(whole) if ending else whole})
    found = [problem for problem in _problems(folder, workers) if problem.line is not None]
    assert sorted((p.line or 0, p.code, p.path, p.pointer) for p in found) == [
        (1, "BS205", f"rows.jsonl{ending}", "/language"),
        (30, "BS507", f"rows.jsonl{ending}", ""),
        (58, "BS205", f"rows.jsonl{ending}", "/language"),
        (59, "BS205", f"rows.jsonl{ending}", "/language"),
        (88, "BS107", f"rows.jsonl{ending}", ""),
        (120, "BS205", f"rows.jsonl{ending}", "/language"),
    ]


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("smallest", [SMALL, 32 << 20])
def test_after_a_hundred_errors_it_stops_and_tells_them(
    smallest: int, workers: int | None, lines: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SMALLEST", smallest)
    data = b"".join(lines).replace(b'"language":"en"', b'"language":"EN"')
    found = _problems(_dataset(tmp_path / "dataset", {"rows.jsonl": data}), workers)
    assert {(problem.code, problem.pointer) for problem in found} == {("BS205", "/language")}
    assert [problem.line for problem in found] == list(range(1, len(found) + 1))
    assert MAX_ERRORS <= len(found) <= ROWS


WRONG: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "schema": (lambda line: line.replace(b'"language":"en"', b'"language":"EN"'), "BS205"),
    "rule": (lambda line: line.replace(b'"n_words":', b'"n_words":1'), "BS507"),
    "no json": (lambda _: b"not json\n", "BS107"),
}


@pytest.mark.parametrize("smallest", [SMALL, 32 << 20])
@pytest.mark.parametrize("wrong", WRONG)
def test_one_row_that_is_wrong_is_one_problem(
    wrong: str, smallest: int, lines: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows beside it are there, and what refers to them is not wrong."""
    monkeypatch.setattr(sources, "SMALLEST", smallest)
    change, code = WRONG[wrong]
    beside = orjson.loads(lines[1])
    again = jsonl.serialize([beside | {"id": "again", "duplicate_of": beside["id"]}])
    data = b"".join([change(lines[0]), *lines[1:], again])
    found = _problems(_dataset(tmp_path / "dataset", {"rows.jsonl": data}))
    assert [(problem.code, problem.line) for problem in found] == [(code, 1)]


@pytest.mark.parametrize("smallest", [30_000, 32 << 20])
def test_an_article_that_is_wrong_does_not_make_its_lines_and_labels_wrong(
    smallest: int, released: dict[str, list[Row]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SMALLEST", smallest)
    files: dict[str, bytes | Sequence[Row]] = {
        "articles.jsonl": b"not json\n" + jsonl.serialize(released["articles"][1:]),
        "paragraphs-1.jsonl": released["paragraphs"],
        "stances-1.jsonl": released["stances"],
    }
    found = _problems(_dataset(tmp_path / "dataset", files, OWN_FILES, "mek us-delisting"))
    assert _told(found) == [("BS107", "articles.jsonl", 1, "")]


def test_a_record_may_refer_to_a_later_shard(
    rows: list[Row], lines: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SMALLEST", SMALL)
    data = [jsonl.serialize([rows[119] | {"id": "early", "duplicate_of": rows[119]["id"]}]), *lines]
    built = build(_dataset(tmp_path / "dataset", {"rows.jsonl": b"".join(data)}))
    assert (built.problems, built.rows) == ([], {"articles": ROWS + 1})


HIDDEN = b'"\\u0069d":'


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda line: line.replace(b'{"id":', b'{"id":"first","id":', 1), "BS107"),
        (lambda line: line.replace(b'{"id":', b"{" + HIDDEN + b'"x","id":', 1), "BS107"),
        (lambda line: line.replace(b'{"id":', b'{"id" :"x","id":', 1), "BS107"),
        # What is longer in canonical form must not make up for a key that is lost.
        (lambda line: re.sub(rb'"n_words":\d+', b'"n_words":1,"n_words":1e17', line, count=1), "BS107"),
        (lambda line: re.sub(rb'"n_words":\d+', b'"n_words":1,"n_words":1E-3', line, count=1), "BS107"),
        (lambda line: re.sub(rb'"n_words":\d+', b'"n_words":NaN', line, count=1), "BS107"),
        (lambda line: re.sub(rb'"n_words":\d+', b'"n_words":-Infinity', line, count=1), "BS107"),
        (lambda line: re.sub(rb'"n_words":\d+', b'"n_words":1e999', line, count=1), "BS107"),
        (lambda line: re.sub(rb'"n_words":\d+', b'"n_words":9223372036854775808', line, count=1), "BS113"),
        (lambda line: re.sub(rb'"n_words":\d+', b'"n_words":1.5', line, count=1), "BS204"),
        (lambda line: re.sub(rb'"n_words":\d+', b'"n_words":"1"', line, count=1), "BS204"),
        (lambda line: line.strip() + b" {}\n", "BS107"),
        (lambda line: line.replace(b'"text":"', b'"text":"\xe9', 1), "BS102"),
        (lambda line: line.replace(b'"text":"', b'"text":"\\ud800', 1), "BS107"),
        (lambda line: line.replace(b'"text":"', b'"text":"\\u0000', 1), "BS109"),
        (lambda _: b"[1]\n", "BS204"),
        (lambda _: b'"text"\n', "BS204"),
        (lambda _: b"null\n", "BS204"),
        (lambda _: b"{}\n", "BS201"),
        (lambda _: b"\xef\xbb\xbf{}\n", "BS107"),
        (lambda _: b"[" * 2_000 + b"]" * 2_000 + b"\n", "BS112"),
    ],
)
def test_a_row_is_read_strictly(
    change: Callable[[bytes], bytes], expected: str, lines: list[bytes], tmp_path: Path
) -> None:
    data = [*lines[:99], change(lines[99]), *lines[100:]]
    assert data[99] != lines[99]
    found = _problems(_dataset(tmp_path / "dataset", {"rows.jsonl": b"".join(data)}))
    assert found[0].code == expected
    assert {problem.line for problem in found if problem.severity == "error"} == {100}
    if expected == "BS102":
        offset = len(b"".join(lines[:99])) + lines[99].index(b'"text":"') + len(b'"text":"')
        assert f"byte {offset} " in found[0].message


@pytest.mark.parametrize("published", ["0000-01-01", "0000-12-31"])
def test_a_date_that_no_calendar_has_is_a_problem(published: str, lines: list[bytes], tmp_path: Path) -> None:
    """The year 0 is one by ISO 8601, but Arrow's consumers and Python have none."""
    row = orjson.loads(lines[1])
    row["provenance"]["claims"] = []
    row |= dict.fromkeys(("title", "publisher", "author", "genre"))
    row |= {"published": published, "published_precision": "day"}
    data = b"".join([lines[0], jsonl.serialize([row]), lines[2]])
    found = _problems(_dataset(tmp_path / "dataset", {"rows.jsonl": data}))
    assert ("BS205", "rows.jsonl", 2, "/published") in _told(found)


@pytest.mark.parametrize("value", ["May 2012", "2012-9-1"])
def test_a_claimed_date_that_is_none_is_a_problem(value: str, rows: list[Row], tmp_path: Path) -> None:
    number, row = next(
        (n, row)
        for n, row in enumerate(rows)
        for claim in row["provenance"]["claims"]
        if (claim["field"], claim["basis"]) == ("published", "stated")
    )
    claims = [
        claim | ({"value": value} if claim["field"] == "published" else {}) for claim in row["provenance"]["claims"]
    ]
    given_rows = [*rows[:number], row | {"provenance": row["provenance"] | {"claims": claims}}, *rows[number + 1 :]]
    found = _problems(_dataset(tmp_path / "dataset", {"rows.jsonl": given_rows}))
    assert {(problem.path, problem.line) for problem in found} == {("rows.jsonl", number + 1)}


NUMBERS = re.compile(rb'("(?:n_words|n_chars|start|end|start_byte|end_line)":)([1-9]\d*)')
Warned = list[tuple[str, int | None]]
#: The same rows in other forms, and the warnings that each is worth.
FORMS: dict[str, tuple[Callable[[list[bytes]], bytes], Warned]] = {
    "byte order mark": (lambda lines: b"\xef\xbb\xbf" + b"".join(lines), [("BS116", None)]),
    "empty lines": (
        lambda lines: b"".join([*lines[:60], b"\n", b"  \n", *lines[60:], b"\n"]),
        [("BS118", 61), ("BS118", 123)],
    ),
    "no line feed at the end": (lambda lines: b"".join(lines).removesuffix(b"\n"), []),
    "CRLF": (lambda lines: b"".join(lines).replace(b"\n", b"\r\n"), []),
    "integers as floats": (lambda lines: NUMBERS.sub(rb"\1\2.0", b"".join(lines)), []),
    "integers with exponents": (lambda lines: NUMBERS.sub(rb"\1\g<2>0E-1", b"".join(lines)), []),
    "white space and escapes": (
        lambda lines: b"".join(json.dumps(orjson.loads(line)).encode() + b" \n" for line in lines),
        [],
    ),
    "keys in another order": (
        lambda lines: jsonl.serialize(dict(reversed(orjson.loads(line).items())) for line in lines),
        [],
    ),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("how", FORMS)
def test_rows_are_the_same_however_they_are_written(
    how: str, lines: list[bytes], one_by_one: tuple[Path, str], tmp_path: Path
) -> None:
    change, warnings = FORMS[how]
    data = change(lines)
    assert data != b"".join(lines)
    built = build(_dataset(tmp_path / "dataset", {"rows.jsonl": data}))
    assert [(warning.code, warning.line) for warning in built.problems] == warnings
    assert {warning.severity for warning in built.problems} <= {"warning"}
    assert built.digest == one_by_one[1]
    assert built.rows == {"articles": len(lines)}
    # Not 2.0: the twin holds what the table holds, byte for byte.
    place = _place(built)
    twins = b"".join(p.read_bytes() for p in sorted((place / "jsonl").rglob("*.jsonl")))
    assert twins == b"".join(jsonl.canonical(orjson.loads(line)) + b"\n" for line in lines)
    assert verify(place) == []


@pytest.mark.parametrize(("number", "smallest"), [(1, 1), (2, 1), (63, 1), (65, SMALL), (ROWS, SMALL)])
def test_as_many_rows_come_out_as_go_in(
    *, number: int, smallest: int, lines: list[bytes], rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SMALLEST", smallest)
    monkeypatch.setattr(shards, "BLOCK", 10_000)
    built = build(_dataset(tmp_path / "dataset", {"rows.jsonl": b"".join(lines[:number])}))
    assert built.rows == {"articles": number}
    assert [row["id"] for row in _rows(_place(built), "articles")] == [row["id"] for row in rows[:number]]
    assert len(_twins(_place(built), "articles")) == number


@pytest.mark.parametrize(
    "files", [["nowhere.jsonl"], ["*.json"], ["/nowhere/*.jsonl"], ["**/*.csv"], ["../nowhere/*.jsonl"], ["."]]
)
def test_files_that_are_not_there_are_told(files: list[str], lines: list[bytes], tmp_path: Path) -> None:
    recipe = "[articles]\nfiles = " + json.dumps(files)
    found = _problems(_dataset(tmp_path / "dataset", {"rows.jsonl": lines[0]}, recipe))
    assert [(problem.code, problem.path) for problem in found] == [("BS101", files[0])]


@pytest.mark.parametrize("url", ["nosuch://host/rows.jsonl", "nosuch://host/*.jsonl"])
@pytest.mark.parametrize("table", ["articles", "stances"])
def test_a_place_that_cannot_be_reached_is_told(url: str, table: str, lines: list[bytes], tmp_path: Path) -> None:
    recipe = f"[articles]\nfiles = [{json.dumps('rows.jsonl' if table == 'stances' else url)}]"
    recipe += f"\n\n[stances]\nfiles = [{json.dumps(url)}]" if table == "stances" else ""
    with pytest.raises(CannotRun, match="BS605"):
        build(_dataset(tmp_path / "dataset", {"rows.jsonl": lines[0]}, recipe))


def test_files_may_lie_beside_the_dataset(lines: list[bytes], rows: list[Row], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "rows.jsonl").write_bytes(b"".join(lines[:3]))
    recipe = '[articles]\nfiles = ["../elsewhere/*.jsonl"]'
    assert _rows(_place(build(_dataset(tmp_path / "dataset", {}, recipe))), "articles") == rows[:3]


@pytest.mark.parametrize("data", [b"", b"\n\n", b" \n"])
def test_a_dataset_without_rows_is_told(data: bytes, tmp_path: Path) -> None:
    found = _problems(_dataset(tmp_path / "dataset", {"rows.jsonl": data}))
    assert [problem.code for problem in found if problem.severity == "error"] == ["BS119"]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_a_file_without_rows_has_the_name_that_the_recipe_knows(name: str, tmp_path: Path) -> None:
    data = gzip.compress(b"\n\n") if name.endswith(".gz") else b"\n\n"
    found = _problems(_dataset(tmp_path / "dataset", {name: data}))
    assert {(problem.code, problem.path) for problem in found} == {("BS118", name), ("BS119", name)}


# Nothing is left of a build that failed ------------------------------------------------------------------------------


FAILURES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "schema": ("rows.jsonl", lambda data: data.replace(b'"language":"en"', b'"language":"EN"', 1)),
    "rule": ("rows.jsonl", lambda data: data.replace(b'"n_words":', b'"n_words":1', 1)),
    "no json": ("rows.jsonl", lambda data: data + b"{"),
    "key twice": ("rows.jsonl", lambda data: data + data),
    "no rows": ("rows.jsonl", lambda _: b""),
    "sidecar": ("stances.jsonl", lambda _: b"{}\n"),
    "unknown article": ("stances.jsonl", lambda data: data.replace(b'"article_id":"', b'"article_id":"x')),
    "recipe": ("dataset.toml", lambda data: data.replace(b"rows.jsonl", b"nowhere.jsonl")),
    "datasheet": ("annotations/datasheet.toml", lambda data: data.replace(b"s.rows.articles", b"s.rows.nothing")),
}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files; the sockets of processes are elsewhere, as their paths must be short."""
    get_temp_dir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def _listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("failure", "workers"), [*((failure, None) for failure in FAILURES), ("schema", 2), ("key twice", 2)]
)
def test_a_build_that_fails_leaves_the_old_release_and_nothing_else(
    failure: str, workers: int | None, rows: list[Row], temporary: Path, tmp_path: Path
) -> None:
    labels = [
        LABEL | {"article_id": row["id"], "annotator_id": name} for row in rows[:60] for name in ("first", "second")
    ]
    files: dict[str, bytes | Sequence[Row]] = {
        "rows.jsonl": jsonl.serialize({**row, "stance": None, "stance_intensity": None} for row in rows[:60]),
        "stances.jsonl": [row | {"target_id": target} for row in labels for target in ("harbour-plan", "north-line")],
    }
    recipe = '[articles]\nfiles = ["rows.jsonl"]\n\n[stances]\nfiles = ["stances.jsonl"]'
    folder = _dataset(tmp_path / "dataset", files, recipe)
    build(folder)
    name, change = FAILURES[failure]
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(change(data))
    assert (folder / name).read_bytes() != data
    before = _listing(folder), _contents(folder)
    _problems(folder, workers)
    assert (_listing(folder), _contents(folder)) == before
    assert list(temporary.iterdir()) == []


def _killing(before: Sequence[Any]) -> Tell:
    """Give what kills a worker once it hears that there are articles."""

    def tell(step: str, done: int = 0, total: int = 0) -> None:  # noqa: ARG001 - it is a `Tell`
        if step.startswith("building"):
            children = [child for child in active_children() if child not in before]
            assert children
            os.kill(children[0].pid or 0, signal.SIGKILL)

    return tell


@pytest.mark.parametrize("how", ["library", "command line"])
def test_a_worker_that_is_killed_leaves_nothing(
    how: str, lines: list[bytes], temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SMALLEST", 1)
    folder = _dataset(tmp_path / "dataset", {"rows.jsonl": b"".join(lines)})
    build(folder)
    before = _listing(folder), _contents(folder)
    children = active_children()
    tell = _killing(children)
    if how == "library":
        with pytest.raises(CannotRun, match="BS606"):
            build(folder, tell=tell, workers=2)
    else:

        @contextmanager
        def progress() -> Iterator[Tell]:
            yield tell

        monkeypatch.setattr("broadsheet.cli._progress", progress)
        finished = run(folder, "build", ".", "--workers", "2")
        assert finished.exit_code == 2
        assert "[BS606]" in finished.output
    assert (_listing(folder), _contents(folder)) == before
    assert list(temporary.iterdir()) == []
    assert [child for child in active_children() if child not in children] == []


# Memory, and other versions of Arrow ---------------------------------------------------------------------------------


def _peaks(process: subprocess.Popen[str]) -> dict[int, int]:
    """Give the peak memory in MiB of *process* and of each that it starts, seen while it runs."""
    peaks: dict[int, int] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            for pid in _descendants(process.pid):
                try:
                    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
                except OSError:
                    continue
                if found:
                    peaks[pid] = max(peaks.get(pid, 0), int(found[1]) // 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    done.set()
    watcher.join()
    return peaks


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for path in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_sixty_megabytes_are_built_in_bounded_memory(workers: str, tmp_path: Path) -> None:
    folder = _dataset(tmp_path / "dataset", {"rows.jsonl": b""})
    _bench(10_000, folder / "rows.jsonl")
    assert (folder / "rows.jsonl").stat().st_size > 60_000_000
    command = [sys.executable, "-m", "broadsheet", "build", str(folder), "--workers", workers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        peaks = _peaks(process)
        assert process.returncode == 0, process.stderr and process.stderr.read()
    assert len(peaks) > int(workers)
    assert max(peaks.values()) < 400, peaks


DIGEST = """
import sys
sys.path.append(sys.argv[1])
import pyarrow
from pathlib import Path
from broadsheet import contract, release, tables
place = Path(sys.argv[2])
rows = {
    table: tables.from_arrow(tables.read_parquet(place / release.parquet_path(table))) for table in contract.TABLES
}
print(pyarrow.__version__, tables.digest(rows))
"""


@pytest.mark.slow
def test_another_version_of_arrow_reads_the_same_rows(tmp_path: Path) -> None:
    major = int(version("pyarrow").split(".")[0]) - 2
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    wanted = [f"pyarrow>={major},<{major + 1}", f"numpy=={version('numpy')}"]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    installed = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
    if installed.returncode and "CI" not in os.environ:
        pytest.skip(f"pyarrow {major} cannot be had: {installed.stderr.strip().splitlines()[-1]}")
    assert installed.returncode == 0, installed.stderr
    (own,) = {str(Path(module.__file__ or "").parent.parent) for module in (pa, orjson)}
    finished = subprocess.run(
        [str(python), "-c", DIGEST, own, str(CORPUS / "release")],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    found, digest = finished.stdout.split()
    assert found.split(".")[0] == str(major)
    assert digest == _card_digest()
