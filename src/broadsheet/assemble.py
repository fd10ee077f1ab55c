"""Assembly: takes articles and annotations, gives the rows of the three tables, every row judged by its contract."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from broadsheet import contract
from broadsheet.annotations import Annotations, is_firm
from broadsheet.contract import Row
from broadsheet.problems import Problem, raise_if
from broadsheet.recipe import Recipe
from broadsheet.segment import Article
from broadsheet.tables import Tables

#: The length of a partial date (EDTF level 0), by what it is precise to.
PRECISION = {0: "unknown", 4: "year", 7: "month", 10: "day"}


def assemble(recipe: Recipe, articles: Sequence[Article], known: Annotations) -> Tables:
    """Give the rows of each table, in source order; raise `InvalidData` if one breaks its contract."""
    paragraphs = {article.id: _paragraph_rows(article) for article in articles}
    primary = recipe.targets[0].id
    gold = {row["article_id"]: row for row in known.stances if row["is_gold"] and row["target_id"] == primary}
    first: dict[str, str] = {}
    tables = {
        "articles": [
            _article_row(
                article,
                known,
                gold.get(article.id),
                primary,
                derive(article.id, known.claims[article.id], paragraphs[article.id], first),
            )
            for article in articles
        ],
        "paragraphs": [row for rows in paragraphs.values() for row in rows],
        "stances": list(known.stances),
    }
    raise_if(
        [
            Problem(found.code, table, found.message, line=number, pointer=found.pointer, hint=found.hint)
            for table, rows in tables.items()
            for number, row in enumerate(rows, start=1)
            for found in contract.violations(row, contract.table_schema(table))
        ]
    )
    return tables


def derive(article: str, claims: Sequence[Row], paragraphs: Sequence[Row], first: dict[str, str]) -> Row:
    """Give the columns of *article* that follow from its *claims* and its *paragraphs* in order.

    *first* maps each text to the article that had it first; it is read and written, so go through a dataset in order.
    """
    text = "\n".join(row["text"] for row in paragraphs if row["role"] in contract.TEXT_ROLES)
    firm = {claim["field"]: claim["value"] for claim in claims if is_firm(claim)}
    date = firm.get("published") or ""
    same = first.setdefault(text, article)
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
        "n_paragraphs": sum(row["role"] in contract.TEXT_ROLES for row in paragraphs),
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "duplicate_of": None if same == article else same,
    }


def _article_row(article: Article, known: Annotations, gold: Row | None, primary: str, derived: Row) -> Row:
    row = {
        **derived,
        "id": article.id,
        "language": article.language,
        "stance": gold["stance"] if gold else None,
        "stance_intensity": gold["intensity"] if gold else None,
        "stance_target": primary,
        "status": "active",
        "provenance": _provenance(article, known.claims[article.id]),
        "rights": known.rights[article.id],
        "references": [reference._asdict() for reference in article.references],
    }
    return {column: row[column] for column in contract.table_schema("articles")["properties"]}


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
