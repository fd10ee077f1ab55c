"""The documents say what the data say, and nothing a value holds becomes markup."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from huggingface_hub import DatasetCard

from broadsheet import recipe, release, tables
from broadsheet.build import build
from broadsheet.contract import TABLES, Row
from broadsheet.documents import datasheet
from broadsheet.documents.markdown import cell
from broadsheet.verify import verify
from tests import corpora, kinds
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


#: What the documents of each kind of dataset must say; what they must not say follows below.
SAID = {
    "pages": [
        "together they give the source byte for byte",
        "the gold label that came of them",
        "| [tram-figures](#tram-figures) | 10–11 |",
        "The boundaries of articles, statements about rights, roles of lines, claims",
        "[CODEBOOK.md](CODEBOOK.md)",
        "Agreement of the 2 passes over 4 items",
        "A label `not_addressed` rests on none.",
        "The authorial voice expresses approval of, or support for, the target.",
        "that it is the right quote is a judgement",
    ],
    "bare": [
        "together they give the source byte for byte",
        "`provenance` says which lines and bytes of which source file an article is, and makes no claim about origin",
        "The boundaries of articles, statements about rights, roles of lines,",
        "There are no labels: the column `stance` of the articles is null in every row.",
    ],
    "texts": [
        "There are no labels: the column `stance` of the articles is null in every row.",
        "| `articles` (default) | 3 | an article: its text and its rights |",
        "**The texts are under CC0-1.0.**",
        "2. Texts of the articles: CC0-1.0",
        "Nothing is claimed about the origin of any article",
        "| `title` | 2 | 1 |",
        "This release has parts with different rights.",
    ],
    "same": ["All parts of this release are under the same licence."],
    "labels": [
        "All 3 labels came with the source and rest on no quote (`basis` is `external`)",
        "# every row is a gold label",
        "| [a1](#a1) | — | — | — | against | not\\_addressed |",
        "| [a2](#a2) | — | — | — | — | favor |",
        "- Without a gold label for any target: 1 of 3 articles.",
        "| Con | `against` |",
        "No label has an intensity.",
        "| `desk` | source | human | the desk's own, https://example.org/guideline | unknown | unknown |",
        "| An invented desk \\| of two. |",
        "3 of 3 labels came with the source. The licence covers",
    ],
    "spans": [
        "1 of 3 labels rests on verbatim quotes in `evidence`",
        "2 of 3 labels came with the source and rest on no quote",
        "The only quote of this release was found at its place by a machine",
        "“tram was late” (text 4–17)",
    ],
    "mixed": [
        "**The texts are under different terms: CC-BY-4.0 (1), CC0-1.0 (1), LicenseRef-desk (1), ",
        "LicenseRef-not-granted (1 of 4 texts): nothing is granted.",
        "Other names that start with LicenseRef- (1 of 4 texts)",
        "SPDX identifiers (2 of 4 texts)",
        "`rights.holder` names the holder of 2 of 4 texts.",
        "- CC-BY-4.0, https://creativecommons.org/licenses/by/4.0/: 1 text\n",
    ],
    "lines": [
        "| `paragraphs` | 2 | a line of an article as it stands in the source, with its role |",
        "What stays out of `text` (18.2 % of the lines' characters)",
    ],
    "rejects": [
        "**This is not all of the source.** Rows with problems were left out: 1 of `articles`.",
        "version 0.1.0-rejects.1",
    ],
    "many": [
        "| `test` | 50 | 1 |",
        "`data/<table>/test-00000-of-00001.parquet` and `jsonl/<table>-test.jsonl`",
        "- Without a gold label for any target: 198 of 200 articles.",
        "The texts stand in the columns `title` and `text` of the articles.\n",
    ],
    "votes": [
        "# no row is a gold label",
        "Agreement of the 2 annotators over 2 items",
        "There is no gold label: every label is one annotator's own.",
        "| ann | model | 2 | 0 |",
        "**Every label was made by a model; no human annotator took part.**",
    ],
    "rows": [
        "There is no table of labels. The column `stance` of the articles has a label in all 40 rows",
        "`provenance` names the source file of all 40 articles, and lists",
    ],
}
#: What is true of some kinds only: sentences that the documents of all others must do without.
ONLY: dict[str, set[str]] = {
    "together they give the source": {"pages", "bare"},
    "boundaries of articles": {"pages", "bare"},
    "CODEBOOK.md": {"pages", "rows"},
    "before adjudication": {"pages"},
    "`consensus`": {"pages"},
    "nothing is granted": {"pages", "rows", "mixed"},
    "living people": set(),
    "grave": set(),
    "aggregator": set(),
    "language model": set(),
    "verbatim quotes": {"pages", "spans"},
    "every quote stands where": {"pages", "spans"},
    "`exact`, `prefix` and `suffix`": {"pages", "spans", "rows"},
    "Lines ": {"pages", "bare", "rows"},
    "(segment ": {"pages"},
    "The labels:": {"pages", "labels", "spans", "many", "votes", "rows"},
    "the gold label": {"pages", "labels", "spans", "many"},
    "annotators:": {"pages", "labels", "spans", "many", "votes", "rows"},
    "rest on no quote": {"labels", "spans", "many", "votes"},
    "came with the source": {"labels", "spans", "many", "votes"},
    "with an intensity": {"pages"},
    "not all of the source": {"rejects"},
    "one by one": {"pages", "bare", "texts", "same", "labels", "spans", "mixed", "lines", "rejects", "votes", "rows"},
    "a tram that is not there": {"mixed"},
}
#: What a template leaves where a value is missing, or where two of its sentences meet.
HOLES = r".*(?:\bNone\b|undefined|\(\s*\)|\S  +\S| [.,](?:\s|$)|[a-z)]\.[A-Z][a-z]+ |\b1 \w+s (?:were|are|have)\b).*"


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A release of every kind of dataset. Read them, don't change them."""
    place = tmp_path_factory.mktemp("kinds")
    folders = {kind: kinds.lay_out(kind, place / kind) for kind in ("pages", *kinds.KINDS)}
    folders["rows"] = corpora.dataset_of([row | {"duplicate_of": None} for row in corpora.articles(40)], place / "rows")
    for kind, folder in folders.items():
        build(folder, keep_going=kind == "rejects")
    return {kind: folder / "release" for kind, folder in folders.items()}


