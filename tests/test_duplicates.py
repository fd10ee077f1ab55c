"""Near-duplicates that a recipe asks for are noted in the data, and told where they leak from one split to another."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from broadsheet.build import Built, build
from broadsheet.contract import Row
from broadsheet.problems import InvalidData
from broadsheet.verify import verify
from tests.corpora import RECIPE, articles, dataset_of

SPLITS = '[articles.files]\ntrain = ["source/train.jsonl"]\ntest = ["source/test.jsonl"]\n'
THRESHOLD = "\n[duplicates]\nthreshold = 0.8\n"


def _copy(row: Row, text: str | None = None) -> Row:
    """Give another article with the same text, or with *text*, which starts as it does."""
    copy: Row = json.loads(json.dumps(row))
    text = row["text"] if text is None else text
    copy |= {"id": f"{row['id']}-copy", "text": text, "text_sha256": hashlib.sha256(text.encode()).hexdigest()}
    copy |= {"n_chars": len(text), "n_words": len(text.split()), "n_paragraphs": text.count("\n") + 1}
    for claim in copy["provenance"]["claims"]:
        for quote in claim["evidence"]:
            quote["suffix"] = text[quote["end"] : quote["end"] + len(quote["suffix"])]
    return copy


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return articles(80)


def _dataset(folder: Path, train: list[Row], test: list[Row], more: str = THRESHOLD) -> Path:
    dataset = dataset_of(train, folder)
    (dataset / "source" / "articles.jsonl").rename(dataset / "source" / "train.jsonl")
    (dataset / "source" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in test), encoding="utf-8")
    recipe = RECIPE.replace('[articles]\nfiles = ["source/*.jsonl"]\n', SPLITS)
    assert recipe != RECIPE
    (dataset / "dataset.toml").write_text(recipe + more, encoding="utf-8")
    return dataset


def _duplicates(built: Built) -> dict[str, str]:
    files = sorted((Path(built.place) / "jsonl").rglob("*.jsonl"))
    found: list[Any] = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return {row["id"]: row["duplicate_of"] for row in found if row["duplicate_of"]}


def _told(built: Built) -> list[tuple[str, str, int | None]]:
    return [(problem.code, problem.path, problem.line) for problem in built.problems]


def test_near_duplicates_and_copies_are_noted_and_leaks_are_told(rows: list[Row], tmp_path: Path) -> None:
    near = _copy(rows[3], rows[3]["text"] + " And so on, it is said.")
    same = _copy(rows[5])
    within = _copy(rows[7], rows[7]["text"] + " The end.")
    dataset = _dataset(tmp_path / "dataset", [*rows[:40], within], [*rows[40:], near, same])
    built = build(dataset, workers=2)
    assert _duplicates(built) == {copy["id"]: copy["id"].removesuffix("-copy") for copy in (near, same, within)}
    assert _told(built) == [("BS210", "source/test.jsonl", 41), ("BS210", "source/test.jsonl", 42)]
    assert verify(Path(built.place)) == []
    again = build(dataset, tmp_path / "again")
    assert again.digest == built.digest


def test_without_being_asked_a_build_notes_nothing_and_tells_of_copies(rows: list[Row], tmp_path: Path) -> None:
    near, same = _copy(rows[3], rows[3]["text"] + " And so on, it is said."), _copy(rows[5])
    built = build(_dataset(tmp_path / "dataset", rows[:40], [*rows[40:], near, same], more=""))
    assert _duplicates(built) == {}
    assert _told(built) == [("BS210", "source/test.jsonl", 42)]


def test_what_a_row_says_itself_stays(rows: list[Row], tmp_path: Path) -> None:
    copy = _copy(rows[5]) | {"duplicate_of": rows[6]["id"]}
    built = build(_dataset(tmp_path / "dataset", [*rows[:40], copy], rows[40:]))
    assert _duplicates(built) == {copy["id"]: rows[6]["id"]}


@pytest.mark.parametrize("threshold", ["0.2", "1.5", '"0.8"'])
def test_a_threshold_that_means_nothing_is_refused(threshold: str, rows: list[Row], tmp_path: Path) -> None:
    dataset = _dataset(tmp_path / "dataset", rows[:5], rows[5:9], THRESHOLD.replace("0.8", threshold))
    with pytest.raises(InvalidData, match="BS105"):
        build(dataset)
