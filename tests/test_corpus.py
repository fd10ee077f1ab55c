"""What the first corpus promises, held against its source."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from broadsheet import contract, documents, summary
from broadsheet.build import build
from broadsheet.contract import Row
from broadsheet.documents import render
from broadsheet.rules import Given, Record
from broadsheet.verify import segment_bytes
from tests.conftest import CORPUS

SOURCE = CORPUS / "source" / "000_1f5dc5bcb4f5ddab.txt"
Rows = dict[str, list[Row]]


def test_the_source_is_the_page_as_it_was_crawled() -> None:
    data = SOURCE.read_bytes()
    assert hashlib.sha256(data).hexdigest() == "b8bd013050355612ae1d3b86799ff4e9f2061bdbe02de0940d2507815ed6ef02"
    assert (len(data), data.count(b"\n")) == (67_815, 268)


def test_segments_tile_the_source(corpus_rows: Rows) -> None:
    places = [article["provenance"] for article in corpus_rows["articles"]]
    size = SOURCE.stat().st_size
    lines = [line for place in places for line in range(place["start_line"], place["end_line"] + 1)]
    assert lines == list(range(1, 270))
    assert [place["start_byte"] for place in places] == [0, *(place["end_byte"] for place in places[:-1])]
    assert places[-1]["end_byte"] == size


def test_the_paragraphs_give_the_source_back_byte_for_byte(corpus_rows: Rows) -> None:
    lines: dict[str, list[Given]] = {article["id"]: [] for article in corpus_rows["articles"]}
    for row in corpus_rows["paragraphs"]:
        lines[row["article_id"]].append(Given(row, b"", "", 0))
    segments = [segment_bytes(Record(Given(a, b"", "", 0), lines[a["id"]], [])) for a in corpus_rows["articles"]]
    assert b"".join(segments) == SOURCE.read_bytes()


def test_every_line_has_its_place_in_the_source(corpus_rows: Rows) -> None:
    data = SOURCE.read_bytes()
    assert all(data[row["start_byte"] : row["end_byte"]].decode() == row["text"] for row in corpus_rows["paragraphs"])


def test_every_offset_is_right_in_code_points(corpus_rows: Rows) -> None:
    text = {article["id"]: article["text"] for article in corpus_rows["articles"]}
    lines: dict[str, list[str]] = {}
    for row in corpus_rows["paragraphs"]:
        lines.setdefault(row["article_id"], []).append(row["text"])
        if row["start"] is not None:
            assert text[row["article_id"]][row["start"] : row["end"]] == row["text"]
    checked = 0
    for article in corpus_rows["articles"]:
        strings = {"text": article["text"], "segment": "\n".join(lines[article["id"]])}
        quotes = [quote for claim in article["provenance"]["claims"] for quote in claim["evidence"]]
        quotes += [q for row in corpus_rows["stances"] if row["article_id"] == article["id"] for q in row["evidence"]]
        for quote in quotes:
            string, start, end = strings[quote["source"]], quote["start"], quote["end"]
            assert string[start:end] == quote["exact"]
            assert string[:start].endswith(quote["prefix"])
            assert string[end:].startswith(quote["suffix"])
            checked += 1
    assert checked > 100
    # Not all of it is ASCII: byte offsets would fail.
    assert any(len(string) != len(string.encode()) for string in text.values())


def test_the_text_is_its_lines_and_its_digest_matches(corpus_rows: Rows) -> None:
    for article in corpus_rows["articles"]:
        own = [row for row in corpus_rows["paragraphs"] if row["article_id"] == article["id"]]
        text = "\n".join(row["text"] for row in own if row["role"] in contract.TEXT_ROLES)
        assert article["text"] == text
        assert article["text_sha256"] == hashlib.sha256(text.encode()).hexdigest()
        assert (article["n_chars"], article["n_words"]) == (len(text), len(text.split()))


def test_the_repeated_paragraph_is_once_in_the_text(corpus_rows: Rows) -> None:
    (article,) = [article for article in corpus_rows["articles"] if article["provenance"]["start_line"] == 6]
    assert article["text"].count("Hereinafter, what the MeK puts on agenda") == 1


def test_urls_broken_over_lines_are_whole(corpus_rows: Rows) -> None:
    references = [reference for article in corpus_rows["articles"] for reference in article["references"]]
    urls = [reference["url"] for reference in references if reference["url"]]
    source = SOURCE.read_text(encoding="utf-8").replace("\n", "")
    assert len(urls) == 26
    assert all(url in source and not url.endswith((".", "-", "_")) for url in urls)
    assert all("http" not in reference["text"] for reference in references)


def test_flat_columns_hold_only_what_is_stated_or_well_inferred(corpus_rows: Rows) -> None:
    for article in corpus_rows["articles"]:
        for column in ("title", "publisher", "author", "genre"):
            firm = [
                claim["value"]
                for claim in article["provenance"]["claims"]
                if claim["field"] == column
                and (claim["basis"] == "stated" or (claim["basis"], claim["confidence"]) == ("inferred", "high"))
            ]
            assert [article[column]] == (firm or [None]), (article["id"], column)


def test_every_field_of_provenance_is_accounted_for(corpus_rows: Rows) -> None:
    for article in corpus_rows["articles"]:
        claimed = {claim["field"] for claim in article["provenance"]["claims"]}
        assert {"title", "publisher", "author", "published", "genre", "collected_from"} <= claimed


def test_both_passes_are_whole_and_every_label_is_declared_machine_made(corpus_rows: Rows) -> None:
    stances = corpus_rows["stances"]
    items = {(article["id"], target) for article in corpus_rows["articles"] for target in ("mek", "us-delisting")}
    for annotator in ("pass-a", "pass-b"):
        assert {(r["article_id"], r["target_id"]) for r in stances if r["annotator_id"] == annotator} == items
    assert {(r["article_id"], r["target_id"]) for r in stances if r["is_gold"]} == items
    assert {row["annotator_kind"] for row in stances} == {"model"}


def test_a_disagreement_is_adjudicated_and_an_agreement_is_unanimous(corpus_rows: Rows) -> None:
    labels: dict[tuple[str, str], set[Any]] = {}
    for row in corpus_rows["stances"]:
        if not row["is_gold"]:
            labels.setdefault((row["article_id"], row["target_id"]), set()).add((row["stance"], row["intensity"]))
    for row in corpus_rows["stances"]:
        if row["is_gold"]:
            agreed = len(labels[row["article_id"], row["target_id"]]) == 1
            assert row["aggregation"] == ("unanimous" if agreed else "adjudicated")


def test_the_quotes_of_a_gold_label_are_chosen_from_the_passes(corpus_rows: Rows) -> None:
    given: dict[tuple[str, str], set[str]] = {}
    for row in corpus_rows["stances"]:
        if not row["is_gold"]:
            key = (row["article_id"], row["target_id"])
            given.setdefault(key, set()).update(quote["exact"] for quote in row["evidence"])
    for row in corpus_rows["stances"]:
        if row["is_gold"]:
            chosen = {quote["exact"] for quote in row["evidence"]}
            assert chosen <= given[row["article_id"], row["target_id"]]


def test_stance_evidence_is_prose_and_never_wholly_inside_quotation_marks(corpus_rows: Rows) -> None:
    text = {article["id"]: article["text"] for article in corpus_rows["articles"]}
    for row in corpus_rows["stances"]:
        for quote in row["evidence"]:
            assert quote["source"] == "text"
            before = text[row["article_id"]][: quote["start"]].rsplit("\n", 1)[-1]
            # Curly quotation marks open and close: a quote inside a pair is quoted speech.
            assert before.count("“") <= before.count("”"), (row["annotator_id"], quote["exact"])


def test_agreement_is_krippendorffs_alpha(corpus_rows: Rows) -> None:
    """Computed again from its definition (Krippendorff 2011): 1 - observed over expected disagreement."""
    labels = [row for row in corpus_rows["stances"] if not row["is_gold"]]
    pairs: dict[tuple[str, str], list[Row]] = {}
    for row in labels:
        pairs.setdefault((row["article_id"], row["target_id"]), []).append(row)
    overall = _summary().agreement[-1]
    stances = [[row["stance"] for row in pair] for pair in pairs.values()]
    intensities = [[row["intensity"] for row in pair] for pair in pairs.values()]
    both = [pair for pair in intensities if None not in pair]
    assert (overall.n, overall.n_intensity) == (len(stances), len(both))
    assert overall.agreed == sum(a == b for a, b in stances)
    assert overall.alpha is not None
    assert math.isclose(overall.alpha, _alpha(stances, lambda a, b, _: float(a != b)))
    assert overall.alpha_intensity is not None
    assert math.isclose(overall.alpha_intensity, _alpha(both, _ordinal))


def _summary() -> summary.Summary:
    """The figures of the corpus, as a build computes them."""
    found: list[summary.Summary] = []
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:

        def rendering(facts: documents.Facts) -> dict[str, bytes]:
            found.append(facts.summary)
            return render(facts)

        patch.setattr(documents, "render", rendering)
        build(CORPUS, Path(folder) / "release")
    return found[0]


def _alpha(pairs: Sequence[Sequence[Any]], delta: Any) -> float:
    values = Counter(value for pair in pairs for value in pair)
    n = sum(values.values())
    observed = sum(delta(a, b, values) + delta(b, a, values) for a, b in pairs) / n
    expected = sum(values[a] * values[b] * delta(a, b, values) for a in values for b in values) / (n * (n - 1))
    return float(1 - observed / expected)


def _ordinal(a: int, b: int, values: Counter[int]) -> float:
    low, high = min(a, b), max(a, b)
    between = sum(count for value, count in values.items() if low <= value <= high)
    return float((between - (values[a] + values[b]) / 2) ** 2)


@pytest.mark.parametrize("name", ["pass-a", "pass-b"])
def test_a_pass_is_published_as_it_was_written(name: str, corpus_rows: Rows) -> None:
    path = CORPUS / "annotations" / "stance" / f"{name}.jsonl"
    written = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    published = {(r["article_id"], r["target_id"]): r for r in corpus_rows["stances"] if r["annotator_id"] == name}
    for row in written:
        found = published[row["article_id"], row["target_id"]]
        for field in ("stance", "intensity", "confidence", "rationale"):
            assert found[field] == row[field]
        assert [quote["exact"] for quote in found["evidence"]] == [quote["exact"] for quote in row["evidence"]]


def test_the_codebooks_examples_are_not_from_the_corpus() -> None:
    codebook = (CORPUS / "annotations" / "codebook.md").read_text(encoding="utf-8")
    source = SOURCE.read_text(encoding="utf-8")
    examples = codebook.split("## Worked examples")[1].split("## How a gold label")[0]
    quoted = [part for part in examples.split('"')[1::2] if len(part) > 12]
    assert len(quoted) >= 7
    assert not [part for part in quoted if part in source]


def test_the_release_kept_is_the_one_the_inputs_build(corpus_release: Path) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    assert contents(CORPUS / "release") == contents(corpus_release)
    assert (CORPUS.parent / "DATASHEET.md").read_bytes() == (corpus_release / "DATASHEET.md").read_bytes()
