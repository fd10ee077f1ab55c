"""Quotes are found where they stand, and gold labels come of the passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet import recipe, segment
from broadsheet.annotations import Annotations, annotate
from broadsheet.labels import locate
from broadsheet.problems import InvalidData

texts = st.text(st.sampled_from("ab \n🚋é’"), max_size=30)


@given(texts, st.data())
def test_a_quote_is_found_at_its_offset_in_code_points(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    exact = text[start:end]
    if exact:
        places = locate(exact, "", "", text)
        assert start in places
        assert all(text[place : place + len(exact)] == exact for place in places)
        assert locate(exact, text[:start], text[end:], text) == [start]


@given(texts, st.text(st.sampled_from("xyz"), min_size=1))
def test_a_quote_that_is_not_there_is_not_found(text: str, exact: str) -> None:
    assert locate(exact, "", "", text) == []


def _annotate(folder: Path) -> Annotations:
    dataset = recipe.read(folder)
    return annotate(dataset, segment.segment(dataset))


def _edit(path: Path, line: int, **change: Any) -> None:
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    rows[line - 1] |= change
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_offsets_count_code_points_behind_an_emoji(minimal: Path) -> None:
    stances = _annotate(minimal).stances
    (quote,) = next(row for row in stances if row["article_id"] == "tram-figures" and row["evidence"])["evidence"]
    assert (quote["exact"], quote["start"], quote["prefix"]) == ("The tram carried four million passengers", 2, "🚋 ")


@pytest.mark.parametrize(
    ("quote", "start"),
    [
        ({"exact": "line", "line": 4}, None),
        ({"exact": "company", "line": 4}, 15),
        ({"exact": "r", "prefix": "thei", "line": 4}, None),
        ({"exact": "n", "prefix": "o", "suffix": " Monday"}, 61),
        ({"exact": "The", "line": 7}, 121),
    ],
)
def test_line_prefix_and_suffix_tell_which_place_is_meant(
    quote: dict[str, Any], start: int | None, minimal: Path
) -> None:
    path = minimal / "annotations" / "stance" / "first.jsonl"
    _edit(path, 1, evidence=[quote])
    if start is None:
        with pytest.raises(InvalidData, match="BS401"):
            _annotate(minimal)
    else:
        first = next(row for row in _annotate(minimal).stances if row["annotator_id"] == "first")
        assert first["evidence"][0]["start"] == start


@pytest.mark.parametrize(("unit", "start"), [("code_point", 2), ("utf-16", 3), ("byte", 5)])
def test_offsets_come_in_the_unit_the_recipe_declares(unit: str, start: int, minimal: Path) -> None:
    recipe_file = minimal / "dataset.toml"
    recipe_file.write_text(f'offset_unit = "{unit}"\n' + recipe_file.read_text())
    path = minimal / "annotations" / "stance" / "first.jsonl"
    _edit(path, 3, evidence=[{"exact": "The tram", "start": start}])
    found = next(r for r in _annotate(minimal).stances if r["article_id"] == "tram-figures" and r["evidence"])
    assert found["evidence"][0]["start"] == 2
    for wrong in (start - 1, start + 1):
        _edit(path, 3, evidence=[{"exact": "The tram", "start": wrong}])
        with pytest.raises(InvalidData, match=rf"is not in the text of 'tram-figures' at {unit} {wrong} \[BS401\]"):
            _annotate(minimal)


def test_the_gold_label_of_an_agreement_unites_the_quotes(minimal: Path) -> None:
    (gold,) = [
        row
        for row in _annotate(minimal).stances
        if row["is_gold"] and (row["article_id"], row["target_id"]) == ("tram-meeting", "tram")
    ]
    assert (gold["aggregation"], gold["n_annotators"], gold["annotator_kind"]) == ("unanimous", 2, "rule")
    assert [quote["exact"] for quote in gold["evidence"]] == ["amateurish company", "which has ruined three summers"]


def test_a_disagreement_in_intensity_alone_must_be_settled(minimal: Path) -> None:
    _edit(minimal / "annotations" / "stance" / "second.jsonl", 1, intensity=-1)
    with pytest.raises(InvalidData, match=r"\(first says against \(-2\), second says against \(-1\)\) \[BS407\]"):
        _annotate(minimal)


def test_all_broken_quotes_are_told_at_once(minimal: Path) -> None:
    path = minimal / "annotations" / "stance" / "first.jsonl"
    for line in (1, 2, 3):
        _edit(path, line, evidence=[{"exact": "nowhere in it"}])
    with pytest.raises(InvalidData) as caught:
        _annotate(minimal)
    assert [(problem.code, problem.line) for problem in caught.value.problems] == [("BS401", n) for n in (1, 2, 3)]
