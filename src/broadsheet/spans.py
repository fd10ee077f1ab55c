"""Spans: takes stretches of a text from a source that counts in its own way, gives the quotes that labels rest on.

Each span is found where it is said to be, or is a problem with its id, its offsets and the length of the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broadsheet import jsonl, labels
from broadsheet.contract import Row
from broadsheet.labels import Scheme
from broadsheet.problems import Problem
from broadsheet.rules import Given, short

_BOM = "\ufeff"


def joined(
    stances: Sequence[Given], spans: Sequence[Given], text: str, scheme: Scheme
) -> tuple[list[Given], list[Problem]]:
    """Give *stances*, with *spans* of their article's *text* as evidence, and what is wrong with these.

    A span joins the labels of its target and annotator; where it names none, those of the only target, of all
    annotators. A label that has a span rests on it: its basis is ``stated``.
    """
    problems: list[Problem] = []
    quotes: dict[int, list[Row]] = {}
    for span in spans:
        found = _quote(span, text, scheme)
        own = _labels_of(span.value, stances, scheme.targets)
        if isinstance(found, Problem):
            problems.append(found)
        elif not own:
            article = span.value["article_id"]
            problems.append(span.problem("BS208", f"'{article}' has no label that the span could belong to"))
        else:
            for index in own:
                quotes.setdefault(index, []).append(found)
    return [_resting_on(row, quotes.get(index, ())) for index, row in enumerate(stances)], problems


def _labels_of(span: Row, stances: Sequence[Given], targets: Sequence[str]) -> list[int]:
    target = span["target_id"] or (targets[0] if len(targets) == 1 else None)
    annotator = span["annotator_id"]
    return [
        index
        for index, row in enumerate(stances)
        if row.value["target_id"] == target and annotator in (None, row.value["annotator_id"])
    ]


def _resting_on(row: Given, quotes: Sequence[Row]) -> Given:
    if not quotes:
        return row
    places = {(quote["source"], quote["start"], quote["end"]): quote for quote in [*row.value["evidence"], *quotes]}
    value = row.value | {"evidence": [places[place] for place in sorted(places)], "basis": "stated"}
    return row._replace(value=value, canonical=jsonl.canonical(value))


def _quote(span: Given, text: str, scheme: Scheme) -> Row | Problem:  # noqa: PLR0911 - each is a reason of its own
    """Give the quote that *span* is of *text*, or what is wrong with it."""
    row: Mapping[str, Any] = span.value
    if row["start"] is None or row["end"] is None:
        return _by_words(span, text)
    string, offset = _frame(row, text, scheme.span_frame)
    if string is None:
        code, message = ("BS402", "occurs more than once") if offset else ("BS401", "is not")
        sentence = short(row["sentence"])
        return span.problem(
            code, f"the sentence {sentence} {message} in the text of '{row['article_id']}'", "/sentence"
        )
    unit = scheme.span_unit
    place = f"the span {row['start']}:{row['end']} ({unit}) of '{row['article_id']}'"
    length = labels.length(string, unit)
    of = {"article": "text", "sentence": "sentence", "file_with_bom": "file"}[scheme.span_frame]
    if not 0 <= row["start"] < row["end"] <= length:
        return span.problem("BS401", f"{place} does not lie in its {of}, which is {length} long", "/start")
    start, end = (labels.to_code_points(row[name], string, unit) for name in ("start", "end"))
    if start is None or end is None:
        return span.problem("BS401", f"{place} starts or ends inside a character; its {of} is {length} long", "/start")
    start, end = start + offset, end + offset
    if start < 0:
        return span.problem("BS401", f"{place} is the byte order mark", "/start")
    if row["exact"] is not None and text[start:end] != row["exact"]:
        message = f"{place} is {short(text[start:end])}, not {short(row['exact'])}; the {of} is {length} long"
        hint = "Are [evidence] unit and frame those of the source?"
        return span.problem("BS401", message, "/exact", hint)
    return labels.quote_at(text, "text", start, end)


def _by_words(span: Given, text: str) -> Row | Problem:
    exact, article = span.value["exact"], span.value["article_id"]
    if not exact:
        return span.problem("BS401", f"a span of '{article}' has neither offsets nor words", "/exact")
    places = labels.locate(exact, "", "", text)
    if len(places) == 1:
        return labels.quote_at(text, "text", places[0], places[0] + len(exact))
    code, said = ("BS402", f"occurs {len(places)} times") if places else ("BS401", "is not")
    return span.problem(code, f"{short(exact)} {said} in the text of '{article}', {len(text)} long", "/exact")


def _frame(row: Mapping[str, Any], text: str, frame: str) -> tuple[str | None, int]:
    """Give the string that the span's offsets count in, and what to add to them for the text's own.

    Without a string, the number tells how many sentences there are.
    """
    if frame == "article":
        return text, 0
    if frame == "file_with_bom":
        return _BOM + text, -1
    sentence, start = row["sentence"] or "", row["sentence_start"]
    places = [place for place in labels.locate(sentence, "", "", text) if start in (None, place)] if sentence else []
    return (sentence, places[0]) if len(places) == 1 else (None, len(places))
