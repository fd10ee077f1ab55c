"""What the documents draw on: takes a recipe, and what is known of all shards, gives `Facts`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from broadsheet import contract, jsonl, mapping, release, storage
from broadsheet.contract import Field, Row, Schema
from broadsheet.merge import Merged
from broadsheet.problems import raise_if
from broadsheet.recipe import Recipe
from broadsheet.release import is_data
from broadsheet.segment import Article
from broadsheet.summary import Summary, summarize

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
    *checksums* has the SHA-256 and the size of each of the tables' files. *rejects* is the number of rows of the input
    that have problems and are not here, by table. *codebook* is by what labels were given here, if any were.
    """

    recipe: Recipe
    summary: Summary
    digest: str
    sizes: Mapping[str, Size]
    schemas: Mapping[str, Schema]
    checksums: Mapping[str, tuple[str, int]]
    articles: Sequence[Row]
    gold: Sequence[Row]
    rejects: Mapping[str, int]
    notes: Sequence[LineNote]
    codebook: bytes | None

    @property
    def own_fields(self) -> Sequence[str]:
        """The columns that the dataset adds to the contract, with their tables."""
        return [
            f"`{table}.{name}`"
            for table, schema in self.schemas.items()
            for name in schema["properties"]
            if name not in contract.table_schema(table)["properties"]
        ]

    @property
    def files(self) -> Sequence[tuple[str, str, str]]:
        """Where a table's files lie, by split: the Parquet files, and the JSON Lines."""
        table = "<table>"
        return [
            (
                split.name,
                release.parquet_pattern(table, split.name, split.shards),
                release.jsonl_path(table, split.name, 0, split.shards).replace("-00000-", "-*-"),
            )
            for split in self.sizes["articles"].splits
        ]

    @property
    def label_names(self) -> Mapping[str, str]:
        """What the labels of the source are called here, where the recipe says so; those of a preset in lower case."""
        section = self.recipe.stance or {}
        return {**mapping.PRESETS.get(section.get("preset", ""), {}), **section.get("labels", {})}

    @property
    def only_models(self) -> bool:
        """Whether whoever labelled, or is named in the recipe, is a model."""
        return {*self.summary.labels.kinds, *(one.kind for one in self.recipe.annotators)} == {"model"}

    @property
    def fields(self) -> Mapping[str, list[Field]]:
        """Every field of every table."""
        return {table: contract.field_table(schema) for table, schema in self.schemas.items()}


def gather(
    recipe: Recipe, place: str, merged: Merged, schemas: Mapping[str, Schema], articles: Sequence[Article]
) -> Facts:
    """Give the facts of the release whose tables lie at *place*; *articles* are those that were cut out of pages.

    Tables without rows are no tables any more. Raise `InvalidData` if there is no codebook, and somebody labels by it.
    """
    codebook, problems = recipe.codebook()
    raise_if(problems)
    labellers = [*(one.id for one in recipe.labellers), *(["consensus"] if recipe.passes else [])]
    sizes = {
        table: Size(
            [
                Split(split, sum(part.rows for part in own), sum(part.num_bytes for part in own), len(own))
                for split, own in splits.items()
            ],
            sum(part.files[name][1] for own in splits.values() for part in own for name in part.files if is_data(name)),
        )
        for table, splits in merged.parts().items()
    }
    few = merged.rows("articles") <= SHOWN
    return Facts(
        recipe=recipe,
        summary=summarize(merged.catalogue, merged.tally, [target.id for target in recipe.targets], labellers),
        digest=merged.digest(),
        sizes=sizes,
        schemas={table: schema for table, schema in schemas.items() if table in sizes},
        checksums={
            name: file for parts in merged.shards for part in parts.values() for name, file in part.files.items()
        },
        articles=list(_rows(place, merged, "articles")) if few else [],
        gold=[row for row in _rows(place, merged, "stances") if row["is_gold"]] if few else [],
        rejects=merged.left_out,
        notes=[
            LineNote(article.start_line + index, paragraph.role, paragraph.line.text, paragraph.note)
            for article in articles
            for index, paragraph in enumerate(article.paragraphs)
            if paragraph.note
        ],
        codebook=codebook,
    )


def _rows(place: str, merged: Merged, table: str) -> Iterator[Row]:
    """Read the rows of *table* back, from its JSON Lines; for few of them."""
    for splits in merged.parts().get(table, {}).values():
        for name in (name for part in splits for name in part.files if not is_data(name)):
            with storage.opened(place, name) as file:
                yield from (line.value for line in jsonl.parse(file.read(), name)[0])
