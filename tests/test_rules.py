"""The rules beyond the schemas: what is counted is counted right, and each rule that is broken is told."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadsheet import contract, rules
from broadsheet.contract import Row
from broadsheet.problems import Problem
from broadsheet.rules import Counts, Given, Record

# Counting ------------------------------------------------------------------------------------------------------------

#: Everything that `str.split` takes for white space, what only looks like it, and letters of one to four bytes.
SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"
NO_SPACES = "\x00\x01\x1b\x7f\x84\u180e\u200b\u200d\u2060\ufeff"
LETTERS = "ab.éжह日🙂👩\U0010ffff\u0301"
texts = st.text(st.sampled_from(SPACES + NO_SPACES + LETTERS + "  \n\n"), max_size=30) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=30
)


def _counted(text: str) -> Counts:
    return Counts(len(text.split()), text.count("\n") + 1, hashlib.sha256(text.encode()).hexdigest())


@settings(max_examples=400, deadline=None)
@given(st.lists(texts, min_size=1, max_size=8))
def test_words_lines_and_digests_are_those_of_each_text(given_texts: list[str]) -> None:
    assert rules.count(pa.array(given_texts, pa.string())) == [_counted(text) for text in given_texts]


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=8), st.data())
def test_a_slice_is_counted_as_what_it_shows(given_texts: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(given_texts) - 1))
    length = data.draw(st.integers(1, len(given_texts) - start))
    found = rules.count(pa.array(given_texts, pa.string()).slice(start, length))
    assert found == [_counted(text) for text in given_texts[start : start + length]]


@pytest.mark.parametrize("character", SPACES + NO_SPACES)
def test_each_white_space_parts_words_if_it_does_for_python(character: str) -> None:
    for text in (f"a{character}b", character, f"{character}a", f"a{character}", f"é{character}{character}🙂 b"):
        assert rules.count(pa.array(["x", text, "y z"], pa.string()))[1] == _counted(text)


def test_no_texts_have_no_counts() -> None:
    assert rules.count(pa.array(["a"], pa.string()).slice(0, 0)) == []


# One record, and what can be wrong with it ---------------------------------------------------------------------------

TEXT = "On the tram 🙂\nThe tram was late.\nNobody minded."


def _quote(exact: str, source: str = "text", string: str = TEXT) -> Row:
    start = string.index(exact)
    end = start + len(exact)
    around = {"prefix": string[max(0, start - 8) : start], "suffix": string[end : end + 8]}
    return {"source": source, "exact": exact, **around, "start": start, "end": end}


def _claim(field: str, value: str | None, basis: str = "stated", confidence: str | None = None) -> Row:
    evidence = [_quote("late")] if basis == "stated" else []
    return {
        "field": field,
        "value": value,
        "basis": basis,
        "confidence": confidence,
        "evidence": evidence,
        "note": None if basis == "stated" else "A note.",
    }


_PROSE = TEXT.split("\n")
LINES = [("title", "Trams"), ("heading", _PROSE[0]), ("body", _PROSE[1]), ("byline", "by Ann"), ("body", _PROSE[2])]
SEGMENT = "\n".join(text for _, text in LINES)


def _paragraphs() -> list[Row]:
    rows, offset, byte = [], 0, 0
    for index, (role, text) in enumerate(LINES):
        inside = role in contract.TEXT_ROLES
        place = (offset, offset + len(text)) if inside else (None, None)
        row = {"article_id": "a", "index": index, "role": role, "text": text, "start": place[0], "end": place[1]}
        rows.append(row | {"start_byte": byte, "end_byte": byte + len(text.encode())})
        offset += len(text) + 1 if inside else 0
        byte += len(text.encode()) + 1
    return rows


def _label(annotator: str, *, gold: bool = False) -> Row:
    return {
        "article_id": "a",
        "target_id": "tram",
        "stance": "against",
        "intensity": -1,
        "holder": "author",
        "confidence": "high",
        "rationale": "It was late.",
        "basis": "stated",
        "evidence": [_quote("late")],
        "annotator_id": annotator,
        "annotator_kind": "human",
        "guideline_version": "1.0",
        "annotated_on": "2021-06-01",
        "is_gold": gold,
        "aggregation": "unanimous" if gold else "none",
        "n_annotators": 2 if gold else 1,
    }


def _article() -> Row:
    claims = [
        _claim("title", "Trams") | {"evidence": [_quote("Trams", "segment", SEGMENT)]},
        _claim("author", "Ann", "inferred", "high"),
        _claim("publisher", "The Tram", "inferred", "low"),
        _claim("published", "2012-09"),
        _claim("genre", None, "unknown"),
        _claim("upstream_source", "One"),
        _claim("upstream_source", "Two"),
    ]
    return {
        "id": "a",
        "title": "Trams",
        "text": TEXT,
        "language": "en",
        "genre": None,
        "publisher": None,
        "author": "Ann",
        "published": "2012-09-01",
        "published_precision": "month",
        "stance": "against",
        "stance_intensity": -1,
        "stance_target": "tram",
        "n_chars": len(TEXT),
        "n_words": len(TEXT.split()),
        "n_paragraphs": 3,
        "text_sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
        "duplicate_of": None,
        "status": "active",
        "provenance": {
            "source_file": "page.txt",
            "source_sha256": "0" * 64,
            "start_line": 1,
            "end_line": len(LINES),
            "start_byte": 0,
            "end_byte": len(SEGMENT.encode()) + 1,
            "collected_from": None,
            "upstream_sources": ["One", "Two"],
            "excerpted": None,
            "claims": claims,
        },
        "rights": {
            "license": "LicenseRef-none",
            "statement": "http://rightsstatements.org/vocab/InC/1.0/",
            "holder": None,
            "usage_terms": "None.",
        },
        "references": [],
    }


def _rows() -> dict[str, list[Row]]:
    labels = [_label("first"), _label("second"), _label("consensus", gold=True)]
    return {"articles": [_article()], "paragraphs": _paragraphs(), "stances": labels}


def _judged(rows: dict[str, list[Row]]) -> list[tuple[Given, Problem]]:
    (article,) = (Given(row, b"", "articles", 7) for row in rows["articles"])
    paragraphs = [Given(r, b"", "paragraphs", 1 + n, f"/paragraphs/{n}") for n, r in enumerate(rows["paragraphs"])]
    stances = [Given(row, b"", "stances", 1 + n, f"/stances/{n}") for n, row in enumerate(rows["stances"])]
    (counts,) = rules.count(pa.array([article.value["text"]], pa.string()))
    return rules.of_record(Record(article, paragraphs, stances), counts)


@pytest.mark.parametrize("left_out", [(), ("paragraphs",), ("stances",), ("paragraphs", "stances")])
def test_a_record_that_is_as_it_should_be_has_no_problem(left_out: tuple[str, ...]) -> None:
    rows = _rows()
    for table, schema in ((table, contract.table_schema(table)) for table in rows):
        assert [found for row in rows[table] for found in contract.violations(row, schema)] == []
    rows |= {table: [] for table in left_out}
    if "paragraphs" in left_out:  # without its lines, a segment is the text
        del rows["articles"][0]["provenance"]["claims"][0]["evidence"][0]
    assert _judged(rows) == []


Change = Callable[[dict[str, list[Row]]], Any]
_CLAIMS = "/provenance/claims"


def _set(table: str, number: int, **values: Any) -> Change:
    return lambda rows: rows[table][number].update(values)


def _set_quote(number: int, **values: Any) -> Change:
    return lambda rows: rows["articles"][0]["provenance"]["claims"][number]["evidence"][0].update(values)


def _claimed(*claims: Row, **columns: Any) -> Change:
    def change(rows: dict[str, list[Row]]) -> None:
        rows["articles"][0]["provenance"]["claims"] += claims
        rows["articles"][0].update(columns)

    return change


def _all(*changes: Change) -> Change:
    return lambda rows: [change(rows) for change in changes]


LABEL_MOVED = {"evidence": [_quote("late") | {"start": 0, "end": 4}]}
FROM_SEGMENT = {"evidence": [_quote("Trams", "segment", SEGMENT)]}
BROKEN: dict[str, tuple[Change, list[tuple[str, str, int, str, str]]]] = {
    "n_chars": (_set("articles", 0, n_chars=1), [("BS507", "articles", 7, "", "n_chars is 1")]),
    "n_words": (_set("articles", 0, n_words=1), [("BS507", "articles", 7, "", "n_words is 1")]),
    "n_paragraphs": (_set("articles", 0, n_paragraphs=1), [("BS507", "articles", 7, "", "n_paragraphs is 1")]),
    "digest": (_set("articles", 0, text_sha256="0" * 64), [("BS507", "articles", 7, "", "text_sha256 is '000")]),
    "title is another": (_set("articles", 0, title="Tram"), [("BS507", "articles", 7, "", "title is 'Tram'")]),
    "title is null": (_set("articles", 0, title=None), [("BS507", "articles", 7, "", "title is None")]),
    "author is null": (_set("articles", 0, author=None), [("BS507", "articles", 7, "", "author is None")]),
    "not firm": (_set("articles", 0, publisher="The Tram"), [("BS507", "articles", 7, "", "publisher is")]),
    "unknown": (_set("articles", 0, genre="opinion"), [("BS507", "articles", 7, "", "genre is 'opinion'")]),
    "date": (_set("articles", 0, published="2012-09-02"), [("BS507", "articles", 7, "", "published is")]),
    "no date": (
        _set("articles", 0, published=None),
        [("BS507", "articles", 7, "", "published is None"), ("BS507", "articles", 7, "", "'month' of None")],
    ),
    "precision": (_set("articles", 0, published_precision="day"), [("BS507", "articles", 7, "", "precision is 'day'")]),
    "two firm claims": (
        _claimed(_claim("author", "Ann", "inferred", "high")),
        [("BS405", "articles", 7, f"{_CLAIMS}/7", "a second firm claim on the author")],
    ),
    "quote moved": (
        _set_quote(3, start=0, end=4),
        [("BS401", "articles", 7, f"{_CLAIMS}/3", "text[0:4] is 'On t', not 'late'")],
    ),
    "prefix": (_set_quote(3, prefix="tram is "), [("BS401", "articles", 7, f"{_CLAIMS}/3", "prefix and suffix")]),
    "suffix": (_set_quote(3, suffix="!"), [("BS401", "articles", 7, f"{_CLAIMS}/3", "prefix and suffix")]),
    "past the end": (
        _set_quote(3, start=10_000, end=10_004),
        [("BS401", "articles", 7, f"{_CLAIMS}/3", "text[10000:10004] is ''")],
    ),
    "quote of a segment": (_set_quote(0, source="text"), [("BS401", "articles", 7, f"{_CLAIMS}/0", "not 'Trams'")]),
    "line of another article": (
        _set("paragraphs", 1, article_id="b"),
        [("BS208", "paragraphs", 2, "/paragraphs/1", "the line is in 'a', but names 'b'")],
    ),
    "line of another number": (
        _set("paragraphs", 3, index=9),
        [("BS507", "paragraphs", 4, "/paragraphs/3", "line 9 is not line 3")],
    ),
    "line moved": (
        _set("paragraphs", 2, start=0),
        [("BS507", "paragraphs", 3, "/paragraphs/2", "is not line 2 at 14:32")],
    ),
    "line edited": (_set("paragraphs", 4, text="Nobody mindeD."), [("BS507", "articles", 7, "", "its lines give")]),
    "label of another article": (
        _set("stances", 1, article_id="b"),
        [("BS208", "stances", 2, "/stances/1", "the label is of 'a', but names 'b'")],
    ),
    "label's quote moved": (
        _set("stances", 1, **LABEL_MOVED),
        [("BS401", "stances", 2, "/stances/1/evidence", "'a': text[0:4]")],
    ),
    "label's quote of the segment": (
        _set("stances", 1, **FROM_SEGMENT),
        [("BS401", "stances", 2, "/stances/1/evidence", "'a': segment[0:5] is ''")],
    ),
    "two gold labels": (
        lambda rows: rows["stances"].append(rows["stances"][2] | {"annotator_id": "settled"}),
        [("BS207", "stances", 4, "/stances/3", "'a' has 2 gold labels for 'tram'")],
    ),
    "not adjudicated": (
        _set("stances", 2, aggregation="adjudicated"),
        [("BS507", "stances", 3, "/stances/2", "is not adjudicated")],
    ),
    "not unanimous": (
        _set("stances", 0, intensity=-2),
        [("BS507", "stances", 3, "/stances/2", "is not unanimous")],
    ),
    "annotators": (_set("stances", 2, n_annotators=3), [("BS507", "stances", 3, "/stances/2", "is not 2")]),
    "stance": (
        _all(_set("articles", 0, stance="neutral")),
        [("BS507", "articles", 7, "", "its stance is not the gold label ('against', -1)")],
    ),
    "intensity": (
        _set("articles", 0, stance_intensity=-2),
        [("BS507", "articles", 7, "", "its stance is not the gold label ('against', -1)")],
    ),
    "stance without a gold label": (
        lambda rows: rows["stances"].pop(),
        [("BS507", "articles", 7, "", "its stance is not the gold label (None, None)")],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_rule_that_is_broken_is_told_where_it_lies(name: str) -> None:
    change, expected = BROKEN[name]
    rows = _rows()
    change(rows)
    found = _judged(rows)
    assert [(p.code, p.path, p.line, p.pointer) for _, p in found] == [case[:4] for case in expected]
    for (row, problem), (*_, message) in zip(found, expected, strict=True):
        assert message in problem.message
        assert (row.path, row.line) == (problem.path, problem.line)


def test_a_date_of_which_nothing_is_claimed_has_a_precision_all_the_same() -> None:
    rows = _rows()
    del rows["articles"][0]["provenance"]["claims"][3]
    assert _judged(rows) == []
    rows["articles"][0]["published_precision"] = "unknown"
    assert [problem.code for _, problem in _judged(rows)] == ["BS507"]


@pytest.mark.parametrize("value", ["May 2012", "2012-9-1", "201", "2012-09-27T10:00", "in the year 2012"])
def test_a_claimed_date_that_is_none_is_a_problem_and_no_crash(value: str) -> None:
    rows = _rows()
    rows["articles"][0]["provenance"]["claims"][3]["value"] = value
    assert contract.violations(rows["articles"][0], contract.table_schema("articles")) == []
    assert {problem.code for _, problem in _judged(rows)} == {"BS205"}


@pytest.mark.parametrize("change", ["n_chars", "text_sha256", "quote"])
def test_what_a_row_says_of_its_own_text_is_judged_alone(change: str) -> None:
    row = _article()
    assert list(rules.of_text(row)) == []
    if change == "quote":
        row["provenance"]["claims"][3]["evidence"][0]["start"] += 1
    else:
        row[change] = {"n_chars": 1, "text_sha256": "0" * 64}[change]
    (found,) = rules.of_text(row)
    assert found.code == ("BS401" if change == "quote" else "BS507")


# Few comparisons for most, a closer look for the others: one verdict -------------------------------------------------

VALUES = {
    "published": ["2012", "2013", "2012-09", "2012-09-27"],
    "genre": ["opinion", "other"],
    "excerpted": ["true"],
}
BASES: list[tuple[str, str | None]] = [("stated", None), ("unknown", None)]
BASES += [(basis, confidence) for basis in ("inferred", "external") for confidence in ("low", "medium", "high")]


@st.composite
def claims(draw: st.DrawFn) -> Row:
    field = draw(st.sampled_from([*rules.CLAIMED, "collected_from", "upstream_source", "excerpted"]))
    basis, confidence = draw(st.sampled_from(BASES))
    value = None if basis == "unknown" else draw(st.sampled_from(VALUES.get(field, ["One", "Two"])))
    return _claim(field, value, basis, confidence)


def _derived(given_claims: list[Row]) -> Row:
    """The columns as they should be, in plain words."""
    firm = {claim["field"]: claim["value"] for claim in given_claims if rules.is_firm(claim)}
    date = firm.get("published") or ""
    columns = {field: firm.get(field) for field in rules.CLAIMED}
    precision = {0: "unknown", 4: "year", 7: "month", 10: "day"}[len(date)]
    return columns | {"published": (date + "-01-01")[:10] if date else None, "published_precision": precision}


columns = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from([None, "One", "Two"]),
        "publisher": st.sampled_from([None, "One", "Two"]),
        "author": st.sampled_from([None, "One", "Two"]),
        "genre": st.sampled_from([None, "opinion", "other"]),
        "published": st.sampled_from([None, "2012-01-01", "2012-09-01", "2012-09-27"]),
        "published_precision": st.sampled_from(["unknown", "year", "month", "day"]),
    },
)


@settings(max_examples=400, deadline=None)
@given(st.lists(claims(), max_size=5), columns)
def test_the_short_way_and_the_long_one_give_the_same(given_claims: list[Row], changed: Row) -> None:
    rows = _rows() | {"paragraphs": []}
    row = rows["articles"][0]
    row["provenance"]["claims"] = given_claims
    row |= _derived(given_claims) | changed
    found = _judged(copy.deepcopy(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "_columns_hold", lambda *_: False)
        assert found == _judged(rows)
    fields = [claim["field"] for claim in given_claims if rules.is_firm(claim) and claim["field"] in rules.CLAIMED]
    doubled = len(fields) != len(set(fields))
    claimed = {claim["field"] for claim in given_claims}
    expected = {key: value for key, value in _derived(given_claims).items() if key.split("_")[0] in claimed}
    wrong = any(row[key] != value for key, value in expected.items())
    wrong |= (row["published"] is None) != (row["published_precision"] == "unknown")
    assert {problem.code for _, problem in found} == ({"BS405"} if doubled else set()) | ({"BS507"} if wrong else set())
