"""Annotations: takes articles and the stand-off files, gives claims, rights and stances with their evidence located.

A quote is found in the string it is said to be in, or the build fails; gold labels come of the passes, and every
disagreement between them must have been settled in writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from broadsheet import contract, labels, standoff
from broadsheet.contract import Row
from broadsheet.problems import Problem, raise_if
from broadsheet.recipe import Recipe
from broadsheet.rules import is_firm
from broadsheet.segment import Article

#: Fields of provenance that every article accounts for, be it as unknown.
ACCOUNTED_FOR = ("title", "publisher", "author", "published", "genre", "collected_from")


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


def _claims(recipe: Recipe, by_id: Mapping[str, Article]) -> tuple[dict[str, list[Row]], list[Problem]]:
    rows, problems = standoff.read_optional(recipe, "provenance.jsonl", "claim")
    rows, unknown = _known(rows, "article_id", by_id, "article")
    problems += unknown
    claims: dict[str, list[Row]] = {article: [] for article in by_id}
    firm: dict[tuple[str, str], int] = {}
    for row in rows:
        evidence, found = labels.located(row, by_id[row["article_id"]], "segment", recipe.offset_unit)
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
    path = recipe.annotations("provenance.jsonl")
    if not problems and path.exists():
        shown = recipe.shown(path)
        for article, known in claims.items():
            for field in ACCOUNTED_FOR:
                if field not in [claim["field"] for claim in known]:
                    problems.append(Problem("BS404", shown, f"nothing is claimed of the {field} of '{article}'"))
    return claims, problems


def _check_stated(row: standoff.Row) -> list[Problem]:
    # A date is stated in the source's own words; its year, at least, must be there.
    needle = row["value"][:4] if row["field"] == "published" else row["value"]
    if row["field"] == "excerpted" or any(needle in quote["exact"] for quote in row["evidence"]):
        return []
    hint = "Quote the words that state it, or say that it is inferred."
    return [row.problem("BS403", f"no quote contains {needle!r}, the value said to be stated", "/value", hint)]


def _rights(recipe: Recipe, by_id: Mapping[str, Article]) -> tuple[dict[str, Row], list[Problem]]:
    path = recipe.annotations("rights.jsonl")
    common = (recipe.articles or {}).get("defaults", {}).get("rights")
    if common is not None and not path.exists():
        return {article: {"holder": None, **common} for article in by_id}, []
    rows, problems = standoff.read(recipe, "rights.jsonl", "rights")
    rows, unknown = _known(rows, "article_id", by_id, "article")
    problems += unknown
    rights: dict[str, Row] = {}
    for row in rows:
        if row["article_id"] in rights:
            problems.append(row.problem("BS207", f"the rights of '{row['article_id']}' are given twice", "/article_id"))
        rights[row["article_id"]] = {key: row[key] for key in ("license", "statement", "holder", "usage_terms")}
    if not problems:
        shown = recipe.shown(path)
        missing = [article for article in by_id if article not in rights]
        problems += [Problem("BS404", shown, f"nothing is said of the rights of '{article}'") for article in missing]
    return rights, problems


def _stances(recipe: Recipe, by_id: Mapping[str, Article]) -> tuple[list[Row], list[Problem]]:
    scheme = labels.scheme(recipe)
    given: dict[str, dict[str, list[standoff.Row]]] = {article: {} for article in by_id}
    problems: list[Problem] = []
    for annotator in recipe.labellers:
        rows, found = standoff.read(recipe, labels.file(annotator), "stance")
        rows, unknown = _known(rows, "article_id", by_id, "article")
        problems += found + unknown
        for row in rows:
            given[row["article_id"]].setdefault(annotator.id, []).append(row)
    if problems:
        return [], problems
    stances: list[Row] = []
    for article in by_id.values():
        own, found = labels.stances(scheme, article, given[article.id])
        stances += own
        problems += found
    return stances, problems


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
