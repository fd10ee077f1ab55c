"""The card is right before the hub says so: what is written is read alike by all, and what is wrong is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from broadsheet import card_rules, contract, release, vocabulary
from broadsheet.build import build
from broadsheet.card_rules import Parts
from broadsheet.documents import card
from broadsheet.shards import Part
from broadsheet.verify import verify
from tests import kinds
from tests.examples_support import run
from tests.publications import dataset_in
from tests.test_consumers import _load

#: What YAML 1.1, YAML 1.2 or both take for something else than a string, unless it stands in quotes.
TRAPS = [
    *("no", "No", "yes", "on", "off", "true", "null", "~", "", "1", "1.0", "1.5e+3", "1e3", "1E5", "0x1", "0o17"),
    *("017", "08", "1_000", ".5", ".5e3", ".inf", "12:30:45", "2024-01-01", "2024-01-01 12:00:00", "=", "<<", "- a"),
    *(
        "a: b",
        "#a",
        "a #b",
        "'",
        '"',
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "---",
        "a\n---\nb",
        "a\tb",
        " a ",
        "\u2028",
        "\x85",
    ),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small release. Read it, don't change it."""
    return Path(build(kinds.lay_out("labels", tmp_path_factory.mktemp("built") / "quay")).place)


def _card(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load((folder / release.CARD).read_text(encoding="utf-8").split("---\n")[1])
    return value


def _said(value: Any) -> Parts:
    """Give the parts of a release by what the card *value* says of it."""
    return {
        info["config_name"]: {
            split["name"]: [Part(split["num_examples"], split["num_bytes"], {"a.parquet": ("", info["download_size"])})]
            for split in info["splits"]
        }
        for info in value["dataset_info"]
    }


def _schemas(folder: Path) -> dict[str, contract.Schema]:
    return {table: contract.table_schema(table) for table in contract.TABLES if (folder / "data" / table).is_dir()}


# --- what is written ---


def _with(text: str) -> dict[str, Any]:
    labels = {"class_label": {"names": {"0": text, "1": "yes", "2": "no"}}}
    return {
        "pretty_name": text,
        "tags": [text, "plain", text],
        "configs": [{"config_name": text, "default": True, "version": "1.0.0", "description": text}],
        "dataset_info": [{"features": [{"name": text, "dtype": labels}], "download_size": 3}],
    }


@pytest.mark.parametrize("text", TRAPS)
def test_a_string_stays_one_wherever_it_stands(text: str) -> None:
    front, problems = card_rules.read(card.front_text(_with(text)).encode())
    assert problems == []
    assert front is not None
    assert front.value == _with(text)


@given(st.text())
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    front, problems = card_rules.read(card.front_text(_with(text)).encode())
    assert problems == []
    assert front is not None
    assert front.value == _with(text)


def test_load_dataset_has_the_labels_as_they_are_written(tmp_path: Path) -> None:
    folder = kinds.lay_out("texts", tmp_path / "quay")
    labels = ["no", "yes", "off", "1e3", "0x1", "2024-01-01"]
    own = {"title": "Own", "description": "Words.", "type": "string", "enum": labels, "x-class-label": True}
    (folder / "schema").mkdir()
    (folder / "schema" / "articles.schema.json").write_text(json.dumps({"properties": {"own": own}}))
    recipe = folder / "dataset.toml"
    recipe.write_text(recipe.read_text().replace("SELECT id,", "SELECT 'off' AS own, id,"))
    build(folder)
    loaded = _load(folder / "release", tmp_path / "cache")
    assert loaded["labels"]["own"] == labels
    assert {row["own"] for row in loaded["rows"]} == {labels.index("off")}


def _in_languages(cases: str, folder: Path) -> Path:
    """Lay out, in *folder*, the dataset whose articles have the languages that the SQL of *cases* gives their ids."""
    recipe = kinds.lay_out("texts", folder) / "dataset.toml"
    text = recipe.read_text().replace("SELECT id,", f"SELECT CASE id {cases} END AS language, id,")
    recipe.write_text(text.replace('[articles.defaults]\nlanguage = "en"\n', ""))
    return folder


def test_languages_are_codes_and_tags_stand_beside_them(tmp_path: Path) -> None:
    folder = _in_languages("WHEN 'a1' THEN 'pt-BR' WHEN 'a2' THEN 'no' ELSE 'zh-Hant'", tmp_path / "quay")
    assert build(folder).problems == []
    written = _card(folder / "release")
    assert sorted(written["language"]) == ["no", "pt", "zh"]
    assert sorted(written["language_bcp47"]) == ["no", "pt-BR", "zh-Hant"]
    assert written["multilinguality"] == ["multilingual"]
    assert "- 'no'\n" in (folder / "release" / release.CARD).read_text()


def test_a_language_told_in_several_tags_is_one(tmp_path: Path) -> None:
    folder = _in_languages("WHEN 'a1' THEN 'en-GB' ELSE 'en-US'", tmp_path / "quay")
    build(folder)
    written = _card(folder / "release")
    assert (written["language"], written["multilinguality"]) == (["en"], ["monolingual"])


@pytest.mark.parametrize("rows", [0, 999, 1_000, 10**6, 10**9 - 1, 10**9, 10**10, 10**12])
def test_every_size_has_a_term_that_the_hub_lists(rows: int) -> None:
    assert vocabulary.size_category(rows) in vocabulary.terms()["size_categories"]


# --- what is told; examples/invalid/ has most of it ---


def _told(folder: Path, changes: dict[str, Any]) -> Sequence[str]:
    """Give what is told of the card of the release in *folder* with *changes*."""
    value = _card(folder)
    front, problems = card_rules.read(card.front_text(value | changes).encode())
    assert front is not None
    names, _ = release.listed(folder)
    digest = value["configs"][0]["description"].rpartition(" ")[2]
    return [*map(str, [*problems, *card_rules.judge(front, names, digest, _said(value), _schemas(folder))])]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"license": ["cc-by-4.0", "mit"], "license_link": "https://example.org/licence"}, []),
        ({"language": ["code", "multilingual"]}, []),
        ({"language": "en"}, []),
        ({"task_categories": ["text-classification", "zero-shot-classification"]}, []),
        ({"extra_gated_fields": {"Name": "text"}, "viewer": False}, []),
        ({"language_bcp47": ["en_GB"]}, ["/language_bcp47/0: 'en_GB' has not the form of a BCP 47 tag [BS514]"]),
        ({"multilinguality": ["bilingual"]}, ["/multilinguality/0: 'bilingual' is no term that the hub lists [BS515]"]),
        ({"license": []}, ["/license: it names no licence [BS513]"]),
        ({"size_categories": ["1K<n<10K"]}, ["/size_categories/0: it is '1K<n<10K', but the data give 'n<1K' [BS509]"]),
        (
            {"configs": []},
            ["/dataset_info/0/config_name: no config is called 'articles': it is ignored in silence [BS516]"],
        ),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_card_is_told(changes: dict[str, Any], told: list[str], built: Path) -> None:
    found = [problem.partition(" ")[2] for problem in _told(built, changes)]
    assert found[: len(told) or 1] == told


