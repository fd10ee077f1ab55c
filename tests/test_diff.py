"""A diff names what changed, all of it and nothing else, and the smallest version that says so."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadsheet import changelog, contract, evolution, release
from broadsheet.contract import Row, Schema
from broadsheet.diff import SPLIT, Diff, DocumentChange, LabelChange, RowChange, diff
from broadsheet.evolution import SchemaChange
from broadsheet.problems import CannotRun, InvalidData
from broadsheet.versions import RULES, Bump
from tests.corpora import articles
from tests.examples_support import run, working_in
from tests.http_server import serving
from tests.releases import Rows, lines, write

ARTICLES = articles(8)
STANCES: list[Row] = [
    {
        "article_id": article["id"],
        "target_id": "harbour-plan",
        "stance": "favor",
        "intensity": 1,
        "holder": "author",
        "confidence": "high",
        "rationale": None,
        "basis": "external",
        "evidence": [],
        "annotator_id": annotator,
        "annotator_kind": "human",
        "guideline_version": None,
        "annotated_on": None,
        "is_gold": annotator == "gold",
        "aggregation": "external" if annotator == "gold" else "none",
        "n_annotators": 1,
    }
    for article in ARTICLES
    for annotator in ("first", "gold")
]
BASE: Rows = {"articles": ARTICLES, "stances": STANCES}

EDITS = ["text", "title", "genre", "n_words", "provenance.excerpted", "rights.holder"]


def _diff(old: Rows, new: Rows, **how: Any) -> Diff:
    with TemporaryDirectory() as folder:
        write(Path(folder, "old"), old)
        write(Path(folder, "new"), new, **how)
        return diff(f"{folder}/old", f"{folder}/new", shown=1000)


def _edited(row: Row, fields: set[str]) -> Row:
    row = copy.deepcopy(row)
    for name in fields:
        *path, last = name.split(".")
        within = row
        for step in path:
            within = within[step]
        old = within[last]
        within[last] = (not old) if last == "excerpted" else old + 1 if isinstance(old, int) else f"{old} anew"
    return row


# --- rows ---


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    edits=st.dictionaries(st.integers(0, 4), st.sets(st.sampled_from(EDITS), min_size=1), max_size=4),
    removed=st.sets(st.integers(5, 6)),
    added=st.booleans(),
    order=st.randoms(use_true_random=False),
    shards=st.integers(1, 3),
)
def test_a_diff_names_exactly_the_edits(
    edits: dict[int, set[str]],
    removed: set[int],
    added: bool,
    order: Any,
    shards: int,
) -> None:
    old = ARTICLES[:7]
    new = [_edited(row, edits.get(n, set())) for n, row in enumerate(old) if n not in removed] + [ARTICLES[7]] * added
    order.shuffle(new)

    found = _diff({"articles": old}, {"articles": new}, shards=shards)

    rows = found.tables["articles"]
    assert {(*change.key, *sorted(change.fields)) for change in rows.changed_rows} == {
        (old[n]["id"], *sorted(fields)) for n, fields in edits.items()
    }
    assert {*map(tuple, rows.removed_keys)} == {(old[n]["id"],) for n in removed}
    assert rows.added_keys == [[ARTICLES[7]["id"]]] * added
    assert (rows.changed, rows.removed, rows.added) == (len(edits), len(removed), int(added))
    assert (rows.rows_old, rows.rows_new) == (len(old), len(new))
    expected = Bump.MAJOR if edits or removed else Bump.MINOR if added else Bump.NONE
    assert found.bump is expected or (expected is Bump.NONE and found.bump is Bump.PATCH)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(EDITS)), min_size=1, max_size=5))
def test_more_edits_never_call_for_less(edits: list[tuple[int, str]]) -> None:
    new, bumps = copy.deepcopy(ARTICLES), [Bump.NONE]
    for number, name in edits:
        new[number] = _edited(new[number], {name})
        bumps.append(_diff({"articles": ARTICLES}, {"articles": new}).bump)
    assert bumps == sorted(bumps)


def test_a_release_does_not_differ_from_itself(tmp_path: Path) -> None:
    place = str(write(tmp_path, BASE))
    found = diff(place, place)
    assert (found.bump, found.findings, found.schema, found.labels) == (Bump.NONE, [], [], [])
    assert all(rows.is_empty for rows in found.tables.values())
    assert changelog.required(found) == "none: nothing differs"


def test_the_way_back_is_the_way_there_turned_round() -> None:
    new = {"articles": [_edited(ARTICLES[0], {"text"}), *ARTICLES[2:]]}
    there, back = _diff({"articles": ARTICLES[:7]}, new), _diff(new, {"articles": ARTICLES[:7]})
    rows, turned = there.tables["articles"], back.tables["articles"]
    assert (rows.added_keys, rows.removed_keys) == (turned.removed_keys, turned.added_keys)
    assert rows.changed_rows == turned.changed_rows == [RowChange([ARTICLES[0]["id"]], ["text"])]


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("text", "texts changed"),
        ("title", "texts changed"),
        ("genre", "labels changed"),
        ("n_words", "values changed"),
        ("provenance.excerpted", "values changed"),
    ],
)
def test_what_changed_in_a_row_names_its_rule(name: str, rule: str) -> None:
    found = _diff({"articles": ARTICLES}, {"articles": [_edited(ARTICLES[0], {name}), *ARTICLES[1:]]})
    assert [finding for finding in found.findings if finding.rule != "reserialised"] == [(rule, "articles: 1 row")]
    assert found.bump is Bump.MAJOR


def test_a_row_that_goes_to_another_split_is_a_change() -> None:
    found = _diff(
        {"articles": ARTICLES[:6], "articles/test": ARTICLES[6:]},
        {"articles": ARTICLES[:5], "articles/test": ARTICLES[5:]},
    )
    assert found.tables["articles"].changed_rows == [RowChange([ARTICLES[5]["id"]], [SPLIT])]
    assert [finding.rule for finding in found.findings] == ["rows moved"]


def test_a_table_that_comes_or_goes_comes_with_its_rows() -> None:
    come, gone = _diff({"articles": ARTICLES}, BASE), _diff(BASE, {"articles": ARTICLES})
    assert [finding.rule for finding in come.findings] == ["table added", "rows added"]
    assert come.bump is Bump.MINOR
    assert gone.tables["stances"].removed == len(STANCES)
    assert [finding.rule for finding in gone.findings] == ["rows removed", "table removed"]


def test_the_first_rows_are_named_and_all_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "old", {"articles": ARTICLES[:1]})
    write(tmp_path / "new", {"articles": ARTICLES})
    rows = diff(str(tmp_path / "old"), str(tmp_path / "new"), shown=3).tables["articles"]
    assert (rows.added, rows.added_keys) == (7, [[row["id"]] for row in ARTICLES[1:4]])
    printed = run(tmp_path, "diff", "old", "new", "--max-rows", "3").stdout
    assert printed.count("  + ") == 3
    assert "… and 4 more" in printed


# --- what is the same otherwise written ---


@pytest.mark.parametrize("how", [{"compression": "snappy"}, {"shards": 3}])
def test_the_same_rows_in_other_files_are_a_patch(how: dict[str, Any]) -> None:
    found = _diff(BASE, BASE, **how)
    assert found.bump is Bump.PATCH
    assert {finding.rule for finding in found.findings} == {"reserialised"}
    assert all(rows.is_empty for rows in found.tables.values())


def test_a_line_that_is_only_written_otherwise_is_no_change(tmp_path: Path) -> None:
    write(tmp_path / "old", {"articles": ARTICLES})
    new = write(tmp_path / "new", {"articles": ARTICLES})
    spaced = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ARTICLES).encode()
    release.write(new, release.jsonl_path("articles"), spaced)
    release.write_checksums(new)
    assert diff(str(tmp_path / "old"), str(new)).bump is Bump.PATCH


def test_documents_alone_are_a_patch(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old", BASE), write(tmp_path / "new", BASE)
    release.write(new, release.CARD, b"Better said.\n")
    release.write(new, "HISTORY.md", b"New.\n")
    release.write_checksums(new)
    found = diff(str(old), str(new))
    assert found.documents == [DocumentChange("HISTORY.md", "added"), DocumentChange("README.md", "changed")]
    assert found.bump is Bump.PATCH


# --- labels ---


def _stances(**edits: Row) -> list[Row]:
    """Give the stances with *edits* by annotator, in the first article."""
    first = ARTICLES[0]["id"]
    return [
        row | edits[row["annotator_id"]] if row["article_id"] == first and row["annotator_id"] in edits else row
        for row in STANCES
    ]


def _label(new: str, *, is_gold: bool) -> LabelChange:
    return LabelChange("stances", "harbour-plan", is_gold, "favor", new, 1)


def test_labels_are_told_from_what_to_what() -> None:
    against: Row = {"stance": "against", "intensity": -1}
    found = _diff(BASE, {"articles": ARTICLES, "stances": _stances(first=against, gold=against)})
    assert found.labels == [
        _label("against", is_gold=False),
        _label("against", is_gold=True),
    ]
    assert "labels changed" in {finding.rule for finding in found.findings}


def test_a_gold_label_is_followed_from_one_source_to_another() -> None:
    """Its row has another key when it was settled, and not agreed on: it is still the label of the same thing."""
    settled: Row = {"stance": "neutral", "intensity": 0, "annotator_id": "adjudication", "aggregation": "adjudicated"}
    found = _diff(BASE, {"articles": ARTICLES, "stances": _stances(gold=settled)})
    assert found.labels == [_label("neutral", is_gold=True)]
    assert (found.tables["stances"].added, found.tables["stances"].removed) == (1, 1)


def test_the_labels_of_articles_are_told_by_target() -> None:
    new = [row | {"stance": "unclear"} if n < 3 else row for n, row in enumerate(ARTICLES)]
    before = [row for row in ARTICLES[:3] if row["stance"] != "unclear"]
    found = _diff({"articles": ARTICLES}, {"articles": new})
    assert sum(change.rows for change in found.labels) == len(before)
    assert {(change.table, change.is_gold, change.new) for change in found.labels} == {("articles", None, "unclear")}
    assert {change.old for change in found.labels} == {row["stance"] for row in before}


# --- schemas ---


def _with(**fields: Schema | None) -> Schema:
    """Give the contract of articles with other or more *fields*; those that are None are gone."""
    schema = contract.table_schema("articles")
    properties = {**schema["properties"], **fields}
    kept = {name: prop for name, prop in properties.items() if prop is not None}
    return {**schema, "properties": kept, "required": list(kept)}


GENRE = contract.table_schema("articles")["properties"]["genre"]
N_WORDS = contract.table_schema("articles")["properties"]["n_words"]
TITLE = contract.table_schema("articles")["properties"]["title"]
TOLD: list[tuple[Schema, Schema, list[tuple[str, str]]]] = [
    (_with(), _with(beat={"type": ["string", "null"]}), [("beat", "field added")]),
    (_with(), _with(beat={"type": "string"}), [("beat", "required field added")]),
    (_with(), _with(title=None), [("title", "field removed")]),
    (_with(), _with(n_words={**N_WORDS, "type": "string"}), [("n_words", "type changed")]),
    (_with(), _with(n_words={**N_WORDS, "type": ["integer", "null"]}), [("n_words", "widened")]),
    (_with(n_words={**N_WORDS, "type": ["integer", "null"]}), _with(), [("n_words", "narrowed")]),
    (_with(), _with(title={**TITLE, "description": "Said better."}), [("title", "described")]),
    (_with(), _with(genre={**GENRE, "enum": GENRE["enum"][1:]}), [("genre", "narrowed"), ("genre", "type changed")]),
    (_with(), _with(genre={**GENRE, "enum": [*GENRE["enum"], "poem"]}), [("genre", "widened")]),
    (_with(), _with(genre={**GENRE, "enum": GENRE["enum"][::-1]}), [("genre", "type changed")]),
    (_with(beat={"type": "string"}), _with(beat={"type": "string", "pattern": "^a"}), [("beat", "narrowed")]),
    (_with(beat={"type": "string", "pattern": "^a"}), _with(beat={"type": "string"}), [("beat", "widened")]),
    (
        _with(beat={"type": "integer", "minimum": 1}),
        _with(beat={"type": "integer", "minimum": 0}),
        [("beat", "widened")],
    ),
    (
        _with(beat={"type": "integer", "maximum": 1}),
        _with(beat={"type": "integer", "maximum": 0}),
        [("beat", "narrowed")],
    ),
    (_with(beat={"type": "string"}), _with(beat={"type": "string", "format": "date"}), [("beat", "type changed")]),
]


@pytest.mark.parametrize(("old", "new", "expected"), TOLD)
def test_schemas_are_compared_field_by_field(old: Schema, new: Schema, expected: list[tuple[str, str]]) -> None:
    assert [(change.field, change.rule) for change in evolution.changes("articles", old, new)] == expected


def test_fields_in_structs_and_lists_are_named_with_their_path() -> None:
    new = copy.deepcopy(dict(contract.table_schema("articles")))
    del new["properties"]["rights"]["properties"]["holder"]
    new["properties"]["references"]["items"]["properties"]["doi"] = {"type": ["string", "null"]}
    found = evolution.changes("articles", contract.table_schema("articles"), new)
    assert ("rights.holder", "field removed") in [(change.field, change.rule) for change in found]
    assert ("references[].doi", "field added") in [(change.field, change.rule) for change in found]


@pytest.mark.parametrize("table", contract.TABLES)
def test_no_contract_differs_from_itself_and_a_rule_more_narrows_it(table: str) -> None:
    schema = contract.table_schema(table)
    assert evolution.changes(table, schema, copy.deepcopy(schema)) == []
    ruled = {**schema, "allOf": [*schema.get("allOf", ()), {"not": {"properties": {"text": {"const": "x"}}}}]}
    assert [change.rule for change in evolution.changes(table, schema, ruled)] == ["narrowed"]
    assert [change.rule for change in evolution.changes(table, ruled, schema)] == ["widened"]


def test_a_column_more_leaves_the_rows_as_they_were() -> None:
    schema = _with(beat={"type": ["string", "null"]})
    new = [row | {"beat": "courts"} for row in ARTICLES]
    found = _diff({"articles": ARTICLES}, {"articles": new}, schemas={"articles": schema})
    assert found.schema == [SchemaChange("articles", "beat", "field added", "`beat` is new: null or string")]
    assert found.tables["articles"].is_empty
    assert found.bump is Bump.MINOR


def test_a_column_less_leaves_the_other_columns_to_be_compared() -> None:
    with TemporaryDirectory() as folder:
        more = [row | {"beat": "courts"} for row in ARTICLES]
        write(Path(folder, "old"), {"articles": more}, schemas={"articles": _with(beat={"type": ["string", "null"]})})
        write(Path(folder, "new"), {"articles": [_edited(ARTICLES[0], {"n_words"}), *ARTICLES[1:]]})
        found = diff(f"{folder}/old", f"{folder}/new")
    assert [finding.rule for finding in found.findings] == ["values changed", "field removed"]
    assert found.tables["articles"].changed_rows == [RowChange([ARTICLES[0]["id"]], ["n_words"])]


def test_every_rule_has_a_bump_and_the_weightiest_come_first() -> None:
    bumps = [rule.bump for rule in RULES.values()]
    assert bumps == sorted(bumps, reverse=True)
    assert Bump.NONE not in bumps


# --- formats ---


def test_json_says_all_of_it(tmp_path: Path) -> None:
    write(tmp_path / "old", BASE)
    against: Row = {"stance": "against", "intensity": -1}
    write(tmp_path / "new", {"articles": ARTICLES[1:], "stances": _stances(first=against)}, version="1.1.0")
    value = json.loads(run(tmp_path, "diff", "old", "new", "--format", "json").stdout)
    assert value["old"]["version"] == "1.0.0"
    assert value["required"]["bump"] == "major"
    assert value["required"]["version"] == "2.0.0"
    assert value["tables"]["articles"]["removed"] == {"count": 1, "keys": [[ARTICLES[0]["id"]]]}
    assert value["tables"]["stances"]["changed"]["fields"] == {"stance": 1, "intensity": 1}
    assert value["labels"] == [
        {
            "table": "stances",
            "target": "harbour-plan",
            "is_gold": False,
            "from": "favor",
            "to": "against",
            "rows": 1,
        }
    ]


def test_markdown_has_the_labels_as_a_table(tmp_path: Path) -> None:
    write(tmp_path / "old", BASE)
    against: Row = {"stance": "against", "intensity": -1}
    write(tmp_path / "new", {"articles": ARTICLES, "stances": _stances(first=against)})
    printed = run(tmp_path, "diff", "old", "new", "--format", "markdown").stdout
    assert "| stances | harbour-plan | no | favor | against | 1 |" in printed
    assert "**Required bump:** MAJOR (2.0.0 or later): labels changed (stances: 1 row)" in printed


@pytest.mark.parametrize("format_", ["text", "markdown"])
def test_what_would_move_a_terminal_is_escaped(format_: str, tmp_path: Path) -> None:
    hostile = [STANCES[0] | {"annotator_id": "\x1b[2J`|\u202e\n# no heading"}]
    write(tmp_path / "old", BASE)
    write(tmp_path / "new", {"articles": ARTICLES, "stances": [*STANCES, *hostile]})
    printed = run(tmp_path, "diff", "old", "new", "--format", format_).stdout
    assert not {"\x1b", "\u202e"} & set(printed)
    assert "\n# no heading" not in printed


# --- where releases are ---


def test_releases_are_named_by_folder_dataset_and_url(tmp_path: Path) -> None:
    write(tmp_path / "data set" / "release", BASE)
    place = str(tmp_path / "data set")
    with serving(tmp_path / "data set") as served:
        for name in (place, f"{place}/release", f"file://{place}/release", f"{served.url}/release/"):
            assert diff(place, name).bump is Bump.NONE, name
        assert "/release/data/articles/train-00000-of-00001.parquet" not in served.sent


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with two revisions of a dataset's release: v1, and the working tree's."""
    write(tmp_path / "dataset" / "release", BASE)
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message", "One")
    _git(tmp_path, "tag", "v1")
    write(tmp_path / "dataset" / "release", {"articles": ARTICLES[1:], "stances": STANCES}, version="2.0.0")
    return tmp_path


