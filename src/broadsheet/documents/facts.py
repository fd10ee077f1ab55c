"""What the documents draw on: takes a recipe, the figures, and a release's staging folder, gives `Facts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from broadsheet import contract
from broadsheet.contract import Field, Row, Schema
from broadsheet.recipe import Recipe
from broadsheet.segment import Article
from broadsheet.summary import Summary

#: So many articles at most are told one by one.
SHOWN = 50


class Split(NamedTuple):
    """One split of a table: its *rows*, their size *num_bytes* in memory, and how many *shards* it has."""

    name: str
    rows: int
    num_bytes: int
    shards: int


@dataclass(frozen=True)
class Size:
    """The size of a table, *splits* and all; *download_bytes* is what its Parquet files take on disk."""

    splits: Sequence[Split]
    download_bytes: int

    @property
    def num_bytes(self) -> int:
        """The size in memory."""
        return sum(split.num_bytes for split in self.splits)


class LineNote(NamedTuple):
    """A curator's *note* on the role of one line of a source file; *line* counts from 1."""

    line: int
    role: str
    text: str
    note: str


@dataclass(frozen=True)
class Facts:
    """All that a document may say: the recipe, figures, the tables' sizes and fields, the digest.

    *articles* and their *gold* labels are there one by one where there are few of them, and otherwise not at all.
    """

    recipe: Recipe
    summary: Summary
    digest: str
    sizes: Mapping[str, Size]
    schemas: Mapping[str, Schema]
    articles: Sequence[Row]
    gold: Sequence[Row]
    notes: Sequence[LineNote]

    @property
    def fields(self) -> Mapping[str, list[Field]]:
        """Every field of every table."""
        return {table: contract.field_table(schema) for table, schema in self.schemas.items()}


def line_notes(articles: Sequence[Article]) -> list[LineNote]:
    """Give the curators' notes on lines of *articles* that were cut out of pages."""
    return [
        LineNote(article.start_line + index, paragraph.role, paragraph.line.text, paragraph.note)
        for article in articles
        for index, paragraph in enumerate(article.paragraphs)
        if paragraph.note
    ]
