"""Checking a dataset's folder: the release it holds is what its inputs build, and so are the copies."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadsheet.build import build
from broadsheet.check import check_folder


@pytest.fixture
def built(minimal: Path) -> Path:
    recipe = minimal / "dataset.toml"
    recipe.write_text('datasheet_copies = ["COPY.md"]\n' + recipe.read_text())
    build(minimal)
    return minimal


def _told(folder: Path) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in check_folder(folder)]


def test_what_was_just_built_has_no_problems(built: Path) -> None:
    assert _told(built) == []
    assert _told(built / "release") == []


def test_a_copy_of_the_datasheet_that_differs_is_told(built: Path) -> None:
    (built / "COPY.md").write_text("# Another datasheet\n")
    assert _told(built) == [("BS509", "COPY.md")]


def test_a_copy_of_the_datasheet_that_is_gone_is_told(built: Path) -> None:
    (built / "COPY.md").unlink()
    assert _told(built) == [("BS509", "COPY.md")]


def test_an_edit_of_the_release_is_told_with_its_line(built: Path) -> None:
    path = built / "release" / "jsonl" / "paragraphs.jsonl"
    path.write_text(path.read_text().replace("three summers", "four summers"))
    (problem,) = check_folder(built)
    assert (problem.code, problem.path, problem.line) == ("BS510", "jsonl/paragraphs.jsonl", 4)


def test_a_stray_file_in_the_release_is_told(built: Path) -> None:
    (built / "release" / "data" / "articles" / "train-00001-of-00002.parquet").write_bytes(b"stale")
    assert _told(built) == [("BS510", "data/articles/train-00001-of-00002.parquet")]


@pytest.mark.parametrize(
    ("file", "old", "new", "code"),
    [
        ("stance/first.jsonl", "amateurish company", "amateur company", "BS401"),
        ("segments.jsonl", '"start_line": 10', '"start_line": 9', "BS302"),
        ("segments.jsonl", '"end_line": 9', '"end_line": 8', "BS303"),
    ],
)
def test_inputs_that_do_not_build_are_told_as_a_build_tells_them(
    file: str, old: str, new: str, code: str, built: Path
) -> None:
    path = built / "annotations" / file
    path.write_text(path.read_text().replace(old, new, 1))
    assert [code for code, _ in _told(built)] == [code]


def test_checking_changes_nothing(built: Path) -> None:
    before = {path: path.read_bytes() for path in built.rglob("*") if path.is_file()}
    check_folder(built)
    assert {path: path.read_bytes() for path in built.rglob("*") if path.is_file()} == before