def _documents(place: Path) -> str:
    """What the documents of the release say, the tables of fields and the front matter apart."""
    card, sheet, licence = (
        (place / name).read_text(encoding="utf-8") for name in (release.CARD, release.DATASHEET, "LICENSE")
    )
    card = card.split("---\n", 2)[2].split("\n## Fields of `articles`")[0]
    return "\n".join([card, sheet.split("\n## Fields\n")[0], licence])


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.xdist_group("kinds")
def test_the_documents_say_what_is_true_of_the_dataset(releases: dict[str, Path], kind: str) -> None:
    text = _documents(releases[kind])
    assert [sentence for sentence in SAID[kind] if sentence not in text] == []


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.xdist_group("kinds")
def test_the_documents_do_not_say_what_is_true_of_others_only(releases: dict[str, Path], kind: str) -> None:
    text = _documents(releases[kind])
    assert [words for words, true_of in ONLY.items() if (words in text) != (kind in true_of)] == []


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.xdist_group("kinds")
def test_no_document_has_a_hole(releases: dict[str, Path], kind: str) -> None:
    for name in (release.CARD, release.DATASHEET, "LICENSE"):
        text = (releases[kind] / name).read_text(encoding="utf-8")
        prose = re.sub(r"```.*?```|^---\n.*?^---\n", "", text, flags=re.DOTALL | re.MULTILINE)
        assert re.findall(HOLES, prose) == []
        assert "\n\n\n" not in text.replace("\n\n\n", "\n\n", 4 * (name == "LICENSE"))


@pytest.mark.parametrize("kind", [*SAID, "corpus"])
@pytest.mark.xdist_group("kinds")
def test_every_row_of_a_table_has_a_cell_for_each_column(
    releases: dict[str, Path], corpus_release: Path, kind: str
) -> None:
    place = releases.get(kind, corpus_release)
    for name in (release.CARD, release.DATASHEET):
        lines = (place / name).read_text(encoding="utf-8").split("\n")
        tables_ = 0
        width = 0
        for before, line in pairwise(["", *lines]):
            cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            if cells and not before.startswith("|"):
                tables_, width = tables_ + 1, cells
            assert not cells or (cells == width and line.endswith("|")), line
            assert not re.fullmatch(r"\|(?: ?-+:? ?\|)+", line) or before.startswith("|"), before
        assert tables_


def test_a_release_without_labels_made_here_has_a_codebook_only_if_the_dataset_has(tmp_path: Path) -> None:
    folder = kinds.lay_out("labels", tmp_path / "labels")
    build(folder)
    assert not (folder / "release" / release.CODEBOOK).exists()
    assert verify(folder / "release") == []
    (folder / "annotations" / "codebook.md").write_text("# How the desk labels\n", encoding="utf-8")
    build(folder)
    assert (folder / "release" / release.CODEBOOK).read_text(encoding="utf-8") == "# How the desk labels\n"
    assert "[CODEBOOK.md](CODEBOOK.md)" in (folder / "release" / release.CARD).read_text(encoding="utf-8")


@pytest.mark.xdist_group("kinds")
def test_the_cards_terms_for_annotators_follow_the_labels(releases: dict[str, Path]) -> None:
    terms = {kind: DatasetCard.load(place / release.CARD).data.to_dict() for kind, place in releases.items()}
    assert terms["texts"]["annotations_creators"] == ["no-annotation"]
    assert terms["labels"]["annotations_creators"] == ["found"]
    assert terms["pages"]["annotations_creators"] == ["machine-generated", "other"]
    assert "source_datasets" not in terms["texts"]


def test_cautions_are_printed_in_every_document(corpus_release: Path) -> None:
    cautions = recipe.read(CORPUS).cautions
    assert any("grave claims about an organisation and about living people" in caution for caution in cautions)
    for name in (release.CARD, release.DATASHEET, "LICENSE"):
        words = " ".join((corpus_release / name).read_text(encoding="utf-8").split())
        assert [caution for caution in cautions if " ".join(caution.split()) not in words] == []


def test_a_thousand_annotators_are_told_together(tmp_path: Path) -> None:
    folder = kinds.lay_out("votes", tmp_path / "votes")
    votes = "".join(f"a1,tram,Con,voter{n:04}\n" for n in range(1000))
    (folder / "source" / "labels.csv").write_text("nr,target,label,who\n" + votes, encoding="utf-8")
    recipe_ = (folder / "dataset.toml").read_text(encoding="utf-8")
    given = "[stances.defaults]\nannotator_kind = 'human'"
    (folder / "dataset.toml").write_text(recipe_.replace("[stances.defaults]", given), encoding="utf-8")
    build(folder)
    text = (folder / "release" / release.DATASHEET).read_text(encoding="utf-8")
    assert "| voter0039, whom the recipe does not describe | human | 1 | 0 |" in text
    assert "| (960 further values) | — | 960 | 0 |" in text
