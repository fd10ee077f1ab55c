"""Segmentation loses nothing: the laws, over pages and boundaries of any shape."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet import contract, recipe, segment
from broadsheet.build import build
from broadsheet.labels import length
from broadsheet.problems import InvalidData
from broadsheet.segment import split_lines
from tests.examples_support import MINIMAL

ROLES = contract.table_schema("paragraphs")["properties"]["role"]["enum"]
# Roles that need no neighbours; references are tested on their own.
FREE_ROLES = [role for role in ROLES if not role.startswith("reference")]

line_texts = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=12)
pages = st.lists(line_texts, min_size=1, max_size=12).map("\n".join).filter(bool)


@st.composite
def datasets(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]], list[str]]:
    """Draw a page, segments that tile it, and a role for each line; every segment starts with a line of text."""
    page = draw(pages)
    n = len(split_lines(page.encode()))
    cuts = sorted(draw(st.sets(st.integers(2, n)))) if n > 1 else []
    edges = [1, *cuts, n + 1]
    segments = [(start, end - 1) for start, end in pairwise(edges)]
    starts = {start for start, _ in segments}
    roles = [draw(st.sampled_from(contract.TEXT_ROLES if n in starts else FREE_ROLES)) for n in range(1, n + 1)]
    return page, segments, roles


def _segment(page: str, segments: list[tuple[int, int]], roles: list[str]) -> list[segment.Article]:
    """Segment *page* as a dataset of its own, through the public door."""
    data = page.encode()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "source").mkdir()
        (folder / "annotations").mkdir()
        (folder / "source" / "page.txt").write_bytes(data)
        text = (MINIMAL / "dataset.toml").read_text()
        known = next(line for line in text.splitlines() if line.startswith("sha256"))
        text = text.replace(known, f'sha256 = "{hashlib.sha256(data).hexdigest()}"')
        (folder / "dataset.toml").write_text(text)
        rows = [
            {
                "article_id": f"a{start}",
                "source_file": "page.txt",
                "start_line": start,
                "end_line": end,
                "language": "en",
            }
            for start, end in segments
        ]
        runs = [
            {"article_id": f"a{start}", "start_line": line, "end_line": line, "role": roles[line - 1]}
            for start, end in segments
            for line in range(start, end + 1)
        ]
        _write(folder / "annotations" / "segments.jsonl", rows)
        _write(folder / "annotations" / "roles.jsonl", runs)
        return segment.segment(recipe.read(folder))


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.binary(max_size=60).filter(_is_utf8))
def test_lines_give_the_bytes_back(data: bytes) -> None:
    lines = split_lines(data)
    joined = "\n".join(line.text for line in lines).encode()
    assert data in {joined, joined + b"\n"}
    assert all(data[line.start_byte : line.end_byte] == line.text.encode() for line in lines)


@given(datasets())
def test_articles_tile_their_source_and_offsets_are_right(
    dataset: tuple[str, list[tuple[int, int]], list[str]],
) -> None:
    page, segments, roles = dataset
    try:
        articles = _segment(page, segments, roles)
    except InvalidData as error:
        # The only thing that can be wrong with these: an article whose text is nothing but white space.
        codes = {problem.code for problem in error.problems}
        assert codes == {"BS304"}
        return
    data = page.encode()
    assert [(a.start_byte, a.end_byte) for a in articles] == _tiles(articles, len(data))
    assert b"".join(data[a.start_byte : a.end_byte] for a in articles) == data
    for article in articles:
        assert article.segment.encode() == data[article.start_byte : article.end_byte].removesuffix(b"\n")
        for paragraph in article.paragraphs:
            if paragraph.start is not None:
                assert article.text[paragraph.start : paragraph.end] == paragraph.line.text
            assert (paragraph.start is None) == (paragraph.role not in contract.TEXT_ROLES)


def _tiles(articles: list[segment.Article], size: int) -> list[tuple[int, int]]:
    starts = [article.start_byte for article in articles]
    return list(zip(starts, [*starts[1:], size], strict=True))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['[1] Council, "Minutes," http://example.org/a.'], ("[1]", 'Council, "Minutes,"', "http://example.org/a")),
        (["[2] Title,", "http://example.org/long-", "name."], ("[2]", "Title,", "http://example.org/long-name")),
        (["[3] Title, http://example.org/x", "/y/z"], ("[3]", "Title,", "http://example.org/x/y/z")),
        (["[4]ibid"], ("[4]", "ibid", None)),
        (["[5] Title. July 15, 2011."], ("[5]", "Title. July 15, 2011.", None)),
        (["[6] A title that", "goes on, 2012."], ("[6]", "A title that goes on, 2012.", None)),
    ],
)
def test_references_are_parsed_and_broken_urls_joined(lines: list[str], expected: tuple[str, str, str | None]) -> None:
    page = "\n".join(["Body.", *lines])
    (article,) = _segment(page, [(1, len(lines) + 1)], ["body", "reference", *["reference_url"] * (len(lines) - 1)])
    assert [tuple(reference) for reference in article.references] == [expected]


def test_a_carriage_return_belongs_to_its_line() -> None:
    (article,) = _segment("one\r\ntwo\u2028three\n", [(1, 2)], ["body", "body"])
    assert article.text == "one\r\ntwo\u2028three"


@pytest.mark.parametrize("unit", ["code_point", "utf-16", "byte"])
@pytest.mark.parametrize("feed_counts", [True, False])
def test_a_segment_may_be_given_by_offsets(unit: str, feed_counts: bool, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(MINIMAL, folder)
    known = segment.segment(recipe.read(folder))
    page = (folder / "source" / "page.txt").read_bytes().decode()
    places = [(len(page.encode()[: a.start_byte].decode()), len(page.encode()[: a.end_byte].decode())) for a in known]
    rows: list[dict[str, Any]] = [
        {"article_id": a.id, "source_file": "page.txt", "language": a.language}
        | {"start": length(page[:start], unit), "end": length(page[: end if feed_counts else end - 1], unit)}
        for a, (start, end) in zip(known, places, strict=True)
    ]
    _write(folder / "annotations" / "segments.jsonl", rows)
    (folder / "dataset.toml").write_text(f'offset_unit = "{unit}"\n' + (folder / "dataset.toml").read_text())
    assert segment.segment(recipe.read(folder)) == known
    rows[0]["end"] -= 3
    _write(folder / "annotations" / "segments.jsonl", rows)
    with pytest.raises(InvalidData, match="BS301"):
        segment.segment(recipe.read(folder))


def test_without_roles_every_line_is_body(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(MINIMAL, folder)
    (folder / "annotations" / "roles.jsonl").unlink()
    articles = segment.segment(recipe.read(folder))
    assert [article.text for article in articles] == [article.segment for article in articles]


def test_a_page_needs_no_more_than_segments_and_rights(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(MINIMAL, folder)
    for name in ("roles.jsonl", "provenance.jsonl", "rights.jsonl"):
        (folder / "annotations" / name).unlink()
    shutil.rmtree(folder / "annotations" / "stance")
    text = (folder / "dataset.toml").read_text()
    start, end = text.index("[[annotators]]"), text.index("[rights]")
    rights = """
[articles.defaults.rights]
license = "CC0-1.0"
statement = "https://creativecommons.org/publicdomain/zero/1.0/"
usage_terms = "Anything."

"""
    (folder / "dataset.toml").write_text(text[:start] + rights + text[end:])
    assert build(folder).rows == {"articles": 2, "paragraphs": 11}