@pytest.mark.parametrize(
    "changes",
    [{"task_categories": ["stance-detection"]}, {"language": ["qaa"]}],
    ids=["a task of one's own", "a language for private use"],
)
def test_what_the_hub_may_know_better_is_a_warning(changes: dict[str, Any], built: Path) -> None:
    front, _ = card_rules.read(card.front_text(_card(built) | changes).encode())
    assert front is not None
    names, _ = release.listed(built)
    value = _card(built)
    digest = value["configs"][0]["description"].rpartition(" ")[2]
    problems = card_rules.judge(front, names, digest, _said(value), _schemas(built))
    assert [problem.severity for problem in problems] == ["warning"]


def test_a_build_tells_of_a_task_that_nobody_knows_and_goes_on(tmp_path: Path) -> None:
    folder = kinds.lay_out("texts", tmp_path / "quay")
    recipe = folder / "dataset.toml"
    recipe.write_text(
        recipe.read_text().replace("[articles]", 'task_categories = ["text-clasification"]\n\n[articles]', 1)
    )
    (problem,) = build(folder).problems
    assert (problem.code, problem.severity, problem.pointer) == ("BS515", "warning", "/task_categories/0")
    assert problem.hint == "Did you mean 'text-classification'?"
    assert [found.code for found in verify(folder / "release")] == ["BS515"]


