"""Assembly: takes articles and annotations, gives records: an article's row, with its lines and labels beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from broadsheet import contract
from broadsheet.annotations import Annotations
from broadsheet.contract import Row
from broadsheet.recipe import Recipe
from broadsheet.rules import PRECISION, is_firm
from broadsheet.segment import Article


def assemble(recipe: Recipe, articles: Sequence[Article], known: Annotations) -> Iterator[Row]:
    """Give the record of each of *articles*, in their order."""
    primary = recipe.targets[0].id
    stances: dict[str, list[Row]] = {article.id: [] for article in articles}
    for row in known.stances:
        stances[row["article_id"]].append(row)
    first: dict[str, str] = {}
    for article in articles:
        gold = [row for row in stances[article.id] if row["is_gold"] and row["target_id"] == primary]
        row = {
            **_derived(article, known.claims[article.id]),
            "id": article.id,
            "language": article.language,
            "stance": gold[0]["stance"] if gold else None,
            "stance_intensity": gold[0]["intensity"] if gold else None,
            "stance_target": primary,
            "duplicate_of": None if first.setdefault(article.text, article.id) == article.id else first[article.text],
            "status": "active",
            "provenance": _provenance(article, known.claims[article.id]),
            "rights": known.rights[article.id],
            "references": [reference._asdict() for reference in article.references],
        }
        ordered = {column: row[column] for column in contract.table_schema("articles")["properties"]}
        yield {**ordered, "paragraphs": _paragraph_rows(article), "stances": stances[article.id]}


def _derived(article: Article, claims: Sequence[Row]) -> dict[str, Any]:
    """Give the columns that follow from the article's text, and from the *claims* that are firm."""
    text = article.text
    firm = {claim["field"]: claim["value"] for claim in claims if is_firm(claim)}
    date = firm.get("published") or ""
    return {
        "title": firm.get("title"),
        "text": text,
        "genre": firm.get("genre"),
        "publisher": firm.get("publisher"),
        "author": firm.get("author"),
        "published": (date + "-01-01")[:10] if date else None,
        "published_precision": PRECISION[len(date)],
        "n_chars": len(text),
        "n_words": len(text.split()),
        "n_paragraphs": text.count("\n") + 1,
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _provenance(article: Article, claims: Sequence[Row]) -> Row:
    firm = [claim for claim in claims if is_firm(claim)]
    values = {claim["field"]: claim["value"] for claim in firm}
    return {
        "source_file": article.source.file,
        "source_sha256": article.source.sha256,
        "start_line": article.start_line,
        "end_line": article.end_line,
        "start_byte": article.start_byte,
        "end_byte": article.end_byte,
        "collected_from": values.get("collected_from"),
        "upstream_sources": [claim["value"] for claim in firm if claim["field"] == "upstream_source"],
        "excerpted": True if "excerpted" in values else None,
        "claims": list(claims),
    }


def _paragraph_rows(article: Article) -> list[Row]:
    return [
        {
            "article_id": article.id,
            "index": index,
            "role": paragraph.role,
            "text": paragraph.line.text,
            "start": paragraph.start,
            "end": paragraph.end,
            "start_byte": paragraph.line.start_byte,
            "end_byte": paragraph.line.end_byte,
        }
        for index, paragraph in enumerate(article.paragraphs)
    ]
