"""Labels: takes a text and what the passes say of it, gives rows of stances, with quotes located, and gold labels.

A quote is found in the string it is said to be in, or it is a problem; a gold label is what all passes give alike, or
what the adjudication says where they differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rapidfuzz import fuzz

from broadsheet import contract, standoff
from broadsheet.contract import Row
from broadsheet.problems import Problem
from broadsheet.recipe import Annotator, Recipe

#: How many characters of context a quote carries on each side.
CONTEXT = 32


class Quotable(Protocol):
    """An article in which quotes are looked for: its `text`, and its `segment`, which are all its lines."""

    @property
    def id(self) -> str:
        """The article's identifier."""

    @property
    def text(self) -> str:
        """The article's prose."""

    @property
    def segment(self) -> str:
        """All the article's lines."""

    def source_line(self, string: str, offset: int) -> int:
        """Give the line that holds the code point *offset* of *string*, `text` or `segment`, as the source counts."""

    def outside(self, exact: str) -> str:
        """Say why the words *exact* are not in the text, if they are in the segment; otherwise nothing."""


@dataclass(frozen=True)
class Plain:
    """An article of which only the *text* is there; its lines count from 1."""

    id: str
    text: str

    @property
    def segment(self) -> str:
        """All the article's lines: its text."""
        return self.text

    def source_line(self, _: str, offset: int) -> int:
        """Give the line of the text that holds the code point *offset*."""
        return self.text.count("\n", 0, offset) + 1

    def outside(self, _: str) -> str:
        """Say nothing: there is nothing outside the text."""
        return ""


@dataclass(frozen=True)
class Scheme:
    """By what labels are judged: the annotators of *passes*, the *adjudicator*, the *targets*, and offsets' *unit*.

    *paths* has the name of each annotator's file as messages show it; *span_unit* and *span_frame* say what the offsets
    of spans count, and from where.
    """

    passes: Sequence[Annotator]
    adjudicator: Annotator | None
    targets: Sequence[str]
    unit: str
    paths: Mapping[str, str]
    span_unit: str = "code_point"
    span_frame: str = "article"


#: That of a dataset whose labels are no matter of passes.
NO_SCHEME = Scheme((), None, (), "code_point", {})


def scheme(recipe: Recipe) -> Scheme:
    """Give the scheme of *recipe*."""
    return Scheme(
        recipe.passes,
        recipe.adjudicator,
        [target.id for target in recipe.targets],
        recipe.offset_unit,
        {one.id: recipe.shown(recipe.annotations(file(one))) for one in recipe.labellers},
        *((recipe.evidence["unit"], recipe.evidence["frame"]) if recipe.evidence else ()),
    )


def file(annotator: Annotator) -> str:
    """Give the name of *annotator*'s file under ``annotations/``."""
    return f"stance/{annotator.id}.jsonl"


def stances(
    scheme: Scheme, article: Quotable, given: Mapping[str, Sequence[standoff.Row]]
) -> tuple[list[Row], list[Problem]]:
    """Give the rows of *article* in the table stances from what each annotator has *given*, and what is wrong.

    For each target come the annotators' own labels, and the gold label.
    """
    problems: list[Problem] = []
    labels: dict[str, dict[str, Row]] = {}
    for annotator in scheme.passes:
        labels[annotator.id], found = _own(scheme, annotator, article, given.get(annotator.id, ()))
        problems += found or [
            Problem("BS406", scheme.paths[annotator.id], f"'{article.id}' has no label for the target '{target}'")
            for target in scheme.targets
            if target not in labels[annotator.id]
        ]
    settled: dict[str, Row] = {}
    if scheme.adjudicator is not None:
        settled, found = _own(scheme, scheme.adjudicator, article, given.get(scheme.adjudicator.id, ()))
        problems += found
    if problems or not labels:
        return [], problems
    rows: list[Row] = []
    for target in scheme.targets:
        own = [labelled[target] for labelled in labels.values()]
        gold, found = _gold(scheme, (article.id, target), own, settled.get(target))
        rows += [*own, *gold]
        problems += found
    return rows, problems


def _own(
    scheme: Scheme, annotator: Annotator, article: Quotable, given: Sequence[standoff.Row]
) -> tuple[dict[str, Row], list[Problem]]:
    """Give what *annotator* has *given* as rows of the table, by target."""
    problems: list[Problem] = []
    labels: dict[str, Row] = {}
    for row in given:
        target = row["target_id"]
        if target not in scheme.targets:
            near = contract.did_you_mean(target, scheme.targets)
            problems.append(row.problem("BS208", f"there is no target '{target}'", "/target_id", near))
            continue
        evidence, found = located(row, article, "text", scheme.unit)
        problems += found
        if target in labels:
            problems.append(row.problem("BS207", f"'{article.id}' has a label for '{target}' already", "/article_id"))
        labels[target] = {
            **{name: row[name] for name in ("article_id", "target_id", "stance", "intensity", "holder", "confidence")},
            "rationale": row["rationale"],
            "basis": "stated",
            "evidence": evidence,
            "annotator_id": annotator.id,
            "annotator_kind": annotator.kind,
            "guideline_version": annotator.guideline_version,
            "annotated_on": annotator.annotated_on,
            "is_gold": False,
            "aggregation": "none",
            "n_annotators": 1,
        }
    return labels, problems


