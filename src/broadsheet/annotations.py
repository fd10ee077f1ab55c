"""Annotations: takes articles and the stand-off files, gives claims, rights and stances with their evidence located.

A quote is found in the string it is said to be in, or the build fails; gold labels come of the passes, and every
disagreement between them must have been settled in writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz import fuzz

from broadsheet import contract, standoff
from broadsheet.contract import Row
from broadsheet.problems import Problem, raise_if
from broadsheet.recipe import Annotator, Recipe
from broadsheet.rules import is_firm
from broadsheet.segment import Article

#: Fields of provenance that every article accounts for, be it as unknown.
ACCOUNTED_FOR = ("title", "publisher", "author", "published", "genre", "collected_from")
#: How many characters of context a quote carries on each side.
CONTEXT = 32


@dataclass(frozen=True)
class Annotations:
    """What is known of the articles, by article: *claims*, *rights*, and the rows of the table *stances*."""

    claims: Mapping[str, Sequence[Row]]
    rights: Mapping[str, Row]
    stances: Sequence[Row]


def annotate(recipe: Recipe, articles: Sequence[Article]) -> Annotations:
    """Read the stand-off files and join them to *articles* by id; raise `InvalidData` with all that is wrong."""
    by_id = {article.id: article for article in articles}
    claims, problems = _claims(recipe, by_id)
    rights, found = _rights(recipe, by_id)
    stances, more = _stances(recipe, by_id)
    raise_if(problems + found + more)
    return Annotations(claims, rights, stances)


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


def _claims(recipe: Recipe, by_id: Mapping[str, Article]) -> tuple[dict[str, list[Row]], list[Problem]]:
    rows, problems = standoff.read(recipe, "provenance.jsonl", "claim")
    rows, unknown = _known(rows, "article_id", by_id, "article")
    problems += unknown
    claims: dict[str, list[Row]] = {article: [] for article in by_id}
    firm: dict[tuple[str, str], int] = {}
    for row in rows:
        evidence, found = _evidence(row, by_id[row["article_id"]], "segment", recipe.offset_unit)
        claim = {key: row[key] for key in ("field", "value", "basis", "confidence")}
        claim |= {"evidence": evidence, "note": row["note"]}
        claims[row["article_id"]].append(claim)
        problems += found
        if claim["basis"] == "stated" and not found:
            problems += _check_stated(row)
        if is_firm(claim) and claim["field"] != "upstream_source":
            first = firm.setdefault((row["article_id"], claim["field"]), row.line)
            if first != row.line:
                message = f"line {first} already gives '{row['article_id']}' a {claim['field']}"
                problems.append(row.problem("BS405", message, "/field"))
    if not problems:
        path = recipe.shown(recipe.annotations("provenance.jsonl"))
        for article, known in claims.items():
            for field in ACCOUNTED_FOR:
                if field not in [claim["field"] for claim in known]:
                    problems.append(Problem("BS404", path, f"nothing is claimed of the {field} of '{article}'"))
    return claims, problems


def _check_stated(row: standoff.Row) -> list[Problem]:
    # A date is stated in the source's own words; its year, at least, must be there.
    needle = row["value"][:4] if row["field"] == "published" else row["value"]
    if row["field"] == "excerpted" or any(needle in quote["exact"] for quote in row["evidence"]):
        return []
    hint = "Quote the words that state it, or say that it is inferred."
    return [row.problem("BS403", f"no quote contains {needle!r}, the value said to be stated", "/value", hint)]


def _rights(recipe: Recipe, by_id: Mapping[str, Article]) -> tuple[dict[str, Row], list[Problem]]:
    rows, problems = standoff.read(recipe, "rights.jsonl", "rights")
    rows, unknown = _known(rows, "article_id", by_id, "article")
    problems += unknown
    rights: dict[str, Row] = {}
    for row in rows:
        if row["article_id"] in rights:
            problems.append(row.problem("BS207", f"the rights of '{row['article_id']}' are given twice", "/article_id"))
        rights[row["article_id"]] = {key: row[key] for key in ("license", "statement", "holder", "usage_terms")}
    if not problems:
        path = recipe.shown(recipe.annotations("rights.jsonl"))
        missing = [article for article in by_id if article not in rights]
        problems += [Problem("BS404", path, f"nothing is said of the rights of '{article}'") for article in missing]
    return rights, problems


def _stances(recipe: Recipe, by_id: Mapping[str, Article]) -> tuple[list[Row], list[Problem]]:
    problems: list[Problem] = []
    passes: dict[str, dict[tuple[str, str], Row]] = {}
    for annotator in recipe.passes:
        passes[annotator.id], found = _pass(recipe, annotator, by_id)
        problems += found or _check_complete(recipe, annotator, passes[annotator.id], by_id)
    settled: dict[tuple[str, str], Row] = {}
    if recipe.adjudicator is not None:
        settled, found = _pass(recipe, recipe.adjudicator, by_id)
        problems += found
    if problems or not passes:
        return [], problems
    stances: list[Row] = []
    for article in by_id:
        for target in recipe.targets:
            key = (article, target.id)
            labels = [labelled[key] for labelled in passes.values()]
            gold, found = _gold(recipe, key, labels, settled.pop(key, None))
            stances += [*labels, *gold]
            problems += found
    return stances, problems


def _pass(
    recipe: Recipe, annotator: Annotator, by_id: Mapping[str, Article]
) -> tuple[dict[tuple[str, str], Row], list[Problem]]:
    """Give the labels of *annotator*'s file as rows of the table, by article and target."""
    rows, problems = standoff.read(recipe, f"stance/{annotator.id}.jsonl", "stance")
    rows, unknown = _known(rows, "article_id", by_id, "article")
    rows, more = _known(rows, "target_id", [target.id for target in recipe.targets], "target")
    problems += unknown + more
    labels: dict[tuple[str, str], Row] = {}
    for row in rows:
        evidence, found = _evidence(row, by_id[row["article_id"]], "text", recipe.offset_unit)
        problems += found
        key = (row["article_id"], row["target_id"])
        if key in labels:
            problems.append(row.problem("BS207", f"'{key[0]}' has a label for '{key[1]}' already", "/article_id"))
        labels[key] = {
            **{name: row[name] for name in ("article_id", "target_id", "stance", "intensity", "holder", "confidence")},
            "rationale": row["rationale"],
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


def _check_complete(
    recipe: Recipe, annotator: Annotator, labels: Mapping[tuple[str, str], Row], by_id: Mapping[str, Article]
) -> list[Problem]:
    path = recipe.shown(recipe.annotations(f"stance/{annotator.id}.jsonl"))
    return [
        Problem("BS406", path, f"'{article}' has no label for the target '{target.id}'")
        for article in by_id
        for target in recipe.targets
        if (article, target.id) not in labels
    ]


def _gold(
    recipe: Recipe, key: tuple[str, str], labels: Sequence[Row], settled: Row | None
) -> tuple[list[Row], list[Problem]]:
    """Give the gold label of one article and target: what all passes agree on, or what the adjudication says."""
    agreed = len({(label["stance"], label["intensity"]) for label in labels}) == 1
    where = recipe.adjudicator.id if recipe.adjudicator else "adjudication"
    path = recipe.shown(recipe.annotations(f"stance/{where}.jsonl"))
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


def _known(
    rows: Sequence[standoff.Row], field: str, known: Iterable[str], what: str
) -> tuple[list[standoff.Row], list[Problem]]:
    """Split off the rows whose *field* names nothing that is *known*."""
    known = list(known)
    problems = [
        row.problem(
            "BS208", f"there is no {what} '{row[field]}'", f"/{field}", contract.did_you_mean(row[field], known)
        )
        for row in rows
        if row[field] not in known
    ]
    return [row for row in rows if row[field] in known], problems


def _evidence(row: standoff.Row, article: Article, source: str, unit: str) -> tuple[list[Row], list[Problem]]:
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
        (start,) = places
        end = start + len(exact)
        evidence.append(
            {
                "source": source,
                "exact": exact,
                "prefix": string[max(0, start - CONTEXT) : start],
                "suffix": string[end : end + CONTEXT],
                "start": start,
                "end": end,
            }
        )
    return evidence, problems


def _nearest(exact: str, article: Article, source: str) -> str:
    """Say where the words most like *exact* stand."""
    if source == "text" and exact in article.segment:
        line = article.source_line("segment", article.segment.index(exact))
        role = article.paragraphs[line - article.start_line].role
        return f"The words are in the source's line {line}, whose role {role} keeps it out of the text."
    string: Any = article.text if source == "text" else article.segment
    found = fuzz.partial_ratio_alignment(exact, string)
    if found is None or found.dest_end <= found.dest_start:
        return "Nothing in it is like this."
    words = string[found.dest_start : found.dest_end]
    return f"The nearest place is in the source's line {article.source_line(source, found.dest_start)}: {words!r}."


def _short(text: str) -> str:
    limit = 60
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
