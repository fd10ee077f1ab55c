"""The documents say what the data say, and nothing a value holds becomes markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import DatasetCard

from broadsheet import release, tables
from broadsheet.build import build
from broadsheet.contract import TABLES, Row
from broadsheet.documents import datasheet
from broadsheet.documents.markdown import cell
from tests.conftest import CORPUS

#: The questions under each heading of the paper, version 8 and the CACM's.
QUESTIONS = {
    "motivation": 4,
    "composition": 16,
    "collection": 12,
    "preprocessing": 4,
    "uses": 6,
    "distribution": 7,
    "maintenance": 8,
}


@pytest.fixture(scope="session")
def sheet(corpus_release: Path) -> str:
    return (corpus_release / release.DATASHEET).read_text(encoding="utf-8")


def test_the_questions_are_the_papers_57() -> None:
    counts = {name: len(section["questions"]) for name, section in datasheet.questions().items()}
    assert counts == QUESTIONS
    assert sum(counts.values()) == 57


def test_every_question_is_answered_and_marked(sheet: str) -> None:
    answers = re.findall(r"^### (.+)\n\n\*\*\[(computed|asserted|unknown)\]\*\* (.+)", sheet, re.MULTILINE)
    asked = [question for section in datasheet.questions().values() for _, question in section["questions"]]
    assert [question for question, _, _ in answers] == asked
    assert {status for _, status, _ in answers} == {"computed", "asserted", "unknown"}


def test_no_figure_in_an_answer_is_typed_by_hand() -> None:
    """Outside expressions, the answers have no digits but in the names of licences and digests."""
    text = (CORPUS / "annotations" / "datasheet.toml").read_text(encoding="utf-8")
    text = re.sub(r"^#.*$|\{\{.*?\}\}|SHA-256|Apache-2\.0", "", text, flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r".*\d.*", text) == []


def test_figures_in_the_datasheet_follow_the_data(minimal: Path) -> None:
    build(minimal)
    before = (minimal / "release" / "DATASHEET.md").read_text(encoding="utf-8")
    path = minimal / "annotations" / "stance" / "first.jsonl"
    second = minimal / "annotations" / "stance" / "second.jsonl"
    for file in (path, second):
        changed = file.read_text().replace(
            '"stance": "against", "intensity": -2', '"stance": "against", "intensity": -1'
        )
        file.write_text(changed)
    build(minimal)
    after = (minimal / "release" / "DATASHEET.md").read_text(encoding="utf-8")
    assert "| tram | 1 | 0 | 1 | 0 | 0 | 0 |" in before
    assert "| tram | 0 | 1 | 1 | 0 | 0 | 0 |" in after


def test_the_datasheet_has_the_figures_of_the_rows(sheet: str, corpus_rows: dict[str, list[Row]]) -> None:
    articles = corpus_rows["articles"]
    unknown = sum(article["publisher"] is None for article in articles)
    against = sum(article["stance"] == "against" for article in articles)
    neutral = sum(article["stance"] == "neutral" for article in articles)
    assert f"| — | {unknown} |" in sheet
    assert f"| mek | 0 | {against} | {neutral} | 0 | 0 |" in sheet
    assert tables.digest(corpus_rows) in sheet
    for article in articles:
        assert f"### {article['id']}\n" in sheet


def test_every_gold_label_shows_the_words_it_rests_on(sheet: str, corpus_rows: dict[str, list[Row]]) -> None:
    for row in corpus_rows["stances"]:
        if row["is_gold"]:
            assert all(f"“{cell(quote['exact'])}”" in sheet for quote in row["evidence"])


def test_the_card_is_one_the_hub_reads(corpus_release: Path) -> None:
    card = DatasetCard.load(corpus_release / release.CARD)
    data = card.data.to_dict()
    assert data["license"] == "other"
    assert data["annotations_creators"] == ["machine-generated"]
    assert [config["config_name"] for config in data["configs"]] == list(TABLES)
    assert [config.get("default", False) for config in data["configs"]] == [True, False, False]
    assert {config["version"] for config in data["configs"]} == {"1.0.0"}


def test_the_cards_strings_stay_strings(corpus_release: Path) -> None:
    front = (corpus_release / release.CARD).read_text(encoding="utf-8").split("---\n")[1]
    names = [
        name
        for info in yaml.safe_load(front)["dataset_info"]
        for feature in info["features"]
        if isinstance(feature.get("dtype"), dict)
        for name in feature["dtype"]["class_label"]["names"].values()
    ]
    assert names
    assert all(isinstance(name, str) for name in names)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "—"),
        ("a | b", r"a \| b"),
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("one\n  two", "one ⏎ two"),
        ("[x](http://example.org)", r"\[x\](http://example.org)"),
        ("*bold* `code` #1", r"\*bold\* \`code\` \#1"),
    ],
)
def test_a_value_can_not_become_markup(value: str | None, expected: str) -> None:
    assert cell(value) == expected


def test_the_licence_separates_the_annotations_from_the_texts(corpus_release: Path) -> None:
    text = (corpus_release / "LICENSE").read_text(encoding="utf-8")
    assert "https://creativecommons.org/licenses/by/4.0/legalcode" in text
    assert "Texts of the articles: nothing is granted" in text
    assert "Withdrawal" in text
