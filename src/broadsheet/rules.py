"""Rules: takes a record, an article with its lines and its labels, gives what no schema can say is wrong with it.

Counts and digests are the text's, quotes stand at their places, columns do not contradict the claims they come from,
lines give the text, and gold labels follow from the labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import ahocorasick_rs
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from broadsheet import contract
from broadsheet.contract import Judge, Row, Violation
from broadsheet.problems import Problem

#: Columns that follow from claims on the field of the same name, and `published_precision` with them.
CLAIMED = ("title", "publisher", "author", "published", "genre")
#: The length of a partial date (EDTF level 0), by what it is precise to.
PRECISION = {0: "unknown", 4: "year", 7: "month", 10: "day"}
# White space beyond ASCII (Unicode's White_Space, as `str.split` has it), as UTF-8.
_SPACES = [chr(point).encode() for point in (0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F)]
_OTHER_SPACES = ahocorasick_rs.BytesAhoCorasick(
    [*_SPACES, chr(0x205F).encode(), chr(0x3000).encode()],
    matchkind=ahocorasick_rs.MatchKind.LeftmostFirst,  # many times faster than the default here
)
_SPACE, _LINE_FEED = 0x20, 0x0A


class Given(NamedTuple):
    """A row as it was given: its *value*, its *canonical* form, and the *path*, *line* and *pointer* it stands at.

    Where it was found in a *stretch* of the input, the line is counted from there.
    """

    value: Row
    canonical: bytes
    path: str
    line: int
    pointer: str = ""
    stretch: int = -1

    def problem(self, code: str, message: str, pointer: str = "", hint: str = "") -> Problem:
        """Give a problem that lies on this row."""
        return Problem(code, self.path, message, line=self.line, pointer=self.pointer + pointer, hint=hint)

    def problems(self, judge: Judge) -> list[Problem]:
        """Give every way in which this row breaks the schema of *judge*."""
        return [self.problem(v.code, v.message, v.pointer, v.hint) for v in judge.violations(self.value)]


class Record(NamedTuple):
    """An *article* with its lines, the *paragraphs*, and its labels, the *stances*; it has none, or all of them."""

    article: Given
    paragraphs: Sequence[Given]
    stances: Sequence[Given]


def is_firm(claim: Row) -> bool:
    """Tell whether *claim* is firm enough for a flat column: stated, or inferred with high confidence."""
    return (claim["basis"], claim["confidence"]) in _FIRM


_FIRM = (("stated", None), ("inferred", "high"))


def of_text(row: Row) -> Iterator[Violation]:
    """Judge what the article's *row* says of its own text: its length, its digest, the quotes that lie in it."""
    text: str = row["text"]
    if row["n_chars"] != len(text):
        yield _violation("BS507", f"n_chars is {row['n_chars']}, but the text has {len(text)} characters")
    if row["text_sha256"] != hashlib.sha256(text.encode()).hexdigest():
        yield _violation("BS507", "text_sha256 is not the text's")
    for claim in row["provenance"]["claims"]:
        for quote in claim["evidence"]:
            if quote["source"] == "text" and text[quote["start"] : quote["end"]] != quote["exact"]:
                there = text[quote["start"] : quote["end"]]
                message = f"text[{quote['start']}:{quote['end']}] is {there!r}, not {quote['exact']!r}"
                yield _violation("BS401", message)


def of_record(record: Record, counts: Counts) -> list[tuple[Given, Problem]]:
    """Judge *record*, whose rows keep their schemas; give problems, each with the row that it lies on.

    *counts* are those of the article's text.
    """
    row = record.article.value
    text, claims = row["text"], row["provenance"]["claims"]
    segment = "\n".join([line.value["text"] for line in record.paragraphs]) if record.paragraphs else text
    found: list[Violation] = []
    # Most articles are as they should be: they pass these few comparisons, and only the others are looked at closely.
    if (row["n_words"], row["n_paragraphs"], row["text_sha256"], row["n_chars"]) != (*counts, len(text)):
        found += _of_counts(row, counts)
    if not _columns_hold(row, claims):
        found += _of_columns(row, claims)
    if row["duplicate_of"] == row["id"]:
        found.append(_violation("BS208", "it is no duplicate of itself", "/duplicate_of"))
    for index, claim in enumerate(claims):
        for quote in claim["evidence"]:
            if not _holds(quote, text if quote["source"] == "text" else segment):
                found.append(_misplaced(quote, {"text": text, "segment": segment}, f"/provenance/claims/{index}"))
    article = record.article
    problems = [(article, article.problem(v.code, f"'{row['id']}': {v.message}", v.pointer)) for v in found]
    if record.paragraphs:
        problems += _of_paragraphs(record)
    if record.stances:
        problems += _of_stances(record)
    return problems