@pytest.mark.parametrize(
    "front",
    [
        "",
        "- a\n",
        "a\n",
        "a: [\n",
        "a: !!python/object:os.system {}\n",
        "pretty_name: 2024-99-99\n",
        f"a: {'9' * 5000}\n",
        "? [a]\n: b\n",
        "a: &a [*a]\n",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
        f"a: {'[' * 1000}{']' * 1000}\n",
        "a: \x00\n",
        "<<: 3\n",
    ],
)
def test_a_hostile_card_is_refused_and_nothing_else_happens(front: str) -> None:
    read, problems = card_rules.read(f"---\n{front}---\n".encode())
    assert read is None
    assert {problem.code for problem in problems} == {"BS511"}


def test_a_card_in_another_encoding_is_refused() -> None:
    read, problems = card_rules.read("---\npretty_name: Café\n---\n".encode("latin-1"))
    assert read is None
    assert [problem.code for problem in problems] == ["BS102"]


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(inner for key, item in items for inner in _places(item, (*place, key)))]


@settings(max_examples=30)
@given(st.data())
def test_no_card_is_too_strange_to_be_judged(built: Path, data: st.DataObject) -> None:
    value = _card(built)
    parts = _said(value)
    place = data.draw(st.sampled_from([place for place in _places(value) if place]))
    inner = value
    for step in place[:-1]:
        inner = inner[step]
    strange: st.SearchStrategy[Any] = (
        st.none() | st.booleans() | st.integers() | st.text() | st.just([]) | st.just({}) | st.just(["a"])
    )
    inner[place[-1]] = data.draw(strange | st.just({"a": "b"}))
    front, problems = card_rules.read(card.front_text(value).encode())
    if front is not None:
        names, _ = release.listed(built)
        problems += card_rules.judge(front, names, "sha256:0", parts, _schemas(built))
    # The digest is another one, so there is something to tell whatever was changed.
    assert problems


# --- what a hub holds and shows ---


def test_row_groups_that_the_viewer_cannot_read_at_once_are_told(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verify(built) == []
    monkeypatch.setattr(card_rules, "MAX_PAGE_BYTES", 10)
    problems = verify(built)
    assert [(problem.code, problem.severity) for problem in problems] == [("BS517", "warning")] * 2
    assert problems[0].path == "data/articles/train-00000-of-00001.parquet"
    assert problems[0].message.startswith("rows 0 and after lie in row groups of ")


@pytest.mark.parametrize(
    ("limit", "severity", "told"),
    [
        ("MAX_FILES_IN_FOLDER", "error", "files, and the hub takes no more than 3 in a folder"),
        ("MAX_FILES", "warning", "files, and the hub advises no more than 3"),
        ("MAX_COLUMNS", "warning", "columns, and the hub's viewer shows none of more than 3"),
    ],
)
def test_what_is_too_much_for_a_hub_is_told(
    limit: str, severity: str, told: str, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card_rules, limit, 3)
    problems = verify(built)
    assert {(problem.code, problem.severity) for problem in problems} == {("BS517", severity)}
    assert all(told in problem.message for problem in problems)


def test_a_publication_prints_its_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset_in(tmp_path / "tram")
    monkeypatch.setattr(card_rules, "MAX_FILES", 3)
    done = run(tmp_path, "publish", "tram", "site", "--dry-run")
    assert done.exit_code == 0
    assert "the hub advises no more than 3 [BS517] (warning)" in done.output


# --- the lists ---


def test_the_lists_are_read_and_nothing_is_imported() -> None:
    code = """
import sys
from broadsheet import vocabulary
print(sorted(vocabulary.terms()), {"datasets", "huggingface_hub"} & set(sys.modules))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == f"{sorted(vocabulary.terms())} set()\n"


def test_the_lists_have_what_cards_say() -> None:
    terms = vocabulary.terms()
    assert {"en", "no", "pt", "zh", "und"} <= set(terms["language"])
    assert {"text-classification", "zero-shot-classification", "text-to-video"} <= set(terms["task_categories"])
    assert {"found", "machine-generated", "other", "no-annotation"} <= set(terms["annotations_creators"])
    assert {"cc-by-4.0", "cc0-1.0", "other", "unknown"} <= vocabulary.LICENCES
    assert all(licence == licence.lower() for licence in vocabulary.LICENCES)


def test_without_the_lists_the_rest_is_judged(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "terms", dict)
    changes = {"annotations_creators": ["experts"], "license": "CC-BY-4.0"}
    assert ["[BS513]" in problem for problem in _told(built, changes)] == [True]
