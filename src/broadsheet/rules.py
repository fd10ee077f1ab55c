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
from broadsheet.contract import Row, Violation
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


class Record(NamedTuple):
    """An *article* with its lines, the *paragraphs*, and its labels, the *stances*; it has none, or all of them."""

    article: Given
    paragraphs: Sequence[Given]
    stances: Sequence[Given]


def is_firm(claim: Row) -> bool:
    """Tell whether *claim* is firm enough for a flat column: stated, or inferred with high confidence."""
    return (claim["basis"], claim["confidence"]) in _FIRM


_FIRM = (("stated", None), ("inferred", "high"))


def of_text(row: Row, digest: str | None = None) -> Iterator[Violation]:
    """Judge what the article's *row* says of its own text: its length, its digest, the quotes that lie in it.

    *digest* is the SHA-256 of the text, where it is known already.
    """
    text: str = row["text"]
    if row["n_chars"] != len(text):
        yield _violation("BS507", f"n_chars is {row['n_chars']}, but the text has {len(text)} characters")
    if row["text_sha256"] != (digest or hashlib.sha256(text.encode()).hexdigest()):
        yield _violation("BS507", "text_sha256 is not the text's")
    for claim in row["provenance"]["claims"]:
        for quote in claim["evidence"]:
            if quote["source"] == "text" and text[quote["start"] : quote["end"]] != quote["exact"]:
                there = text[quote["start"] : quote["end"]]
                message = f"text[{quote['start']}:{quote['end']}] is {there!r}, not {quote['exact']!r}"
                yield _violation("BS401", message)


def of_record(record: Record, digest: str, n_words: int) -> Iterator[tuple[Given, Problem]]:
    """Judge *record*, whose rows keep their schemas; give problems, each with the row that it lies on.

    *digest* and *n_words* are those of the article's text.
    """
    article = record.article
    row, text = article.value, article.value["text"]
    own = [*_of_counts(row, digest, n_words), *_of_columns(row)]
    for found in own:
        yield article, article.problem(found.code, f"'{row['id']}': {found.message}", found.pointer)
    segment = text
    if record.paragraphs:
        yield from _of_paragraphs(record)
        segment = "\n".join(line.value["text"] for line in record.paragraphs)
    strings = {"text": text, "segment": segment}
    for index, claim in enumerate(row["provenance"]["claims"]):
        if claim["evidence"]:
            for message in _broken_quotes(claim["evidence"], strings):
                yield article, article.problem("BS401", f"'{row['id']}': {message}", f"/provenance/claims/{index}")
    if record.stances:
        yield from _of_stances(record)


def count_words(texts: pa.StringArray) -> npt.NDArray[np.int64]:
    """Give how many words each of *texts* has: stretches without white space, as ``str.split`` finds them.

    One pass over the bytes: in almost every text only spaces and line feeds part words; the others are split for real.
    """
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2], dtype=np.uint8) if texts.buffers()[2] else np.empty(0, np.uint8)
    blank = data <= _SPACE
    ends = blank[1:] > blank[:-1]  # the places where a word ends before a byte that is blank
    bounds = offsets.tolist()
    counts = np.array(
        [
            np.count_nonzero(ends[start : stop - 1]) + (not blank[stop - 1]) if stop > start else 0
            for start, stop in pairwise(bounds)
        ],
        dtype=np.int64,
    )
    odd = _odd_places(data, offsets)
    for index in np.unique(np.searchsorted(offsets, odd, side="right") - 1).tolist():
        counts[index] = len(texts[index].as_py().split())
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


def _of_counts(row: Row, digest: str, n_words: int) -> Iterator[Violation]:
    text = row["text"]
    derived = {
        "n_chars": len(text),
        "n_words": n_words,
        "n_paragraphs": text.count("\n") + 1,
        "text_sha256": digest,
    }
    for field, value in derived.items():
        if row[field] != value:
            yield _violation("BS507", f"{field} is {short(row[field])}, but its text gives {short(value)}")


def _of_columns(row: Row) -> Iterator[Violation]:
    """Judge the columns of which something is claimed: each has what is claimed firmly, or else null."""
    claims = row["provenance"]["claims"]
    claimed = {claim["field"] for claim in claims}
    firm = {claim["field"]: claim["value"] for claim in claims if (claim["basis"], claim["confidence"]) in _FIRM}
    for field in CLAIMED:
        if field not in claimed:
            continue
        value = firm.get(field)
        if field == "published":
            value = (value + "-01-01")[:10] if value else None
        if row[field] != value:
            yield _violation("BS507", f"{field} is {short(row[field])}, but its claims give {short(value)}")
    known = PRECISION[len(firm.get("published") or "")] if "published" in claimed else None
    if known is not None and row["published_precision"] != known:
        message = f"published_precision is {row['published_precision']!r}, but its claims give {known!r}"
        yield _violation("BS507", message)
    if (row["published"] is None) != (row["published_precision"] == "unknown"):
        yield _violation("BS507", f"published_precision is {row['published_precision']!r} of {row['published']}")


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


def _broken_quotes(evidence: Iterable[Row], strings: Mapping[str, str]) -> Iterator[str]:
    for quote in evidence:
        string, start, end = strings[quote["source"]], quote["start"], quote["end"]
        if string[start:end] != quote["exact"]:
            yield f"{quote['source']}[{start}:{end}] is {short(string[start:end])}, not {short(quote['exact'])}"
            continue
        prefix, suffix = quote["prefix"], quote["suffix"]
        if string[max(0, start - len(prefix)) : start] != prefix or string[end : end + len(suffix)] != suffix:
            yield f"the words around {quote['source']}[{start}:{end}] are not those of its prefix and suffix"


def _of_stances(record: Record) -> Iterator[tuple[Given, Problem]]:
    article = record.article.value
    groups: dict[str, list[Given]] = {}
    for label in record.stances:
        row = label.value
        groups.setdefault(row["target_id"], []).append(label)
        if row["article_id"] != article["id"]:
            yield label, label.problem("BS208", f"the label is of '{article['id']}', but names '{row['article_id']}'")
        for message in _broken_quotes(row["evidence"], {"text": article["text"], "segment": ""}):
            yield label, label.problem("BS401", f"'{article['id']}': {message}", "/evidence")
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