class Counts(NamedTuple):
    """What is counted of a text: its words, its lines, and the SHA-256 of its bytes in hexadecimal."""

    words: int
    lines: int
    sha256: str


def count(texts: pa.StringArray) -> list[Counts]:
    """Give the counts of each of *texts*; words are stretches without white space, as ``str.split`` finds them.

    One pass over the bytes: in almost every text only spaces and line feeds part words; the others are split for real.
    """
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", dtype=np.uint8)
    blank = data <= _SPACE
    ends = blank[1:] > blank[:-1]  # where a word ends before a byte that is blank
    feeds = data == _LINE_FEED
    odd = _odd_places(data, offsets)
    split = set(np.unique(np.searchsorted(offsets, odd, side="right") - 1).tolist()) if len(odd) else ()
    whole, nonzero, sha256 = data.data, np.count_nonzero, hashlib.sha256
    counts = []
    for index, (start, stop) in enumerate(pairwise(offsets.tolist())):
        words = int(nonzero(ends[start : stop - 1])) + (not blank[stop - 1]) if stop > start else 0
        if index in split:
            words = len(texts[index].as_py().split())
        lines = int(nonzero(feeds[start:stop])) + 1
        counts.append(Counts(words, lines, sha256(whole[start:stop]).hexdigest()))
    return counts


