"""The build: takes a dataset's folder, gives a verified release in its place.

source → articles → joined with annotations → validated → tables → documents → checksums → verified → in place
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from broadsheet import contract, documents, jsonl, recipe, release, segment, tables, verify
from broadsheet.annotations import annotate
from broadsheet.assemble import assemble
from broadsheet.contract import Row
from broadsheet.problems import raise_if


@dataclass(frozen=True)
class Built:
    """What a build made: the release's *place*, *version* and logical *digest*, and the number of *rows* by table."""

    place: Path
    version: str
    digest: str
    rows: dict[str, int]


def build(folder: Path, place: Path | None = None, tell: Callable[[str], None] = lambda _: None) -> Built:
    """Build the release of the dataset in *folder* into *place*, by default the folder's own ``release/``.

    *tell* hears of each step. The release appears whole or not at all: on `BroadsheetError`, what was in *place*
    stays as it was. The copies of the datasheet that the recipe names are written when the place is the default.
    """
    tell("reading")
    dataset = recipe.read(folder)
    articles = segment.segment(dataset)
    tell("joining annotations")
    known = annotate(dataset, articles)
    rows = assemble(dataset, articles, known)
    with release.staged(place or dataset.release) as stage:
        tell("writing tables")
        sizes = {table: _write_table(stage, table, list(own)) for table, own in rows.items()}
        tell("writing documents")
        texts = documents.render(dataset, articles, rows, sizes)
        for name, data in texts.items():
            release.write(stage, name, data)
        release.write_checksums(stage)
        tell("verifying")
        raise_if(verify.verify(stage))
    if place is None:
        for copy in dataset.datasheet_copies:
            copy.write_bytes(texts[release.DATASHEET])
    return Built(
        place or dataset.release, dataset.version, tables.digest(rows), {t: len(own) for t, own in rows.items()}
    )


def _write_table(stage: Path, table: str, rows: list[Row]) -> documents.Size:
    """Write *rows* as Parquet and as JSON Lines, and the schema they follow; give the table's size."""
    schema = contract.table_schema(table)
    arrow = tables.to_arrow(rows, schema)
    path = stage / release.parquet_path(table)
    path.parent.mkdir(parents=True)
    tables.write_parquet(arrow, path)
    release.write(stage, release.jsonl_path(table), jsonl.serialize(rows))
    release.write(stage, release.schema_path(contract.TABLES[table]), contract.schema_text(schema))
    return documents.Size(arrow.nbytes, path.stat().st_size)