def _gold(
    scheme: Scheme, key: tuple[str, str], labels: Sequence[Row], settled: Row | None
) -> tuple[list[Row], list[Problem]]:
    """Give the gold label of one article and target: what all passes agree on, or what the adjudication says."""
    agreed = len({(label["stance"], label["intensity"]) for label in labels}) == 1
    path = scheme.paths[scheme.adjudicator.id] if scheme.adjudicator else "annotations/stance/adjudication.jsonl"
    common = {"is_gold": True, "n_annotators": len(labels)}
    if agreed and settled is None:
        kinds = {label["annotator_kind"] for label in labels}
        quotes = {(quote["start"], quote["end"]): quote for label in labels for quote in label["evidence"]}
        gold = labels[0] | {
            "confidence": min((label["confidence"] for label in labels), key=("low", "medium", "high").index),
            "rationale": " ".join(f"[{label['annotator_id']}] {label['rationale']}" for label in labels),
            "evidence": [quotes[place] for place in sorted(quotes) if not _inside_another(place, quotes)],
            "annotator_id": "consensus",
            "annotator_kind": kinds.pop() if len(kinds) == 1 else "rule",
            "annotated_on": max(label["annotated_on"] for label in labels),
            "aggregation": "unanimous",
        }
        return [gold | common], []
    if agreed:
        return [], [Problem("BS408", path, f"the passes agree on '{key[0]}' and '{key[1]}'")]
    if settled is None:
        said = ", ".join(f"{label['annotator_id']} says {_said(label)}" for label in labels)
        return [], [Problem("BS407", path, f"nothing settles '{key[0]}' and '{key[1]}' ({said})")]
    return [settled | {"aggregation": "adjudicated"} | common], []


def _inside_another(place: tuple[int, int], places: Iterable[tuple[int, int]]) -> bool:
    start, end = place
    return any(first <= start and end <= last and (first, last) != place for first, last in places)


def _said(label: Row) -> str:
    intensity = label["intensity"]
    return f"{label['stance']}" if intensity is None else f"{label['stance']} ({intensity})"


def locate(exact: str, prefix: str, suffix: str, string: str) -> list[int]:
    """Give every offset of *exact* in *string* that has *prefix* right before it and *suffix* right after it."""
    whole = prefix + exact + suffix
    places, start = [], string.find(whole)
    while start >= 0:
        places.append(start + len(prefix))
        start = string.find(whole, start + 1)
    return places


def to_code_points(offset: int, string: str, unit: str) -> int | None:
    """Give *offset* in *unit* (code_point, utf-16, byte) of *string* in code points, or None inside a character."""
    if unit == "code_point":
        return offset
    encoding, width = {"utf-16": ("utf-16-le", 2), "byte": ("utf-8", 1)}[unit]
    try:
        return len(string.encode(encoding)[: width * offset].decode(encoding))
    except UnicodeDecodeError:
        return None


def length(string: str, unit: str) -> int:
    """Give the length of *string* in *unit*."""
    return {"code_point": len(string), "utf-16": len(string.encode("utf-16-le")) // 2}.get(unit, len(string.encode()))


def quote_at(string: str, source: str, start: int, end: int) -> Row:
    """Give the quote of *string*, which is the article's *source*, from the code point *start* to *end*."""
    return {
        "source": source,
        "exact": string[start:end],
        "prefix": string[max(0, start - CONTEXT) : start],
        "suffix": string[end : end + CONTEXT],
        "start": start,
        "end": end,
    }


def located(row: standoff.Row, article: Quotable, source: str, unit: str) -> tuple[list[Row], list[Problem]]:
    """Give *row*'s quotes with their places in the article's `text` or `segment`."""
    string = article.text if source == "text" else article.segment
    evidence, problems = [], []
    for index, quote in enumerate(row["evidence"]):
        exact = quote["exact"]
        places = locate(exact, quote["prefix"], quote["suffix"], string)
        if quote["start"] is not None:
            start = to_code_points(quote["start"], string, unit)
            places = [place for place in places if place == start]
        if quote["line"] is not None:
            places = [place for place in places if article.source_line(source, place) == quote["line"]]
        pointer = f"/evidence/{index}/exact"
        if not places:
            where = "" if quote["start"] is None else f" at {unit} {quote['start']}"
            message = f"the quote {_short(exact)} is not in the {source} of '{article.id}'{where}"
            problems.append(row.problem("BS401", message, pointer, _nearest(exact, article, source)))
            continue
        if len(places) > 1:
            message = f"the quote {_short(exact)} occurs {len(places)} times in the {source} of '{article.id}'"
            lines = ", ".join(str(article.source_line(source, place)) for place in places)
            hint = f"In the source's lines {lines}: say which with `line`, or make the quote longer."
            problems.append(row.problem("BS402", message, pointer, hint))
            continue
        evidence.append(quote_at(string, source, places[0], places[0] + len(exact)))
    return evidence, problems


def _nearest(exact: str, article: Quotable, source: str) -> str:
    """Say where the words most like *exact* stand."""
    if source == "text" and (why := article.outside(exact)):
        return why
    string: Any = article.text if source == "text" else article.segment
    found = fuzz.partial_ratio_alignment(exact, string)
    if found is None or found.dest_end <= found.dest_start:
        return "Nothing in it is like this."
    words = string[found.dest_start : found.dest_end]
    return f"The nearest place is in the source's line {article.source_line(source, found.dest_start)}: {words!r}."


def _short(text: str) -> str:
    limit = 60
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
