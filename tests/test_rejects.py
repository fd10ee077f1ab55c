"""Rejects: every row of the input is built or left out, and what is left out is written with what is wrong with it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadsheet import sources
from broadsheet.build import Built, build
from broadsheet.contract import Row
from broadsheet.problems import InvalidData
from broadsheet.rejects import lines_before
from tests.corpora import DEFAULTS, articles, dataset_from, dataset_of
from tests.examples_support import run

ROWS = articles(40)
#: What can be wrong with a line, by the code of the problem.
SPOILED: dict[str, Callable[[Row], bytes]] = {
    "BS107": lambda _: b'{"id": nan}\n',
    "BS102": lambda _: b'{"id": "\xff"}\n',
    "BS205": lambda row: _line(row | {"language": "EN"}),
    "BS202": lambda row: _line(row | {"desk": "city"}),
    "BS507": lambda row: _line(row | {"n_words": row["n_words"] + 1}),
    "BS208": lambda row: _line(row | {"duplicate_of": "nobody"}),
    "BS109": lambda row: _line(row | {"title": "a\0b"}),
    "BS207": lambda _: _line(ROWS[0]),
}
STANCE: Row = {
    "target_id": "tram",
    "stance": "not_addressed",
    "intensity": None,
    "holder": "author",
    "confidence": None,
    "rationale": None,
    "basis": "external",
    "evidence": [],
    "annotator_id": "desk",
    "annotator_kind": "human",
    "guideline_version": None,
    "annotated_on": None,
    "is_gold": False,
    "aggregation": "none",
    "n_annotators": 1,
}


def _line(row: Row) -> bytes:
    return orjson.dumps(row) + b"\n"


def _own(row: Row) -> Row:
    return copy.deepcopy(row) | {"duplicate_of": None}


def _dataset(folder: Path, lines: list[bytes], stances: list[Row] | None = None) -> Path:
    dataset_of([], folder)
    (folder / "source" / "articles.jsonl").write_bytes(b"".join(lines))
    if stances is not None:
        (folder / "stances.jsonl").write_bytes(b"".join(map(_line, stances)))
        recipe = (folder / "dataset.toml").read_text()
        (folder / "dataset.toml").write_text(
            recipe.replace("[[targets]]", '[stances]\nfiles = ["stances.jsonl"]\n\n[[targets]]', 1)
        )
    return folder


def _rejected(folder: Path, table: str = "articles") -> list[Row]:
    path = folder / "rejects" / f"{table}.jsonl"
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def _follows_the_law(built: Built, table: str, given_rows: int) -> bool:
    return built.given[table] == given_rows == built.rows.get(table, 0) + built.rejects.get(table, 0)


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("smallest", [1 << 14, 32 << 20])
def test_what_is_kept_is_what_a_build_of_the_good_rows_alone_gives(
    smallest: int, workers: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SMALLEST", smallest)
    spoiled = dict(zip(range(3, 40, 4), SPOILED, strict=False))
    lines = [SPOILED[spoiled[n]](_own(row)) if n in spoiled else _line(_own(row)) for n, row in enumerate(ROWS)]
    good = [_line(_own(row)) for n, row in enumerate(ROWS) if n not in spoiled]
    folder = _dataset(tmp_path / "all", lines)
    built = build(folder, workers=workers, keep_going=True)
    assert built.digest == build(_dataset(tmp_path / "good", good)).digest
    assert _follows_the_law(built, "articles", len(lines))
    told = {row["line"]: {problem["code"] for problem in row["problems"]} for row in _rejected(folder)}
    assert told.keys() == {n + 1 for n in spoiled}
    assert all(code in told[n + 1] for n, code in spoiled.items())
    assert built.version == f"0.1.0-rejects.{len(spoiled)}"


@given(data=st.data())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_disappears(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    bad = data.draw(st.dictionaries(st.integers(1, 11), st.sampled_from(sorted(SPOILED))))
    labels = [STANCE | {"article_id": row["id"]} for row in ROWS[:12]]
    for n in (wrong := data.draw(st.sets(st.integers(0, 11)))):
        labels[n] = labels[n] | {"stance": "pro"}
    lines = [SPOILED[bad[n]](_own(row)) if n in bad else _line(_own(row)) for n, row in enumerate(ROWS[:12])]
    folder = _dataset(tmp_path_factory.mktemp("law") / "dataset", lines, labels)
    built = build(folder, keep_going=True)
    assert _follows_the_law(built, "articles", 12)
    assert _follows_the_law(built, "stances", 12)
    assert {row["line"] - 1 for row in _rejected(folder)} == set(bad)
    # A label goes if it is wrong, or if its article went.
    assert {row["line"] - 1 for row in _rejected(folder, "stances")} == wrong | set(bad)


def test_without_it_one_bad_row_stops_the_build(tmp_path: Path) -> None:
    folder = _dataset(tmp_path / "dataset", [_line(ROWS[0]), SPOILED["BS205"](ROWS[1])])
    with pytest.raises(InvalidData):
        build(folder)
    assert not (folder / "release").exists()
    assert not (folder / "rejects").exists()


def test_a_row_that_hangs_on_one_that_is_left_out_is_left_out_in_turn(tmp_path: Path) -> None:
    rows = [_own(ROWS[0]) | {"language": "EN"}, _own(ROWS[1]) | {"duplicate_of": ROWS[0]["id"]}, _own(ROWS[2])]
    folder = _dataset(tmp_path / "dataset", [_line(row) for row in rows])
    assert build(folder, keep_going=True).rejects == {"articles": 2}
    assert [row["problems"][0]["code"] for row in _rejected(folder)] == ["BS205", "BS208"]


def test_hundreds_of_bad_rows_are_all_told(tmp_path: Path) -> None:
    rows = [_line(_own(ROWS[0]))] + [_line(_own(ROWS[1]) | {"id": f"x{n}", "language": "EN"}) for n in range(350)]
    folder = _dataset(tmp_path / "dataset", rows)
    assert build(folder, keep_going=True).rejects == {"articles": 350}
    assert len(_rejected(folder)) == 350


def test_a_dataset_with_no_good_row_is_no_dataset(tmp_path: Path) -> None:
    folder = _dataset(tmp_path / "dataset", [SPOILED["BS205"](ROWS[0])])
    with pytest.raises(InvalidData, match="BS119"):
        build(folder, keep_going=True)
    assert not (folder / "release").exists()


def test_what_lies_on_no_row_stops_the_build_all_the_same(tmp_path: Path) -> None:
    folder = _dataset(tmp_path / "dataset", [_line(ROWS[0]), SPOILED["BS205"](ROWS[1])])
    (folder / "annotations" / "datasheet.toml").write_text("[motivation.purpos]\nanswer = 1\n")
    with pytest.raises(InvalidData, match="BS108"):
        build(folder, keep_going=True)


def test_rejects_of_an_earlier_build_do_not_stay(tmp_path: Path) -> None:
    folder = _dataset(tmp_path / "dataset", [_line(ROWS[0]), SPOILED["BS205"](ROWS[1])])
    build(folder, keep_going=True)
    assert _rejected(folder)
    (folder / "source" / "articles.jsonl").write_bytes(_line(ROWS[0]))
    built = build(folder)
    assert built.version == "0.1.0"
    assert not (folder / "rejects").exists()


def test_the_command_says_what_went_in_and_what_came_out(tmp_path: Path) -> None:
    folder = _dataset(tmp_path / "dataset", [_line(ROWS[0]), SPOILED["BS205"](ROWS[1]), b"{}{}\n"])
    result = run(folder, "build", ".", "--keep-going")
    assert result.exit_code == 1
    assert "articles: 3 rows in = 1 built + 2 left out, in rejects/articles.jsonl" in result.output
    assert "[BS205]" in result.output
    card = (folder / "release" / "README.md").read_text()
    assert "This is not all of the source." in card
    assert "version: 0.1.0-rejects.2" in card
    assert run(folder, "check", "release").exit_code == 0


def test_a_row_that_is_no_json_is_kept_as_it_was(tmp_path: Path) -> None:
    folder = _dataset(tmp_path / "dataset", [_line(ROWS[0]), b'{"id": nan}\n'])
    build(folder, keep_going=True)
    (row,) = _rejected(folder)
    assert row["row"] == '{"id": nan}'


def test_lines_before_a_byte_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = b"".join(b"x" * (n * n % 5) + b"\n" for n in range(30)) + b"end"
    path.write_bytes(data)
    starts = [0, *(n + 1 for n, byte in enumerate(data) if byte == 10)]
    for offset in range(len(data)):
        assert lines_before(str(path), offset) == sum(start < offset for start in starts), offset


def test_json_of_rejects_is_json(tmp_path: Path) -> None:
    folder = _dataset(tmp_path / "dataset", [_line(ROWS[0]), SPOILED["BS102"](ROWS[1])])
    build(folder, keep_going=True)
    text = (folder / "rejects" / "articles.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["line"] for line in text.splitlines()] == [2]


def test_a_row_of_one_split_is_not_taken_for_that_of_another(tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    rows = "SELECT * FROM (VALUES ('{0}1', 'Late.', 'en'), ('{0}2', 'Open.', '{1}')) t(id, text, language)"
    sql = {split: rows.format(split, language) for split, language in (("train", "EN"), ("test", "en"))}
    recipe = f"[articles.sql]\ntrain = {json.dumps(sql['train'])}\ntest = {json.dumps(sql['test'])}\n{DEFAULTS}"
    built = build(dataset_from(folder, {}, recipe), keep_going=True)
    assert (built.rows, built.rejects) == ({"articles": 3}, {"articles": 1})
    assert [(row["path"], row["line"], row["row"]["id"]) for row in _rejected(folder)] == [
        ("articles (sql)", 2, "train2")
    ]