def _git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


@pytest.mark.parametrize("name", ["git:v1", "git:HEAD:dataset", "git:v1:dataset/release"])
def test_a_revision_is_the_release_as_it_was(name: str, repository: Path) -> None:
    for folder in (repository, repository / "dataset"):
        with working_in(folder):
            found = diff(name, str(repository / "dataset"))
        assert found.tables["articles"].removed_keys == [[ARTICLES[0]["id"]]]
        assert (found.old.version, found.new.version) == ("1.0.0", "2.0.0")


@pytest.mark.parametrize("name", ["git:v2", "git:--help", "git:v1:elsewhere", "git:", "nowhere"])
def test_a_release_that_is_not_there_is_told_without_a_traceback(name: str, repository: Path) -> None:
    result = run(repository, "diff", name, "dataset")
    assert result.exit_code == 2
    assert "[BS601]" in result.stderr


def _longer(place: Path) -> None:
    with (place / "jsonl" / "articles.jsonl").open("ab") as file:
        file.write(lines(ARTICLES[:1]))


def _twice(place: Path) -> None:
    _longer(place)
    release.write_checksums(place)


def _no_row(place: Path) -> None:
    release.write(place, "jsonl/articles.jsonl", b'{"title": "no id"}\n')
    release.write_checksums(place)