def _odd_places(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Give the places in *data* of white space beyond ASCII, and of control characters other than line feeds."""
    start, stop = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    places = [
        np.array([at for _, at, _ in _OTHER_SPACES.find_matches_as_indexes(data[start:stop].tobytes())], np.int64)
    ]
    controls = np.flatnonzero(data[start:stop] < _SPACE)
    places.append(controls[data[start:stop][controls] != _LINE_FEED])
    return np.concatenate(places).astype(np.int64) + start


def _violation(code: str, message: str, pointer: str = "") -> Violation:
    return Violation(code, pointer, message, "")


def _of_counts(row: Row, counts: Counts) -> Iterator[Violation]:
    derived = {
        "n_chars": len(row["text"]),
        "n_words": counts.words,
        "n_paragraphs": counts.lines,
        "text_sha256": counts.sha256,
    }
    for field, value in derived.items():
        if row[field] != value:
            yield _violation("BS507", f"{field} is {short(row[field])}, but its text gives {short(value)}")


def _columns_hold(row: Row, claims: Sequence[Row]) -> bool:
    """Tell whether the columns are what `_of_columns` asks for; True is certain, False is not."""
    told = set()
    for claim in claims:
        field, basis = claim["field"], claim["basis"]
        if field not in _COLUMNS:
            continue
        firm = basis == "stated" or (basis == "inferred" and claim["confidence"] == "high")
        value = claim["value"] if firm else None
        if field == "published" and value is not None:
            # What gives the column's date, and is as precise as the other one says, is a date.
            if row["published_precision"] != PRECISION.get(len(value)):
                return False
            value = (value + "-01-01")[:10]
        if row[field] != value or field in told:
            return False
        told.add(field)
    return bool((row["published"] is None) == (row["published_precision"] == "unknown"))


def _is_date(value: str | None) -> bool:
    return value is None or contract.is_partial_date(value)


_COLUMNS = frozenset(CLAIMED)


def _of_columns(row: Row, claims: Sequence[Row]) -> Iterator[Violation]:
    """Judge the columns of which something is claimed: each has what is claimed firmly, or else null."""
    claimed = {claim["field"] for claim in claims}
    firm: dict[str, str] = {}
    for index, claim in enumerate(claims):
        if is_firm(claim) and claim["field"] in CLAIMED:
            if claim["field"] in firm:
                message = f"a second firm claim on the {claim['field']}"
                yield _violation("BS405", message, f"/provenance/claims/{index}")
            firm[claim["field"]] = claim["value"]
    if not _is_date(firm.get("published")):
        message = f"{short(firm['published'])}, the claimed date, is not YYYY, YYYY-MM or YYYY-MM-DD"
        yield _violation("BS205", message)
        return
    for field, value in _claimed(firm, claimed).items():
        if row[field] != value:
            yield _violation("BS507", f"{field} is {short(row[field])}, but its claims give {short(value)}")
    if (row["published"] is None) != (row["published_precision"] == "unknown"):
        yield _violation("BS507", f"published_precision is {row['published_precision']!r} of {row['published']}")


def _claimed(firm: Mapping[str, str], claimed: Iterable[str]) -> dict[str, str | None]:
    """Give what the columns must be of which something is *claimed*, *firm* or not."""
    columns: dict[str, str | None] = {field: firm.get(field) for field in CLAIMED if field in claimed}
    if "published" in columns:
        date = firm.get("published") or ""
        columns |= {"published": (date + "-01-01")[:10] if date else None, "published_precision": PRECISION[len(date)]}
    return columns


def _of_paragraphs(record: Record) -> Iterator[tuple[Given, Problem]]:
    article = record.article.value
    offset = 0
    for number, line in enumerate(record.paragraphs):
        row = line.value
        inside = row["role"] in contract.TEXT_ROLES
        place = (offset, offset + len(row["text"])) if inside else (None, None)
        offset += len(row["text"]) + 1 if inside else 0
        if row["article_id"] != article["id"]:
            yield line, line.problem("BS208", f"the line is in '{article['id']}', but names '{row['article_id']}'")
        elif (row["index"], row["start"], row["end"]) != (number, *place):
            place_said = f"{place[0]}:{place[1]} of the text"
            yield (
                line,
                line.problem("BS507", f"'{article['id']}': line {row['index']} is not line {number} at {place_said}"),
            )
    text = "\n".join(line.value["text"] for line in record.paragraphs if line.value["role"] in contract.TEXT_ROLES)
    if text != article["text"]:
        message = f"'{article['id']}': text is {short(article['text'])}, but its lines give {short(text)}"
        yield record.article, record.article.problem("BS507", message)


def _holds(quote: Row, string: str) -> bool:
    """Tell whether *quote* stands at its place in *string*, with its prefix before it and its suffix after it."""
    # What is compared in place need not be cut out of the string, which takes longer.
    exact, start, end = quote["exact"], quote["start"], min(quote["end"], len(string))
    return bool(
        end - start == len(exact)
        and string.startswith(exact, start)
        and string.endswith(quote["prefix"], 0, start)
        and string.startswith(quote["suffix"], end)
    )


def _misplaced(quote: Row, strings: Mapping[str, str], pointer: str) -> Violation:
    string, start, end = strings[quote["source"]], quote["start"], quote["end"]
    place = f"{quote['source']}[{start}:{end}]"
    if string[start:end] != quote["exact"]:
        message = f"{place} is {short(string[start:end])}, not {short(quote['exact'])}"
    else:
        message = f"the words around {place} are not those of its prefix and suffix"
    return _violation("BS401", message, pointer)


def _of_stances(record: Record) -> Iterator[tuple[Given, Problem]]:
    article = record.article.value
    groups: dict[str, list[Given]] = {}
    for label in record.stances:
        row = label.value
        groups.setdefault(row["target_id"], []).append(label)
        if row["article_id"] != article["id"]:
            yield label, label.problem("BS208", f"the label is of '{article['id']}', but names '{row['article_id']}'")
        strings = {"text": article["text"], "segment": ""}
        for quote in row["evidence"]:
            if not _holds(quote, strings[quote["source"]]):
                found = _misplaced(quote, strings, "/evidence")
                yield label, label.problem(found.code, f"'{article['id']}': {found.message}", found.pointer)
    for target, group in groups.items():
        gold = [label for label in group if label.value["is_gold"]]
        for label in gold[1:]:
            yield label, label.problem("BS207", f"'{article['id']}' has {len(gold)} gold labels for '{target}'")
        for label in gold[:1]:
            own = [other.value for other in group if not other.value["is_gold"]]
            yield from _of_gold(label, own, f"'{article['id']}' for '{target}'")
    primary = groups.get(article["stance_target"], [])
    expected = next(((r.value["stance"], r.value["intensity"]) for r in primary if r.value["is_gold"]), (None, None))
    if primary and (article["stance"], article["stance_intensity"]) != expected:
        yield (
            record.article,
            record.article.problem("BS507", f"'{article['id']}': its stance is not the gold label {expected}"),
        )


def _of_gold(label: Given, own: Sequence[Row], of: str) -> Iterator[tuple[Given, Problem]]:
    """Judge the gold *label* by the annotators' *own* rows for the same article and target, where they are given."""
    row = label.value
    if row["aggregation"] == "external":
        return
    given = {(other["stance"], other["intensity"]) for other in own}
    unanimous = given == {(row["stance"], row["intensity"])}
    if own and unanimous != (row["aggregation"] == "unanimous"):
        yield label, label.problem("BS507", f"the gold label of {of} is not {row['aggregation']}")
    annotators = {other["annotator_id"] for other in own}
    if own and row["n_annotators"] != len(annotators):
        yield label, label.problem("BS507", f"n_annotators of {of} is not {len(annotators)}")


def short(value: Any) -> str:
    """Give *value* as a message shows it, cut where it is long."""
    text = repr(value)
    limit = 90
    return text if len(text) <= limit else text[: limit - 1] + "…"
