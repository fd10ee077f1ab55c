"""What the documents draw on: takes a recipe and the rows, gives `Facts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from broadsheet import contract, summary, tables
from broadsheet.contract import Field
from broadsheet.recipe import Recipe
from broadsheet.segment import Article
from broadsheet.summary import Summary
from broadsheet.tables import Tables


@dataclass(frozen=True)
class Size:
    """The size of a table: *num_bytes* in memory, as Arrow; *download_bytes* on disk, as Parquet."""

    num_bytes: int
    download_bytes: int


class LineNote(NamedTuple):
    """A curator's *note* on the role of one line of a source file; *line* counts from 1."""

    line: int
    role: str
    text: str
    note: str


@dataclass(frozen=True)
class Facts:
    """All that a document may say: the recipe, the rows, their figures, sizes, digest, and fields."""

    recipe: Recipe
    rows: Tables
    sizes: Mapping[str, Size]
    digest: str
    summary: Summary
    fields: Mapping[str, list[Field]]
    notes: Sequence[LineNote]


def gather(recipe: Recipe, articles: Sequence[Article], rows: Tables, sizes: Mapping[str, Size]) -> Facts:
    """Give the facts of the dataset *recipe* describes: its *articles*, and its tables' *rows* and *sizes*."""
    return Facts(
        recipe=recipe,
        rows=rows,
        sizes=sizes,
        digest=tables.digest(rows),
        summary=summary.summarize(rows),
        fields={table: contract.field_table(contract.table_schema(table)) for table in contract.TABLES},
        notes=[
            LineNote(article.start_line + index, paragraph.role, paragraph.line.text, paragraph.note)
            for article in articles
            for index, paragraph in enumerate(article.paragraphs)
            if paragraph.note
        ],
    )