def _outside(place: Path) -> None:
    (place / "SHA256SUMS").write_text(f"{'0' * 64}  ../../secret.jsonl\n")


def _pointer(place: Path) -> None:
    release.write(place, "jsonl/articles.jsonl", b"version https://git-lfs.github.com/spec/v1\n")


@pytest.mark.parametrize(
    ("damage", "code"),
    [(_longer, "BS503"), (_twice, "BS207"), (_no_row, "BS504"), (_outside, "BS502"), (_pointer, "BS115")],
)
def test_a_release_that_is_not_what_it_says_is_refused(
    damage: Callable[[Path], None], code: str, tmp_path: Path
) -> None:
    old, new = write(tmp_path / "old", BASE), write(tmp_path / "new", BASE)
    damage(new)
    with pytest.raises(InvalidData, match=code):
        diff(str(old), str(new))
    with pytest.raises(CannotRun, match="BS605"):
        diff(str(old), "file:///nowhere/at/all")


# --- large ones ---

_MEASURED = """
import resource, sys
from broadsheet.diff import diff
found = diff(*sys.argv[1:])
rows = found.tables["articles"]
print(rows.added, rows.removed, rows.changed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    total, each = 200_000, 1000
    base = ARTICLES[0] | {"text": ARTICLES[0]["text"][:400], "references": []}
    for which in ("old", "new"):
        place = write(tmp_path / which, {"articles": ARTICLES[:1]})
        with (place / "jsonl" / "articles.jsonl").open("wb") as file:
            for number in range(total):
                if which == "new" and number % each == 0:
                    continue
                edited = which == "new" and number % each == 1
                row = base | {"id": f"article-{number * 7919 % total}", "n_words": 7 if edited else 8}
                file.write(lines([row]))
        release.write_checksums(place)
    command = [sys.executable, "-c", _MEASURED, str(tmp_path / "old"), str(tmp_path / "new")]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    added, removed, changed, peak = map(int, finished.stdout.split())
    assert (added, removed, changed) == (0, total // each, total // each)
    assert peak < 400, f"{peak} MiB"
